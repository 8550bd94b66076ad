//! `ukernel remote`, with an sshd on loopback.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use serde_json::Value;
use system_tests::client::connect;
use system_tests::place::{Place, write_program};
use system_tests::process::{Done, Process, soon};
use system_tests::tiny_guest::{Step, exit_record, tiny_guest};

use crate::sshd::{Elsewhere, HOST};

/// Says how it was called, and from where.
const FAKE_TOOL: &str = r#"printf '%s\n' "$PWD"; printf '[%s]' "$@"; echo; exit 3"#;

const MANIFEST: &str = "[project]\nname = \"demo\"\nlanguage = \"rust\"\n";

fn elsewhere() -> Option<Elsewhere> {
    let elsewhere = Elsewhere::new()?;
    elsewhere.place().write("ukernel.toml", MANIFEST);
    Some(elsewhere)
}

#[test]
fn a_commands_words_arrive_as_they_were() {
    let Some(elsewhere) = elsewhere() else { return };
    fs::create_dir_all(elsewhere.folder()).unwrap();
    let words = [
        "a b",
        "it's",
        "\"q\"",
        "$HOME",
        "`id`",
        "\\n",
        "*",
        "",
        "--",
        "-x",
        "ü\ttab",
        "line\nline",
        ";exit 9",
    ];
    let arguments: Vec<&str> = ["exec", "printf", "[%s]"]
        .iter()
        .chain(&words)
        .copied()
        .collect();
    let expected: String = words.iter().map(|word| format!("[{word}]")).collect();
    assert_eq!(elsewhere.run(&arguments).data(), expected);
    let there = elsewhere.run(&["exec", "pwd"]).data();
    assert_eq!(there.trim_end(), elsewhere.folder().to_str().unwrap());
}

#[test]
fn the_status_is_that_of_the_command_there() {
    let Some(elsewhere) = elsewhere() else { return };
    fs::create_dir_all(elsewhere.folder()).unwrap();
    let done = elsewhere.run(&["exec", "sh", "-c", "echo out; echo err >&2; exit 7"]);
    assert_eq!(
        (done.status, done.output.as_str(), done.words.as_str()),
        (Some(7), "out\n", "err\n")
    );
    let done = elsewhere.run(&["exec", "sh", "-c", "exit 255"]);
    assert_eq!(
        (done.status, done.words.as_str()),
        (Some(254), ""),
        "255 would mean no connection"
    );
}

#[test]
fn the_project_is_copied_before_it_is_built_and_only_what_is_the_projects() {
    let Some(elsewhere) = elsewhere() else { return };
    let place = elsewhere.place();
    elsewhere.install("ukernel", FAKE_TOOL);
    place.write("src/a file.rs", "one");
    place.write("build/vmlinux", "built here");
    place.write("src/build/mod.rs", "no build folder of ours");
    let done = elsewhere.run(&["build", "--release", "a b"]);
    assert_eq!(done.status, Some(3), "{done:?}");
    let there = elsewhere.folder();
    assert_eq!(
        done.output,
        format!("{}\n[build][--release][a b]\n", there.display())
    );
    assert!(
        done.words.contains("Copied the project to elsewhere:"),
        "{}",
        done.words
    );
    assert_eq!(
        fs::read_to_string(there.join("src/a file.rs")).unwrap(),
        "one"
    );
    assert!(there.join("src/build/mod.rs").exists());
    assert!(!there.join("build").exists() && !there.join(".remote").exists());

    fs::create_dir(there.join("build")).unwrap();
    place.write("src/a file.rs", "two");
    fs::remove_dir_all(place.here().join("src/build")).unwrap();
    let done = elsewhere.run(&["run", "--no-sync"]);
    assert!(done.output.ends_with("[run]\n"), "{done:?}");
    assert_eq!(
        fs::read_to_string(there.join("src/a file.rs")).unwrap(),
        "one",
        "not asked for"
    );
    let done = elsewhere.run(&["run"]);
    assert_eq!(done.status, Some(3));
    assert_eq!(
        fs::read_to_string(there.join("src/a file.rs")).unwrap(),
        "two"
    );
    assert!(
        !there.join("src/build").exists(),
        "deleted here, deleted there"
    );
    assert!(there.join("build").exists(), "what is built there stays");
}

