//! The script `./just` on machines that lack something: what it installs, what it says, and how it ends.
//!
//! Each machine is a folder: a repository with the script, a home, and a `PATH` with nothing on it but
//! stand-ins that note how they were called. So nothing is installed and no network is touched.

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

use system_tests::guest::repository;
use tempfile::TempDir;

/// What the script may use of any machine.
const ORDINARY: [&str; 7] = ["dirname", "env", "ln", "mkdir", "rm", "sed", "tail"];
/// How many programs the script may start on a machine that has everything, `just` included.
const MAX_PROGRAMS: usize = 6;
/// A `just` that shows what it was given, with a status of its own.
const JUST: &str = "printf '[%s]' \"$@\"; exit 7";
/// Why what a test does to its machine works.
const WRITABLE: &str = "a temporary folder is writable";

struct Machine {
    folder: TempDir,
}

struct Run {
    status: Option<i32>,
    output: String,
    /// What it said on its standard error.
    words: String,
    /// The programs that it started, each with its arguments.
    calls: Vec<String>,
}

impl Machine {
    /// A machine without anything that the script looks for, and an ordinary user.
    fn bare() -> Machine {
        let machine = Machine {
            folder: tempfile::tempdir().expect("a temporary folder"),
        };
        for folder in ["repo", "home", "bin", "stubs"] {
            fs::create_dir(machine.path(folder)).expect(WRITABLE);
        }
        for file in ["just", "rust-toolchain.toml"] {
            symlink(repository().join(file), machine.path("repo").join(file)).expect(WRITABLE);
        }
        let machine = ORDINARY.iter().fold(machine, |machine, name| {
            machine.with(name, &format!("exec {} \"$@\"", on_this_host(name)))
        });
        machine.with("id", "echo 1000")
    }

    /// A machine with everything but `just`.
    fn without_just() -> Machine {
        Machine::bare()
            .with_rust()
            .with("cc", "")
            .with("qemu-system-x86_64", "")
    }

    /// A machine with everything.
    fn complete() -> Machine {
        Machine::without_just().with("just", JUST)
    }

    /// Puts a program on the `PATH`, or changes what it does.
    fn with(self, name: &str, script: &str) -> Machine {
        let link = self.path("bin").join(name);
        if !link.exists() {
            symlink(stub(), link).expect(WRITABLE);
        }
        self.once_installed(name, script)
    }

    /// Says what a program will do when it has been installed.
    fn once_installed(self, name: &str, script: &str) -> Machine {
        fs::write(self.path("stubs").join(name), script).expect(WRITABLE);
        self
    }

    /// Takes a program away.
    fn without(self, name: &str) -> Machine {
        fs::remove_file(self.path("bin").join(name)).expect(WRITABLE);
        self
    }

    /// Gives the machine `rustup` and the toolchain that the repository names.
    fn with_rust(self) -> Machine {
        let text = fs::read_to_string(repository().join("rust-toolchain.toml"))
            .expect("it names the toolchain");
        let channel = text.split('"').nth(1).expect("a channel");
        let toolchain = self.path(&format!("home/.rustup/toolchains/{channel}-host"));
        for target in ["x86_64-unknown-none", "x86_64-unknown-linux-musl"] {
            fs::create_dir_all(toolchain.join("lib/rustlib").join(target)).expect(WRITABLE);
        }
        fs::create_dir(toolchain.join("bin")).expect(WRITABLE);
        for program in ["cargo-clippy", "rustfmt"] {
            symlink("/bin/sh", toolchain.join("bin").join(program)).expect(WRITABLE);
        }
        self.with("rustup", "").with("cargo", "")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs the script from another folder, with an environment that has nothing else.
    fn just(&self, arguments: &[&str]) -> Run {
        let calls = self.path("stubs/calls");
        let _ = fs::remove_file(&calls);
        let output = Command::new(self.path("repo/just"))
            .args(arguments)
            .current_dir(self.path("home"))
            .env_clear()
            .env("PATH", self.path("bin"))
            .env("HOME", self.path("home"))
            .env("STUBS", self.path("stubs"))
            .env("STUB", stub())
            .output()
            .expect("the script runs");
        let calls = fs::read_to_string(calls).unwrap_or_default();
        Run {
            status: output.status.code(),
            output: String::from_utf8(output.stdout).expect("text"),
            words: String::from_utf8(output.stderr).expect("text"),
            calls: calls.lines().map(String::from).collect(),
        }
    }
}

impl Run {
    /// The calls of one program, by their arguments.
    fn calls_of(&self, program: &str) -> Vec<&str> {
        let calls = self.calls.iter().filter_map(|call| call.split_once(' '));
        calls
            .filter_map(|(name, arguments)| (name == program).then_some(arguments))
            .collect()
    }

    /// Checks that exactly one line has `text`.
    #[track_caller]
    fn expect_said_once(&self, text: &str) {
        let lines = self.words.lines().filter(|line| line.contains(text));
        assert_eq!(lines.count(), 1, "'{text}' once in:\n{}", self.words);
    }

