//! Machines with names that really run: detached, with their ports, their backtraces explained in their logs, their traces
//! asked for while they run, and gdb.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Command, Stdio};

use abi::exit::PANIC;
use serde_json::Value;
use system_tests::guest::guest;
use system_tests::http;
use system_tests::place::Place;
use system_tests::process::{Done, Process};
use system_tests::skip::skip;

/// A person with an empty home, and a machine called `web`.
struct User(Place);

impl User {
    fn new() -> User {
        User(Place::new())
    }

    #[track_caller]
    fn run(&self, arguments: &[&str]) -> Done {
        self.0.run(arguments)
    }

    #[track_caller]
    fn data(&self, arguments: &[&str]) -> String {
        self.run(arguments).data()
    }

    /// `ukernel run` of the machine, with a time limit for failed tests.
    #[track_caller]
    fn start(&self, kernel: &Path, arguments: &[&str]) -> Done {
        let kernel = kernel.display().to_string();
        let words = ["run", "--name", "web", "--timeout", "60", "--memory", "32M"];
        self.run(&[&words, &["--kernel", &kernel][..], arguments].concat())
    }

    #[track_caller]
    fn detach(&self, kernel: &Path, arguments: &[&str]) {
        self.start(kernel, &[&["--detach"], arguments].concat())
            .data();
    }

    fn machines(&self) -> Value {
        serde_json::from_str(&self.data(&["ps", "--all", "--json"])).expect("JSON")
    }

    /// Reads the log of `web` until a line has `text`.
    #[track_caller]
    fn wait_for(&self, text: &str) {
        Process::start(&mut self.0.tool(&["logs", "--follow", "web"])).wait_for(text);
    }
}

impl Drop for User {
    fn drop(&mut self) {
        self.run(&["rm", "--force", "web"]);
    }
}

#[test]
fn a_detached_demo_serves_until_it_is_stopped() {
    let user = User::new();
    user.detach(&guest("demo"), &["-p", "0:8080", "--arg", "heartbeat=off"]);
    user.wait_for("net: address assigned addr=10.");
    let machine = &user.machines()[0];
    let port = machine["ports"][0]["host_port"].as_u64().expect("a port");
    let port = u16::try_from(port).expect("a port");
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    assert_eq!(
        http::get(address, "/healthz").expect("it serves").status,
        200
    );
    assert_eq!(user.data(&["stop"]), "web\n");
    assert!(http::get(address, "/healthz").is_err(), "it has ended");
    assert_eq!(user.machines()[0]["end"]["status"], 0);
}

/// As long as the ELF is the one that ran.
#[test]
fn a_panic_is_explained_in_the_log_of_a_machine() {
    let user = User::new();
    let kernel = user.0.here().join("guest.elf");
    fs::copy(guest("guest"), &kernel).expect("a file");
    let ended = user.start(&kernel, &["--arg", "panic"]);
    assert_eq!(ended.status, Some(PANIC.into()));
    let shown = ended.output;
    let explained = |text: &str| text.contains("\n       panic at ");
    assert!(explained(&shown), "{shown}");
    assert_eq!(user.data(&["logs"]), shown, "the same as it was shown");
    let json = user.data(&["logs", "--json"]);
    let frames = json
        .lines()
        .filter(|line| line.contains("\"functions\":[\""));
    assert!(frames.count() > 0, "{json}");
    fs::write(&kernel, "another").expect("a file");
    let later = user.data(&["logs"]);
    assert!(later.contains("  at 0x") && !explained(&later), "{later}");
}

#[test]
fn a_machine_is_asked_for_its_trace_while_it_runs() {
    let user = User::new();
    user.detach(&guest("guest"), &["--arg", "trace-ticks"]);
    user.wait_for("boot: up");
    user.data(&["trace", "--off"]);
    user.wait_for("trace: off");
    user.data(&["trace", "--on"]);
    user.wait_for("trace: on");
    // Recorded from then on; the guest makes one every few milliseconds.
    let trace = (0..100)
        .map(|_| user.run(&["trace"]))
        .find(|done| done.status == Some(0));
    let trace = trace.expect("ticks");
    let trace: Value = serde_json::from_str(&trace.output).expect("JSON");
    let mut events = trace["traceEvents"].as_array().expect("a list").iter();
    assert!(events.any(|event| event["name"] == "tick"), "{trace:#}");
}

#[test]
fn gdb_finds_the_program_by_its_lines() {
    if Command::new("gdb")
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .is_err()
    {
        return skip("ukernel debug", "there is no gdb");
    }
    let user = User::new();
    let kernel = guest("guest").display().to_string();
    let debug = ["debug", "--wait", "--accel", "tcg", "--kernel", &kernel];
    let debug = [&debug[..], &["--memory", "32M", "--arg", "panic"]].concat();
    let mut debug = Process::start(&mut user.0.tool(&debug));
    let said = debug.wait_for_words("connect by: ");
    let (_, command) = said.rsplit_once("connect by: ").expect("it was waited for");
    let command = command.trim_end().replacen("gdb -q", "gdb -q -batch", 1);
    let source = include_str!("../guest/src/faults.rs").lines();
    let before = source.take_while(|line| !line.contains("panicking on purpose"));
    let line = before.count() + 1;
    let script = format!("{command} -ex 'break faults.rs:{line}' -ex continue -ex 'bt 1' -ex kill");
    let mut gdb = Command::new("timeout");
    let gdb = Done::of(gdb.args(["50", "sh", "-c", &script]).stdin(Stdio::null()));
    let said = &gdb.output;
    assert!(
        said.contains("Breakpoint 1, ") && said.contains("#0  "),
        "{gdb:?}"
    );
}

/// Nothing of it is on its command line; what the manifest names is made.
#[test]
fn a_projects_machine_gets_variables_arguments_and_volumes() {
    let user = User::new();
    let kernel = fs::read(guest("packed")).expect("a readable file");
    let mut index = bundle::Index::new("demo");
    index.options.push("env=GREETING=hi".into());
    index.volumes.push(bundle::Volume {
        name: "data".into(),
        read_only: false,
    });
    user.0
        .build(&kernel, index, &[("texts/hello.txt", b"hello, bundle")]);
    let path = |name: &str| user.0.here().join(name);
    let manifest = fs::read_to_string(path("ukernel.toml")).expect("it was written");
    let volumes = "[volumes]\ndata = { size_mb = 1 }\n";
    user.0.write("ukernel.toml", &(manifest + volumes));
    user.data(&["pack"]);
    let words = ["-e", "GREETING=hello there", "--arg", "two words"];
    let run = [&["run", "--timeout", "60", "--accel", "tcg"], &words[..]].concat();
    let ended = user.run(&run);
    let shown = ended.output;
    assert_eq!(ended.status, Some(0), "{shown}{}", ended.words);
    let expected = r#"arguments=["two words"] greeting=Some("hello there")"#;
    assert!(shown.contains(expected), "{shown}");
    let volume = fs::read(path(".ukernel/volumes/data.img")).expect("a volume");
    assert_eq!(
        (volume.len(), volume[0]),
        (1 << 20, 1),
        "the program has written it"
    );
}
