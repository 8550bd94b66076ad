//! From nothing to a running machine, for each template that runs in one: init, build, pack, run, ask it something, logs,
//! stop; and `ukernel adapter` for those in Python.

use std::fs;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;
use system_tests::place::Place;
use system_tests::process::{Done, Process};
use system_tests::{client, http};

use crate::builder::{project, tool, with_compilers};

/// How long a machine may run.
const SECONDS: &str = "60";

/// A place where projects in Rust share what is compiled: they are made one after the other in the same folder.
struct Shop {
    place: Place,
}

impl Shop {
    fn new() -> Shop {
        Shop {
            place: Place::new(),
        }
    }

    fn command(&self, folder: &Path, arguments: &[&str]) -> Command {
        let mut command = tool(&self.place, folder, arguments);
        command.env("CARGO_TARGET_DIR", self.place.beside("target"));
        command
    }

    #[track_caller]
    fn run(&self, folder: &Path, arguments: &[&str]) -> Done {
        Done::of_compiling(&mut self.command(folder, arguments))
    }

    /// A project of a template, built and packed.
    #[track_caller]
    fn packed(&self, language: &str, template: &str) -> PathBuf {
        let folder = self.place.here().join("demo");
        // The one before it.
        let _ = fs::remove_dir_all(&folder);
        let folder = project(&self.place, language, template);
        self.run(&folder, &["build"]).data();
        self.run(&folder, &["pack"]).data();
        folder
    }

    /// Cargo in a project, for its tests and lints on this machine.
    #[track_caller]
    fn cargo(&self, folder: &Path, arguments: &[&str]) {
        let mut cargo = Command::new("cargo");
        cargo.args(arguments).current_dir(folder);
        self.place.surround(&mut cargo);
        with_compilers(&mut cargo);
        cargo.env("CARGO_TARGET_DIR", self.place.beside("target"));
        Done::of_compiling(&mut cargo).data();
    }

    /// Starts the project's machine detached, and returns where its port is.
    #[track_caller]
    fn start(&self, folder: &Path, more: &[&str], guest_port: u16) -> SocketAddr {
        let publish = format!("0:{guest_port}");
        let arguments = [
            &["run", "-p", &publish, "--detach", "--timeout", SECONDS],
            more,
        ]
        .concat();
        let name = self.run(folder, &arguments).data();
        assert_eq!(name.trim(), "demo");
        let list: Value =
            serde_json::from_str(&self.run(folder, &["ps", "--json"]).data()).expect("JSON");
        let port = list[0]["ports"][0]["host_port"].as_u64().expect("a port");
        self.wait_for_log(folder, "listening");
        SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).expect("a port")))
    }

    /// Follows the log until a word comes.
    #[track_caller]
    fn wait_for_log(&self, folder: &Path, word: &str) {
        Process::start(&mut self.command(folder, &["logs", "--follow", "demo"])).wait_for(word);
    }

    /// Stops the machine, and sees that it ended by itself and is listed no more.
    #[track_caller]
    fn stop(&self, folder: &Path) {
        self.run(folder, &["stop", "demo"]).data();
        let list: Value =
            serde_json::from_str(&self.run(folder, &["ps", "--all", "--json"]).data())
                .expect("JSON");
        assert_eq!(list[0]["phase"], "ended", "{list}");
        let log = self.run(folder, &["logs", "demo"]).data();
        assert!(log.contains("ukernel: exit status=0"), "{log}");
        assert_eq!(self.run(folder, &["ps", "--json"]).data().trim(), "[]");
        self.run(folder, &["rm", "demo"]).data();
    }
}

/// Sends a line to an echo server, and expects it back.
#[track_caller]
fn assert_echoes(address: SocketAddr) {
    let mut stream = client::open_echo(address).expect("a connection");
    let mut answer = [0; 5];
    stream
        .write_all(b"hello")
        .and_then(|()| stream.read_exact(&mut answer))
        .expect("an answer");
    assert_eq!(&answer, b"hello");
}