#[test]
fn the_differences_are_told_before_anything_is_copied() {
    let Some(elsewhere) = elsewhere() else { return };
    let place = elsewhere.place();
    place.write("src/main.rs", "one");
    let status = || -> Value {
        let done = elsewhere.run(&["sync-status", "--json"]);
        serde_json::from_str(&done.data()).unwrap()
    };
    let all = serde_json::json!({ "by": "rsync", "differs": [".gitignore", "src/main.rs", "ukernel.toml"] });
    place.write(".gitignore", "/build\n");
    assert_eq!(status(), all);
    assert!(!elsewhere.folder().join("ukernel.toml").exists());
    let started = elsewhere.run(&["sync-start"]);
    assert_eq!(started.status, Some(0), "{started:?}");
    assert!(
        started.words.contains("Mutagen is not installed"),
        "{}",
        started.words
    );
    assert_eq!(status()["differs"], serde_json::json!([]));
    place.write("src/main.rs", "another");
    assert_eq!(elsewhere.run(&["sync-status"]).data(), "src/main.rs\n");
    let stopped = elsewhere.run(&["sync-stop"]);
    assert!(
        stopped.words.contains("nothing keeps both sides the same"),
        "{stopped:?}"
    );
}

#[test]
fn a_projects_own_tests_run_there() {
    let Some(elsewhere) = elsewhere() else { return };
    let place = elsewhere.place();
    place.write("ukernel.toml", &MANIFEST.replace("rust", "c"));
    place.write("src/answer.h", "enum { ANSWER = 42 };\n");
    let test = |answer: u32| {
        format!("#include \"answer.h\"\nint main(void) {{ return ANSWER != {answer}; }}\n")
    };
    place.write("tests/a.c", &test(42));
    assert_eq!(elsewhere.run(&["test"]).status, Some(0));
    place.write("tests/b.c", &test(41));
    let done = elsewhere.run(&["test"]);
    assert_eq!(done.status, Some(1));
    assert!(done.words.ends_with("failed: tests/b.c\n"), "{done:?}");

    place.write("ukernel.toml", &MANIFEST.replace("rust", "python"));
    let test =
        "import unittest\nclass T(unittest.TestCase):\n    def test_it(self): print('ran there')\n";
    place.write("tests/test_it.py", test);
    assert_eq!(elsewhere.run(&["test"]).data(), "ran there\n");
}

/// What is not in the project is deleted there: not in a folder that is somebody's.
#[test]
fn a_folder_of_somebody_elses_is_left_alone() {
    let Some(elsewhere) = elsewhere() else { return };
    fs::create_dir_all(elsewhere.folder()).unwrap();
    fs::write(elsewhere.folder().join("thesis.tex"), "years of work").unwrap();
    let done = elsewhere.run(&["sync-start"]);
    assert_eq!(done.status, Some(125));
    assert!(
        done.words.contains("is not empty and holds no project"),
        "{}",
        done.words
    );
    assert!(elsewhere.folder().join("thesis.tex").exists());
}

#[test]
fn a_project_that_is_not_there_yet_says_what_copies_it() {
    let Some(elsewhere) = elsewhere() else { return };
    let done = elsewhere.run(&["exec", "true"]);
    assert_eq!(done.status, Some(125));
    assert!(
        done.words.contains("ukernel remote sync-start copies it"),
        "{}",
        done.words
    );
}

#[test]
fn a_lost_connection_is_an_error_of_its_own() {
    let Some(mut elsewhere) = elsewhere() else {
        return;
    };
    fs::create_dir_all(elsewhere.folder()).unwrap();
    let mut command = elsewhere.remote(&["exec", "sh", "-c", "echo up; exec cat"]);
    let mut exec = Process::start(command.stdin(Stdio::piped()));
    assert_eq!(exec.wait_for("up"), "up\n");
    elsewhere.cut();
    // Its input stays open: that is not why it ends.
    let words = exec.wait_for_words("hint: ");
    let done = exec.finish();
    assert_eq!(
        (done.status, done.words.as_str()),
        (Some(125), ""),
        "{words}"
    );
    let expected = "error: the connection to elsewhere could not be made or was lost\n\
                    hint: see what ssh said above; `ssh elsewhere` tries the connection alone\n";
    assert!(words.ends_with(expected), "{words}");

    // Nobody listens any more, for ssh and for rsync.
    for command in ["exec", "build"] {
        let done = elsewhere.run(&[command, "true"]);
        assert_eq!(done.status, Some(125), "{done:?}");
        assert!(done.words.ends_with(expected), "{done:?}");
    }
}

