//! Golden errors: what the tool says about the common mistakes stands in `bundle-tool/golden/errors/`, one file a mistake.
//! `UPDATE_GOLDEN=1 cargo test -p system-tests --test tool` rewrites them; read the difference before committing.

use std::fs;
use std::path::PathBuf;

use system_tests::guest::repository;
use system_tests::place::Place;

const PROJECT: &str = "[project]\nname = \"demo\"\nlanguage = \"c\"\n";

/// Runs the tool in an empty folder with `files` in it, and compares what it says.
#[track_caller]
fn check(name: &str, files: &[(&str, &str)], arguments: &[&str]) {
    let place = Place::new();
    for (file, text) in files {
        place.write(file, text);
    }
    let done = place.run(arguments);
    assert_eq!(done.output, "", "an error is no data");
    let here = place.here().display().to_string();
    let status = done.status.expect("no signal");
    let text = format!(
        "$ ukernel {}\n{}[status {status}]\n",
        arguments.join(" "),
        done.words
    );
    compare(name, &text.replace(&here, "HERE"));
}

#[track_caller]
fn compare(name: &str, actual: &str) {
    let file: PathBuf = repository().join(format!("bundle-tool/golden/errors/{name}.txt"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(file.parent().expect("a folder")).expect("golden files are writable");
        fs::write(&file, actual).expect("golden files are writable");
    }
    let expected =
        fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    assert_eq!(actual, expected, "differs from {}", file.display());
}

#[test]
fn of_the_command_line() {
    check("no-such-command", &[], &["rnu"]);
    check("no-such-option", &[], &["doctor", "--jsn"]);
    check(
        "quiet-and-verbose",
        &[],
        &["--quiet", "--verbose", "doctor"],
    );
    check("no-such-shell", &[], &["completions", "tcsh"]);
    check("no-such-colour", &[], &["--color", "pink", "doctor"]);
    check(
        "no-size",
        &[],
        &["run", "--kernel", "x", "--memory", "lots"],
    );
}

#[test]
fn of_files() {
    check(
        "no-such-kernel",
        &[],
        &["run", "--accel", "tcg", "--kernel", "demo"],
    );
    check("no-such-log", &[], &["trace", "console.log"]);
    check(
        "no-trace",
        &[("console.log", "hello\n")],
        &["trace", "console.log"],
    );
    check(
        "no-place-for-an-image",
        &[("a", "")],
        &["disk-image", "--output", "a/b.img", "a"],
    );
}

#[test]
fn of_a_project() {
    check("no-project", &[], &["env", "show"]);
    let wrong = format!("{PROJECT}\n[run]\nmemory = 32\n");
    check(
        "manifest-unknown-key",
        &[("ukernel.toml", &wrong)],
        &["env", "show"],
    );
    let wrong = format!("{PROJECT}\n[run]\nvcpu = \"two\"\n");
    check(
        "manifest-wrong-type",
        &[("ukernel.toml", &wrong)],
        &["env", "show"],
    );
    let base = format!("{PROJECT}\n[env]\nbase = \"env/demo.env\"\n");
    check("no-base-file", &[("ukernel.toml", &base)], &["env", "show"]);
    let files = [
        ("ukernel.toml", base.as_str()),
        ("env/demo.env", "# a\nGOOD=1\nBAD\n"),
    ];
    check("variable-without-value", &files, &["env", "show"]);
    let files = [("ukernel.toml", PROJECT)];
    check(
        "variable-of-no-name",
        &files,
        &["env", "show", "--env", "2ND=x"],
    );
}

#[test]
fn of_another_machine() {
    check("remote-of-no-name", &[], &["remote", "exec", "true"]);
    let files = [(".remote", "UKERNEL_REMOTE=build\nUKERNEL_HOST=x\n")];
    check(
        "remote-unknown-setting",
        &files,
        &["remote", "exec", "true"],
    );
    let files = [(".remote", "UKERNEL_REMOTE=build\nUKERNEL_REMOTE_DIR=~\n")];
    check("remote-not-a-folder", &files, &["remote", "exec", "true"]);
    let files = [(".remote", "UKERNEL_REMOTE=build\nUKERNEL_SSH=no-such-ssh\n")];
    check("remote-no-ssh", &files, &["remote", "exec", "true"]);
}