/// All in one test, so that the kernel is compiled once: it is what takes the time.
#[test]
#[ignore = "compiles the kernel, for machines and for tests: ./just test-tool-long"]
fn projects_in_rust_go_all_the_way() {
    let shop = Shop::new();

    let folder = shop.packed("rust", "http");
    let address = shop.start(&folder, &[], 8080);
    let page = http::get(address, "/").expect("a page");
    let text = String::from_utf8(page.body).expect("text");
    assert!(
        page.status == 200 && text.contains("<h1>Hello from demo</h1>"),
        "{text}"
    );
    assert_eq!(
        http::get(address, "/missing").expect("an answer").status,
        404
    );
    shop.stop(&folder);
    // What is said on the command line comes before what was built in.
    let address = shop.start(&folder, &["--env", "GREETING=Good day"], 8080);
    let text = String::from_utf8(http::get(address, "/").expect("a page").body).expect("text");
    assert!(text.contains("<h1>Good day</h1>"), "{text}");
    shop.stop(&folder);
    shop.cargo(&folder, &["test", "--quiet"]);
    shop.cargo(
        &folder,
        &["clippy", "--quiet", "--all-targets", "--", "-D", "warnings"],
    );

    let folder = shop.packed("rust", "echo");
    let address = shop.start(&folder, &[], 7);
    assert_echoes(address);
    shop.stop(&folder);
    shop.cargo(&folder, &["test", "--quiet"]);

    let folder = shop.packed("rust", "job");
    let done = shop.run(&folder, &["run", "--timeout", SECONDS]);
    assert!(
        done.output.contains("job: fibonacci(30) = 832040"),
        "{}",
        done.output
    );
    assert_eq!(done.status, Some(0), "{}", done.words);
    let done = shop.run(&folder, &["run", "--timeout", SECONDS, "--arg", "ten"]);
    assert_eq!(done.status, Some(1), "{}", done.output);
    shop.cargo(&folder, &["test", "--quiet"]);

    // The lock that was written allows the same build, and no other.
    shop.run(&folder, &["build", "--locked"]).data();
    let source = folder.join("src/lib.rs");
    let text = fs::read_to_string(&source).expect("a source");
    fs::write(&source, format!("{text}\n// changed\n")).expect("its own file");
    let done = shop.run(&folder, &["build", "--locked"]);
    assert!(
        done.words.contains("sources: src/lib.rs has changed"),
        "{}",
        done.words
    );
    // A mistake is the compiler's to tell; nothing that was built is lost.
    fs::write(&source, "fn").expect("its own file");
    let done = shop.run(&folder, &["build"]);
    assert!(
        done.status == Some(125) && done.words.contains("src/lib.rs:1"),
        "{}",
        done.words
    );
    assert!(folder.join("build/bundle.tgz").is_file());
}

#[test]
#[ignore = "compiles the kernel: ./just test-tool-long"]
fn a_project_in_c_goes_all_the_way() {
    let shop = Shop::new();
    let folder = shop.packed("c", "echo");
    let address = shop.start(&folder, &[], 7);
    assert_echoes(address);
    shop.stop(&folder);

    // Its test runs on this machine, as its first line says.
    let test = fs::read_to_string(folder.join("tests/pending.c")).expect("a test");
    let command = test
        .lines()
        .next()
        .and_then(|line| line.split_once(": "))
        .expect("a command")
        .1;
    let mut shell = Command::new("sh");
    shell
        .args(["-c", command.trim_end_matches(" */")])
        .current_dir(&folder);
    Done::of(&mut shell).data();

    let source = folder.join("src/main.c");
    fs::write(&source, "int main(void) { return undefined; }\n").expect("its own file");
    let done = shop.run(&folder, &["build"]);
    assert!(
        done.status == Some(125) && done.words.contains("src/main.c:1"),
        "{}",
        done.words
    );
}

#[test]
#[ignore = "compiles the library for Python: ./just test-tool-long"]
fn projects_in_python_run_by_the_adapter() {
    let shop = Shop::new();
    let folder = shop.packed("python", "job");
    let done = shop.run(&folder, &["adapter"]);
    assert_eq!(done.status, Some(0), "{}", done.words);
    assert!(
        done.output.contains("job: fibonacci(30) = 832040"),
        "{}",
        done.output
    );
    assert_eq!(shop.run(&folder, &["adapter", "5", "x"]).status, Some(1));
    // A machine has no interpreter yet: the message says what does.
    let done = shop.run(&folder, &["run"]);
    assert_eq!(done.status, Some(125), "{}", done.words);
    assert!(done.words.contains("ukernel adapter"), "{}", done.words);
    assert_tests_pass(&folder);

    let folder = shop.packed("python", "http");
    let mut server = Process::start(shop.command(&folder, &["adapter"]).env("PORT", "0"));
    let said = server.wait_for("port=");
    let (_, port) = said.rsplit_once("port=").expect("a port");
    let port = port.trim_end().parse().expect("a port");
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let page = http::get(address, "/").expect("a page");
    let text = String::from_utf8(page.body).expect("text");
    assert!(text.contains("<h1>Hello from demo</h1>"), "{text}");
    server.signal(Signal::TERM);
    server.finish().data();
    assert_tests_pass(&folder);
}

/// A project's own tests, as their first line says to run them.
#[track_caller]
fn assert_tests_pass(folder: &Path) {
    let mut tests = Command::new("python3");
    tests
        .args(["-m", "unittest", "discover", "tests"])
        .current_dir(folder);
    Done::of(&mut tests).data();
}