/// The tool there is the tool itself, with a guest of a few instructions.
#[test]
fn a_guests_status_comes_from_there() {
    let Some(elsewhere) = elsewhere() else { return };
    fs::create_dir_all(elsewhere.folder()).unwrap();
    let real = system_tests::guest::tool();
    elsewhere.install("ukernel", &format!("exec '{}' \"$@\"", real.display()));
    let guest = tiny_guest(&[
        Step::Print("hello from there\n".into()),
        exit_record(7),
        Step::Reset,
    ]);
    let kernel = guest.path().to_str().unwrap();
    let run = [
        "ukernel",
        "run",
        "--accel",
        "tcg",
        "--memory",
        "16M",
        "--timeout",
        "60",
        "--kernel",
        kernel,
    ];
    let done = elsewhere.run(&run);
    assert_eq!(done.status, Some(7), "{done:?}");
    assert!(done.output.starts_with("hello from there\n"), "{done:?}");
}

#[test]
fn a_port_here_leads_to_one_there_while_it_runs() {
    let Some(elsewhere) = elsewhere() else { return };
    let there = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let here = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let ports = [&here, &there].map(|listener| listener.local_addr().unwrap().port());
    drop(here);
    elsewhere.install("ukernel", "echo up; read -r line; echo \"$line\"");
    let forward = format!("{}:{}", ports[0], ports[1]);
    let mut command = elsewhere.remote(&["run", "--forward", &forward]);
    let mut run = Process::start(command.stdin(Stdio::piped()));
    assert_eq!(run.wait_for("up"), "up\n");
    let mut client = connect(([127, 0, 0, 1], ports[0]).into()).unwrap();
    let (mut server, _) = soon("a connection there", move || there.accept()).unwrap();
    server.write_all(b"page").unwrap();
    drop(server);
    let mut page = String::new();
    client.read_to_string(&mut page).unwrap();
    assert_eq!(page, "page");
    drop(client);
    run.write("stop\n");
    assert_eq!(run.wait_for("stop"), "stop\n", "standard input goes there");
    run.finish().data();
}

#[test]
fn setup_puts_the_tool_there_and_says_what_it_would_run() {
    let Some(elsewhere) = elsewhere() else { return };
    // As seen from there, a machine that lacks something which a command fixes, and says how.
    let report = r#"{"build":{"possible":false,"how":"needs: target"},"run":{"possible":true,"how":"QEMU"},"checks":[
        {"name":"kvm","status":"limited","detail":"emulates","fix":{"advice":"turn it on"}},
        {"name":"target","status":"missing","detail":"none","fix":{"command":"touch fixed; exit 4"}}]}"#;
    let done = elsewhere.run(&["setup", "--dry-run"]);
    let installed = elsewhere.home().join(".local/bin/ukernel");
    assert!(done.words.contains("Installed ukernel "), "{done:?}");
    let tool = fs::read(system_tests::guest::tool()).unwrap();
    assert!(
        fs::read(&installed).unwrap() == tool,
        "the very same program"
    );
    assert!(
        done.output.contains("  qemu  ") && done.output.contains("  target  "),
        "{done:?}"
    );

    // Another program takes the tool's place, as `setup` would replace it: by its name in the PATH.
    let stand_in = elsewhere.home().join(".cargo/bin/ukernel");
    write_program(&stand_in, &format!("cat <<'E'\n{report}\nE"));
    let done = elsewhere.run(&["setup", "--dry-run"]);
    assert!(
        done.words.contains("Would run touch fixed; exit 4"),
        "{done:?}"
    );
    assert!(!elsewhere.home().join("fixed").exists());
    assert_eq!(done.status, Some(1), "building is not possible there");
    let done = elsewhere.run(&["setup"]);
    assert!(elsewhere.home().join("fixed").exists(), "{done:?}");
    assert!(
        done.words
            .contains("warning: target: the command ended with status 4"),
        "{done:?}"
    );
    assert!(
        !done.words.contains("turn it on"),
        "a person's part is no command: {done:?}"
    );
    assert!(done.output.contains("advice: turn it on"), "{done:?}");
}

