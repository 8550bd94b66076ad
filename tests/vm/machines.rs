//! Machines with names that really run: detached, with their ports, their backtraces explained in their logs, their traces
//! asked for while they run, and gdb.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use abi::exit::PANIC;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use system_tests::guest::{guest, tool};
use system_tests::http;
use system_tests::skip::skip;
use tempfile::TempDir;

/// A person with an empty home.
struct User(TempDir);

impl User {
    fn new() -> User {
        User(tempfile::tempdir().expect("a temporary folder"))
    }

    fn tool(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(tool());
        command.args(arguments).current_dir(self.0.path());
        command.env("XDG_STATE_HOME", self.0.path().join("state"));
        command.stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.tool(arguments).output().expect("ukernel runs")
    }

    #[track_caller]
    fn data(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {words}");
        String::from_utf8(output.stdout).expect("text")
    }

    /// `ukernel run` of a machine called `web`, with a time limit for failed tests.
    fn start(&self, kernel: &Path, arguments: &[&str]) -> Output {
        let kernel = kernel.display().to_string();
        let words = ["run", "--name", "web", "--timeout", "60", "--memory", "32M"];
        self.run(&[&words, &["--kernel", &kernel][..], arguments].concat())
    }

    #[track_caller]
    fn detach(&self, kernel: &Path, arguments: &[&str]) {
        let started = self.start(kernel, &[&["--detach"], arguments].concat());
        let words = String::from_utf8_lossy(&started.stderr);
        assert!(started.status.success(), "{words}");
    }

    fn machines(&self) -> Value {
        serde_json::from_str(&self.data(&["ps", "--all", "--json"])).expect("JSON")
    }

    /// Reads the log of `web` until a line has `text`.
    #[track_caller]
    fn wait_for(&self, text: &str) {
        let mut follower = self.tool(&["logs", "--follow", "web"]);
        let mut follower = follower.stdout(Stdio::piped()).spawn().expect("it starts");
        let output = BufReader::new(follower.stdout.take().expect("piped"));
        let found = output
            .lines()
            .any(|line| line.expect("text").contains(text));
        let _ = follower.kill();
        follower.wait().expect("a child");
        assert!(found, "the log ended without '{text}'");
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
    let kernel = user.0.path().join("guest.elf");
    fs::copy(guest("guest"), &kernel).expect("a file");
    let ended = user.start(&kernel, &["--arg", "panic"]);
    assert_eq!(ended.status.code(), Some(PANIC.into()));
    let shown = String::from_utf8(ended.stdout).expect("text");
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
        .find(|output| output.status.success());
    let trace = trace.expect("ticks");
    let trace: Value = serde_json::from_slice(&trace.stdout).expect("JSON");
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
    let mut debug = user.tool(&["debug", "--wait", "--accel", "tcg", "--kernel", &kernel]);
    let debug = debug.args(["--memory", "32M", "--arg", "panic"]);
    let mut debug = debug
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let words = BufReader::new(debug.stderr.take().expect("piped"));
    let mut lines = words.lines().map(|line| line.expect("text"));
    let command = lines.find_map(|line| line.strip_prefix("connect by: ").map(String::from));
    let command = command
        .expect("how to connect")
        .replacen("gdb -q", "gdb -q -batch", 1);
    let source = include_str!("../guest/src/faults.rs").lines();
    let before = source.take_while(|line| !line.contains("panicking on purpose"));
    let line = before.count() + 1;
    let script = format!("{command} -ex 'break faults.rs:{line}' -ex continue -ex 'bt 1' -ex kill");
    let gdb = Command::new("timeout")
        .args(["60", "sh", "-c", &script])
        .output()
        .expect("a shell");
    let said = String::from_utf8_lossy(&gdb.stdout);
    let _ = kill_process(Pid::from_child(&debug), Signal::KILL); // only after a failure it still runs
    debug.wait().expect("a child");
    assert!(
        said.contains("Breakpoint 1, ") && said.contains("#0  "),
        "{said}{}",
        String::from_utf8_lossy(&gdb.stderr)
    );
}

/// Nothing of it is on its command line; what the manifest names is made.
#[test]
fn a_projects_machine_gets_variables_arguments_and_volumes() {
    let user = User::new();
    let path = |name: &str| -> PathBuf { user.0.path().join(name) };
    fs::create_dir(path("build")).expect("a folder");
    let manifest =
        "[project]\nname = \"web\"\nlanguage = \"rust\"\n[volumes]\ndata = { size_mb = 1 }\n";
    fs::write(path("ukernel.toml"), manifest).expect("a file");
    fs::copy(guest("packed"), path("build/vmlinux")).expect("a file");
    let mut index = bundle::Index::new("web");
    index.options.push("env=GREETING=hi".into());
    index.volumes.push(bundle::Volume {
        name: "data".into(),
        read_only: false,
    });
    let files: [(&str, &[u8]); 1] = [("texts/hello.txt", b"hello, bundle")];
    let bundle = bundle::archive(index, &files).expect("valid settings");
    fs::write(path("build/bundle.tgz"), bundle).expect("a file");
    user.data(&["pack"]);
    let words = ["-e", "GREETING=hello there", "--arg", "two words"];
    let run = [&["run", "--timeout", "60", "--accel", "tcg"], &words[..]].concat();
    let ended = user.run(&run);
    let shown = String::from_utf8_lossy(&ended.stdout);
    assert_eq!(ended.status.code(), Some(0), "{shown}");
    let expected = r#"arguments=["two words"] greeting=Some("hello there")"#;
    assert!(shown.contains(expected), "{shown}");
    let volume = fs::read(path(".ukernel/volumes/data.img")).expect("a volume");
    assert_eq!(
        (volume.len(), volume[0]),
        (1 << 20, 1),
        "the program has written it"
    );
}
