//! `ukernel init`, `build` and `adapter`, as far as nothing has to be compiled: what they write, and how they refuse.

use std::fs;
use std::path::Path;

use bundle_tool::image;
use bundle_tool::lock::Lock;
use rustix::process::Pid;
use system_tests::place::{Place, write};
use system_tests::process::{Process, until};

use crate::builder::{project, run, tool};

const TEMPLATES: &[(&str, &str)] = &[
    ("rust", "http"),
    ("rust", "echo"),
    ("rust", "job"),
    ("c", "echo"),
    ("python", "http"),
    ("python", "job"),
];

#[test]
fn every_template_becomes_a_project_in_an_empty_folder() {
    for (language, template) in TEMPLATES {
        let place = Place::new();
        let folder = project(&place, language, template);
        let there = |name: &str| folder.join(name).is_file();
        for name in ["ukernel.toml", "env/ukernel.env", ".gitignore"] {
            assert!(there(name), "{language} {template}: no {name}");
        }
        // What the package depends on is there: Cargo can be used at once.
        assert_eq!(
            there(".ukernel/kernel/kernel/Cargo.toml"),
            *language == "rust"
        );
        assert_eq!(
            fs::read_dir(place.here()).unwrap().count(),
            1,
            "something else was left"
        );
    }
}

#[test]
fn the_current_folder_can_become_a_project() {
    let place = Place::new();
    let folder = place.here().join("my-folder");
    fs::create_dir(&folder).unwrap();
    write(&folder.join("README.md"), "mine");
    run(&place, &folder, &["init", "--lang", "c"]).data();
    assert!(
        fs::read_to_string(folder.join("ukernel.toml"))
            .unwrap()
            .contains("name = \"my-folder\"")
    );
    let again = run(&place, &folder, &["init", "--lang", "python"]);
    assert_eq!(again.status, Some(125));
    assert!(
        again
            .words
            .contains("already has env/ukernel.env, ukernel.toml"),
        "{}",
        again.words
    );
    assert!(!folder.join("src/main.py").exists());
}

#[test]
fn what_cannot_be_a_project_is_refused_as_wrong_usage() {
    let place = Place::new();
    for (arguments, words) in [
        (
            &["--lang", "c", "--template", "job"][..],
            "c has no template job, but echo",
        ),
        (&["--name", "1st"], "'1st' is no name"),
        (
            &["--name", "test"],
            "a package in Rust cannot be called test",
        ),
        (&["--lang", "cobol"], "possible values: rust, c, python"),
    ] {
        let arguments = [&["init", "demo"], arguments].concat();
        let done = run(&place, &place.here(), &arguments);
        assert_eq!(done.status, Some(2), "{arguments:?}: {}", done.words);
        assert!(done.words.contains(words), "{arguments:?}: {}", done.words);
    }
    assert_eq!(fs::read_dir(place.here()).unwrap().count(), 0);
}

fn built() -> (Place, std::path::PathBuf) {
    let place = Place::new();
    let folder = project(&place, "python", "http");
    run(&place, &folder, &["build"]).data();
    (place, folder)
}

#[test]
fn a_build_in_python_is_a_bundle_an_adapter_and_a_lock() {
    let (_place, folder) = built();
    let bundle = image::verify(&folder.join("build/bundle.tgz")).unwrap();
    let names: Vec<_> = bundle
        .index
        .files
        .iter()
        .map(|file| file.path.as_str())
        .collect();
    assert_eq!(names, ["src/main.py", "src/pages.py"]);
    assert_eq!(bundle.index.name, "demo");
    let has = |option: &str| bundle.index.options.iter().any(|known| known == option);
    assert!(
        has("env=GREETING=Hello from demo") && has("allow=net:listen:tcp:8080"),
        "{:?}",
        bundle.index.options
    );
    assert!(!folder.join("build/vmlinux").exists());

    let adapters: Vec<_> = fs::read_dir(folder.join("build/adapter"))
        .unwrap()
        .collect();
    let adapter = adapters[0].as_ref().unwrap().path().join("adapter.toml");
    let adapter = fs::read_to_string(adapter).unwrap();
    assert!(
        adapter.contains("language = \"python\"") && adapter.contains("entry = \"src/main.py\""),
        "{adapter}"
    );

    let lock = Lock::read(&folder.join("ukernel.lock")).unwrap();
    let sources: Vec<_> = lock.sources.keys().map(String::as_str).collect();
    assert_eq!(
        sources,
        [
            "env/ukernel.env",
            "src/main.py",
            "src/pages.py",
            "ukernel.toml"
        ]
    );
    assert!(lock.kernel["digest"].starts_with("sha256:") && lock.toolchain.contains_key("python"));
}

#[test]
fn a_locked_build_names_what_differs() {
    let (place, folder) = built();
    let before = fs::read(folder.join("build/bundle.tgz")).unwrap();
    run(&place, &folder, &["build", "--locked"]).data();
    write(&folder.join("src/pages.py"), "answer = 1\n");
    write(&folder.join("src/more.py"), "");
    let done = run(&place, &folder, &["build", "--locked"]);
    assert_eq!(done.status, Some(125));
    assert!(
        done.words.contains("sources: src/pages.py has changed"),
        "{}",
        done.words
    );
    fs::remove_file(folder.join("src/pages.py")).unwrap();
    let done = run(&place, &folder, &["build", "--locked"]);
    assert!(
        done.words.contains("sources: src/pages.py is gone"),
        "{}",
        done.words
    );
    assert_eq!(
        fs::read(folder.join("build/bundle.tgz")).unwrap(),
        before,
        "a refused build has written"
    );

    let (place, folder) = built();
    write(&folder.join("src/more.py"), "");
    let done = run(&place, &folder, &["build", "--locked"]);
    assert!(
        done.words.contains("sources: src/more.py is new"),
        "{}",
        done.words
    );
}