#[test]
fn mutagen_keeps_both_sides_the_same_where_it_is_installed() {
    let Some(elsewhere) = elsewhere() else { return };
    let place = elsewhere.place();
    elsewhere.install("ukernel", FAKE_TOOL);
    // One that only remembers: which sessions there are, and what it was told.
    let program = r#"cd "$(dirname "$0")"; echo "$@" >> said
        case "$2" in
            create) for word in "$@"; do case "$word" in --name=*) echo "${word#--name=}" > session ;; esac; done ;;
            list|flush) [ "$3" = "$(cat session 2>/dev/null)" ] && echo "session $3" ;;
            terminate) rm session ;;
        esac"#;
    write_program(&place.beside("mutagen/mutagen"), program);
    let path = format!(
        "{}:{}",
        place.beside("mutagen").display(),
        std::env::var("PATH").unwrap()
    );
    let run = |arguments: &[&str]| Done::of(elsewhere.remote(arguments).env("PATH", &path));
    assert_eq!(run(&["sync-start"]).status, Some(0));
    assert!(run(&["sync-status"]).data().starts_with("session ukernel-"));
    assert!(run(&["sync-start"]).words.contains("already"));
    fs::create_dir_all(elsewhere.folder()).unwrap();
    let built = run(&["build"]);
    assert!(
        !built.words.contains("Copied"),
        "Mutagen does that: {built:?}"
    );
    assert_eq!(run(&["sync-stop"]).status, Some(0));
    let said = fs::read_to_string(place.beside("mutagen/said")).unwrap();
    let there = format!("{HOST}:{}", elsewhere.folder().display());
    let create = said
        .lines()
        .find(|line| line.starts_with("sync create"))
        .unwrap();
    assert!(
        create.ends_with(&format!("{} {there}", place.here().display())),
        "{create}"
    );
    assert!(said.contains("sync flush ukernel-"), "{said}");
    assert!(run(&["build"]).words.contains("Copied"), "by rsync again");
}

/// A terminal there is one here, and what is typed goes there.
#[test]
fn a_shell_starts_in_the_projects_folder() {
    let Some(elsewhere) = elsewhere() else { return };
    fs::create_dir_all(elsewhere.folder()).unwrap();
    let mut command = elsewhere.remote(&["shell"]);
    let mut shell = Process::start(command.env("SHELL", "/bin/sh").stdin(Stdio::piped()));
    shell.write("pwd; exit 5\n");
    let done = shell.finish();
    assert_eq!(done.status, Some(5), "{done:?}");
    let folder = elsewhere.folder();
    assert!(done.output.contains(folder.to_str().unwrap()), "{done:?}");
}

#[test]
fn without_a_project_commands_still_run_there() {
    let Some(elsewhere) = Elsewhere::new() else {
        return;
    };
    fs::create_dir_all(elsewhere.folder()).unwrap();
    assert_eq!(elsewhere.run(&["exec", "echo", "hi"]).data(), "hi\n");
    let done = elsewhere.run(&["build"]);
    assert_eq!(done.status, Some(125));
    assert!(
        done.words.contains("hint: `ukernel init` makes a project"),
        "{}",
        done.words
    );
}

#[test]
fn a_place_without_a_machine_says_how_to_name_one() {
    let place = Place::new();
    let done = place.run(&["remote", "exec", "true"]);
    assert_eq!(done.status, Some(125));
    assert!(
        done.words.contains("UKERNEL_REMOTE=user@host"),
        "{}",
        done.words
    );
    let mut command: Command = place.tool(&["remote", "exec", "true"]);
    command.env("UKERNEL_REMOTE", "-oProxyCommand=touch pwned");
    let done = Done::of(&mut command);
    assert!(done.words.contains("is no name of a machine"), "{done:?}");
    assert!(!place.here().join("pwned").exists());
}
