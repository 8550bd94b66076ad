//! `docs/getting-started.md`, word by word: its commands, run in their order, by the tool as they install it.

use std::fs;
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Signal, kill_process_group};
use system_tests::guest::repository;
use system_tests::place::Place;
use system_tests::process::{Done, Process};

use crate::builder::with_compilers;

/// The port that the page names.
const PORT: &str = "8080";

/// The commands of the page, block by block.
fn blocks() -> Vec<String> {
    let page = fs::read_to_string(repository().join("docs/getting-started.md")).expect("the page");
    let blocks = page.split("\n```").skip(1).step_by(2);
    blocks
        .filter_map(|block| block.strip_prefix("sh\n").map(String::from))
        .collect()
}

/// The issue's promise, to the letter.
#[test]
fn the_page_begins_with_installing_and_a_page_from_a_machine() {
    let blocks = blocks();
    assert_eq!(blocks[0], "cargo install --path bundle-tool");
    assert_eq!(
        blocks[1],
        "ukernel init --lang rust --template http demo && cd demo && ukernel build && ukernel pack && \
         ukernel run -p 8080:8080"
    );
}

/// A person at a terminal, with an empty home.
struct Person {
    place: Place,
    /// In which folder.
    folder: PathBuf,
    /// In place of the page's port, which may be taken here.
    port: String,
}

impl Person {
    fn new() -> Person {
        let place = Place::new();
        let free = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let port = free.local_addr().expect("its own").port().to_string();
        Person {
            folder: place.here(),
            place,
            port,
        }
    }

    fn shell(&self, folder: &Path, words: &str) -> Command {
        let words = words
            .replace(&format!("{PORT}:"), &format!("{}:", self.port))
            .replace(
                &format!("localhost:{PORT}"),
                &format!("localhost:{}", self.port),
            );
        let mut shell = Command::new("sh");
        // Where the shell is at the end is where the next block begins.
        shell
            .args(["-e", "-c", &format!("{words}\npwd >\"$HOME/.pwd\"")])
            .current_dir(folder);
        self.place.surround(&mut shell);
        with_compilers(&mut shell);
        let path = std::env::var("PATH").expect("a path");
        let installed = self.place.beside("installed");
        shell.env("CARGO_INSTALL_ROOT", &installed);
        shell.env(
            "PATH",
            format!("{}:{path}", installed.join("bin").display()),
        );
        shell
    }

    /// Types a block, and returns what it said.
    #[track_caller]
    fn types(&mut self, words: &str) -> String {
        let done = Done::of_compiling(&mut self.shell(&self.folder, words));
        assert_eq!(done.status, Some(0), "{words}\n{}", done.words);
        let place = fs::read_to_string(self.place.beside("home/.pwd")).expect("the shell wrote it");
        self.folder = place.trim_end().into();
        done.output
    }

    /// Types a block that goes on, up to a word of its log.
    #[track_caller]
    fn starts(&mut self, words: &str, until: &str) -> Process {
        let mut shell = self.shell(&self.folder, words);
        let mut process = Process::start(shell.process_group(0)).which_compiles();
        process.wait_for(until);
        process
    }
}

/// Ctrl-C.
fn interrupt(process: &Process) {
    kill_process_group(process.id(), Signal::INT).expect("a group of its own");
}

#[test]
#[ignore = "installs the tool and compiles the kernel: ./just test-tool-long"]
fn every_command_of_the_page_works() {
    let mut person = Person::new();
    let mut blocks = blocks().into_iter();
    let mut next = || blocks.next().expect("another block");

    Done::of_compiling(&mut person.shell(&repository(), &next())).data();
    // From here on the tool must not need the clone: what it is called with is a copy elsewhere.

    let machine = person.starts(&next(), "http: listening port=8080");
    person.folder.push("demo");
    let page = person.types(&next());
    assert!(page.contains("<h1>Hello from demo</h1>"), "{page}");
    interrupt(&machine);
    // The shell's own status may be that of the signal; the machine has stopped by itself.
    let log = machine.finish().output;
    assert!(log.ends_with("ukernel: exit status=0\n"), "{log}");

    let words: Vec<String> = blocks.collect();
    let all = words.join("\n");
    for command in [
        "cargo test",
        "build --release",
        "--locked",
        "--detach",
        "logs",
        "stop",
        "--lang c",
        "adapter",
    ] {
        assert!(all.contains(command), "the page does not show {command}");
    }
    let mut said = String::new();
    for block in words {
        said += &person.types(&block);
    }
    // What `logs` shows depends on how fast a person types; that the machine was there does not.
    assert!(said.contains("->8080/tcp"), "ps: {said}");
    assert!(
        said.contains("job: fibonacci(30) = 832040"),
        "the adapter: {said}"
    );
}