#[test]
fn a_lock_that_cannot_be_read_is_shown_with_its_line() {
    let (place, folder) = built();
    let lock = folder.join("ukernel.lock");
    let text = fs::read_to_string(&lock)
        .unwrap()
        .replace("[toolchain]", "<<<<<<< ours\n[toolchain]");
    let line = text
        .lines()
        .position(|line| line.starts_with("<<<"))
        .unwrap()
        + 1;
    write(&lock, &text);
    let done = run(&place, &folder, &["build", "--locked"]);
    assert_eq!(done.status, Some(125));
    assert!(
        done.words.contains(&format!("ukernel.lock:{line}:"))
            && done.words.contains("<<<<<<< ours"),
        "{}",
        done.words
    );
    fs::remove_file(&lock).unwrap();
    let done = run(&place, &folder, &["build", "--locked"]);
    assert!(done.words.contains("ukernel.lock"), "{}", done.words);
    // Without --locked a new one is written.
    run(&place, &folder, &["build"]).data();
    assert!(lock.is_file());
}

/// The manifest with a piece replaced.
fn replace(folder: &Path, from: &str, to: &str) {
    let path = folder.join("ukernel.toml");
    let text = fs::read_to_string(&path).expect("a manifest");
    assert!(text.contains(from), "{text}");
    write(&path, &text.replace(from, to));
}

#[test]
fn mistakes_in_a_project_are_told_with_their_place() {
    let place = Place::new();
    let done = run(&place, &place.here(), &["build"]);
    assert!(
        done.words.contains("there is no ukernel.toml") && done.words.contains("ukernel init"),
        "{}",
        done.words
    );

    let folder = project(&place, "python", "http");
    for (from, to, words) in [
        ("[run]", "[rnu]", "did you mean `run`?"),
        (
            "[run]",
            "[build]\nfiles = [\"stattic/*\"]\n\n[run]",
            "no file is like 'stattic/*'",
        ),
        (
            "[run]",
            "[build]\nadapter = \"python-2.7\"\n\n[run]",
            "[build] adapter asks for python-2.7",
        ),
        (
            "[run]",
            "[limits]\nbundle_kb = 1\n\n[run]",
            "the bundle's files have",
        ),
        (
            "language = \"python\"",
            "language = \"python\"\nentry = \"main.py\"",
            "there is no main.py",
        ),
    ] {
        let text = fs::read_to_string(folder.join("ukernel.toml")).unwrap();
        replace(&folder, from, to);
        let done = run(&place, &folder, &["build"]);
        assert_eq!(done.status, Some(125), "{to}");
        assert!(done.words.contains(words), "{}", done.words);
        write(&folder.join("ukernel.toml"), &text);
    }
    write(&folder.join("src/pages.py"), "def f(:\n");
    let done = run(&place, &folder, &["build"]);
    assert!(done.words.contains("src/pages.py:1: "), "{}", done.words);
}

#[test]
fn the_adapter_is_for_python() {
    let place = Place::new();
    let folder = project(&place, "c", "echo");
    let done = run(&place, &folder, &["adapter"]);
    assert_eq!(done.status, Some(125));
    assert!(
        done.words.contains("demo is in c") && done.words.contains("ukernel run"),
        "{}",
        done.words
    );
}

#[test]
fn a_build_waits_for_another_one_of_the_same_project() {
    let place = Place::new();
    let folder = project(&place, "python", "job");
    fs::create_dir_all(folder.join(".ukernel")).unwrap();
    let other = fs::File::create(folder.join(".ukernel/build.lock")).unwrap();
    other.lock().unwrap();
    let mut build = Process::start(&mut tool(&place, &folder, &["build"]));
    let said = build.wait_for_words("waiting");
    assert_eq!(said, "ukernel: waiting for another build of this project\n");
    until("it waits", || waits_for_a_lock(build.id()));
    assert!(!folder.join("build").exists());
    drop(other);
    build.finish().data();
    assert!(folder.join("build/bundle.tgz").is_file());
}

/// As the system lists them (proc_locks(5)): `7: -> FLOCK  ADVISORY  WRITE 1234 fe:00:56 0 EOF`.
fn waits_for_a_lock(process: Pid) -> bool {
    let locks = fs::read_to_string("/proc/locks").expect("a list");
    let process = process.as_raw_nonzero().to_string();
    let mut lines = locks.lines().map(|line| line.split_whitespace());
    lines.any(|mut words| words.nth(1) == Some("->") && words.nth(3) == Some(&process))
}

#[test]
fn two_builds_in_two_folders_are_the_same() {
    let (_one, first) = built();
    let (_other, second) = built();
    for name in ["build/bundle.tgz", "ukernel.lock"] {
        assert_eq!(
            fs::read(first.join(name)).unwrap(),
            fs::read(second.join(name)).unwrap(),
            "{name}"
        );
    }
}