    /// Checks that `just` took over, and that its status came back.
    #[track_caller]
    fn expect_handed_over(&self) {
        assert_eq!(self.calls_of("just").len(), 1, "{:#?}", self.calls);
        assert_eq!(self.status, Some(7), "{}", self.words);
    }

    /// Checks that it ended with an error before `just` took over.
    #[track_caller]
    fn expect_failed(&self) {
        assert_eq!(self.calls_of("just").len(), 0, "{:#?}", self.calls);
        assert_eq!(self.status, Some(1), "{}", self.words);
    }
}

/// The program behind each name; see there.
fn stub() -> PathBuf {
    repository().join("tests/host/wrapper/stub")
}

fn on_this_host(name: &str) -> String {
    let path = env::var_os("PATH").expect("a PATH");
    let candidates = env::split_paths(&path).map(|folder| folder.join(name));
    let found = candidates.into_iter().find(|candidate| candidate.exists());
    let found = found.unwrap_or_else(|| panic!("{name} is not on the PATH"));
    found.to_str().expect("a UTF-8 path").to_string()
}

#[test]
fn a_complete_machine_is_left_alone() {
    let machine = Machine::complete();
    let run = machine.just(&["test-vm", "two words", "*", ""]);
    run.expect_handed_over();
    assert_eq!(run.words, "", "nothing is worth a word");
    let repo = machine.path("repo");
    let expected = format!(
        "[--justfile][{0}/justfile][--working-directory][{0}][test-vm][two words][*][]",
        repo.display()
    );
    assert_eq!(run.output, expected);
    // No installer among them, as each program that it may start stands here.
    for call in &run.calls {
        let program = call.split(' ').next().unwrap_or_default();
        assert!(
            ["dirname", "sed", "mkdir", "just"].contains(&program),
            "{call}"
        );
    }
    assert!(run.calls.len() <= MAX_PROGRAMS, "{:#?}", run.calls);
}

/// What `python3 -m venv FOLDER` and the `pip` in it do.
const VENV: &str = "mkdir -p \"$3/bin\"; ln -s \"$STUB\" \"$3/bin/pip\"";
const PIP: &str = "ln -s \"$STUB\" \"${0%/*}/just\"";
/// What `cargo install --quiet --locked just --root FOLDER` does.
const CARGO: &str = "mkdir -p \"$6/bin\"; ln -s \"$STUB\" \"$6/bin/just\"";

#[test]
fn just_is_installed_from_a_package_once() {
    let machine = Machine::without_just()
        .with("python3", VENV)
        .once_installed("pip", PIP)
        .once_installed("just", JUST);
    let run = machine.just(&["run"]);
    run.expect_handed_over();
    let said = "just: installing just: pip install rust-just, into build/tools/venv\n";
    assert_eq!(run.words, said);
    assert!(
        run.calls_of("pip")[0].ends_with("install --quiet --disable-pip-version-check rust-just")
    );
    let again = machine.just(&["run"]);
    again.expect_handed_over();
    assert_eq!(again.words, "");
    assert!(again.calls.len() <= MAX_PROGRAMS, "{:#?}", again.calls);
}

#[test]
fn just_is_built_where_there_is_no_package() {
    for python in [None, Some("exit 1"), Some(VENV)] {
        let machine = Machine::without_just()
            .with("cargo", CARGO)
            .once_installed("pip", "exit 1")
            .once_installed("just", JUST);
        let machine = match python {
            Some(script) => machine.with("python3", script),
            None => machine,
        };
        let run = machine.just(&["run"]);
        run.expect_handed_over();
        run.expect_said_once(
            "just: installing just: cargo install --locked just, into build/tools",
        );
        assert_eq!(
            run.words.contains("that did not work"),
            python.is_some(),
            "{}",
            run.words
        );
        assert_eq!(machine.just(&["run"]).words, "", "a second time");
    }
}

#[test]
fn a_just_that_cannot_be_had_is_an_error() {
    let failing = Machine::without_just().with("cargo", "echo no network >&2; exit 101");
    let run = failing.just(&["run"]);
    run.expect_failed();
    run.expect_said_once("no network");
    run.expect_said_once("just: cargo failed; please install just: https://just.systems");
    // Neither is one that says it is installed, and is not.
    let run = Machine::without_just().just(&["run"]);
    run.expect_failed();
    run.expect_said_once("just: just was installed but is not in");
}

#[test]
fn rust_is_installed_as_the_repository_names_it() {
    let machine = Machine::complete();
    fs::remove_dir_all(machine.path("home/.rustup")).unwrap();
    let run = machine.just(&["run"]);
    run.expect_handed_over();
    run.expect_said_once("installing");
    let [call] = run.calls_of("rustup")[..] else {
        panic!("rustup is called once: {:#?}", run.calls);
    };
    assert!(call.starts_with("toolchain install 1."), "{call}");
    for wanted in [
        "--component clippy",
        "--component rustfmt",
        "--target x86_64-unknown-none",
        "--target x86_64-unknown-linux-musl",
    ] {
        assert!(call.contains(wanted), "{wanted}: {call}");
    }

    let run = machine.with("rustup", "exit 1").just(&["run"]);
    run.expect_failed();
    run.expect_said_once("just: rustup failed; see above");
}

#[test]
fn a_toolchain_that_lacks_a_target_is_completed() {
    let machine = Machine::complete();
    machine.just(&["run"]).expect_handed_over();
    let toolchains = machine.path("home/.rustup/toolchains");
    let toolchain = fs::read_dir(toolchains).unwrap().next().unwrap().unwrap();
    let musl = "lib/rustlib/x86_64-unknown-linux-musl";
    fs::remove_dir(toolchain.path().join(musl)).unwrap();
    let run = machine.just(&["run"]);
    run.expect_handed_over();
    assert_eq!(run.calls_of("rustup").len(), 1, "{:#?}", run.calls);
}

#[test]
fn rustup_is_for_the_person_to_install() {
    let run = Machine::complete().without("rustup").just(&["run"]);
    run.expect_failed();
    assert_eq!(
        run.words,
        "just: rustup is missing; please install it from https://rustup.rs\n"
    );
    // Where it keeps its programs is looked at too.
    let machine = Machine::complete().without("rustup");
    fs::create_dir_all(machine.path("home/.cargo/bin")).unwrap();
    symlink(stub(), machine.path("home/.cargo/bin/rustup")).unwrap();
    machine.just(&["run"]).expect_handed_over();
}

/// What asks for packages, and what they are called: without a compiler nothing can be built, without
/// QEMU much can.
const COMPILER: (&str, &str) = ("cc", "gcc libc6-dev");
const QEMU: (&str, &str) = ("qemu-system-x86_64", "qemu-system-x86");

#[test]
fn packages_are_installed_as_root_or_by_sudo() {
    for (program, packages) in [COMPILER, QEMU] {
        let ordered = format!("-y --no-install-recommends install {packages}");
        let noninteractive = "[ \"$DEBIAN_FRONTEND\" = noninteractive ]";
        let machine = Machine::complete()
            .without(program)
            .with("apt-get", noninteractive)
            .with("id", "echo 0");
        let run = machine.just(&["run"]);
        run.expect_handed_over();
        assert_eq!(run.words.lines().count(), 1, "{}", run.words);
        run.expect_said_once(&format!(": apt-get install {packages}"));
        assert_eq!(run.calls_of("apt-get"), [ordered.as_str()]);

        let machine = machine
            .with("id", "echo 1000")
            .with("sudo", "[ \"$1\" = -n ] || exit 1; shift; \"$@\"");
        let run = machine.just(&["run"]);
        run.expect_handed_over();
        assert_eq!(run.calls_of("apt-get"), [ordered.as_str()]);
        assert_eq!(
            run.calls_of("sudo").len(),
            2,
            "asked whether it works: {:#?}",
            run.calls
        );
    }
}

#[test]
fn old_lists_of_packages_are_fetched_anew() {
    let machine = Machine::complete().without("cc").with("id", "echo 0").with(
        "apt-get",
        "[ \"$3\" != update ] || : >\"$STUBS/fresh\"; [ -e \"$STUBS/fresh\" ]",
    );
    let run = machine.just(&["run"]);
    run.expect_handed_over();
    let orders: Vec<_> = run
        .calls_of("apt-get")
        .iter()
        .filter_map(|call| call.split(' ').nth(2))
        .collect();
    assert_eq!(orders, ["install", "update", "install"]);
}

#[test]
fn what_cannot_be_installed_from_here_is_named() {
    for (program, packages) in [COMPILER, QEMU] {
        let bare = || Machine::complete().without(program);
        let refused = "exit 1";
        for machine in [
            bare().with("id", "echo 0"),                      // root, but no apt
            bare().with("apt-get", ""),                       // apt, but neither root nor sudo
            bare().with("apt-get", "").with("sudo", refused), // a sudo that would ask
        ] {
            let run = machine.just(&["run"]);
            run.expect_said_once(&format!(
                "is missing and cannot be installed from here; please install: {packages}"
            ));
            assert_eq!(run.calls_of("apt-get").len(), 0, "{:#?}", run.calls);
            match program {
                "cc" => run.expect_failed(),
                _ => run.expect_handed_over(),
            }
        }
    }
}

#[test]
fn packages_that_do_not_come_are_a_clear_error() {
    for (program, packages) in [COMPILER, QEMU] {
        let machine = Machine::complete()
            .without(program)
            .with("id", "echo 0")
            .with("apt-get", "echo E: no route to the mirror; exit 100");
        let run = machine.just(&["run"]);
        run.expect_said_once("E: no route to the mirror");
        run.expect_said_once("just: apt-get failed (");
        run.expect_said_once(&format!("; please install: {packages}"));
        match program {
            "cc" => run.expect_failed(),
            _ => run.expect_handed_over(),
        }
    }
}
