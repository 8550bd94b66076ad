//! The tool where it builds: the compilers of this machine, the caches of Cargo, and nothing else of its user.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use system_tests::place::Place;
use system_tests::process::Done;

/// Ready to run in `folder`.
pub(crate) fn tool(place: &Place, folder: &Path, arguments: &[impl AsRef<OsStr>]) -> Command {
    let mut command = place.tool(arguments);
    command.current_dir(folder);
    with_compilers(&mut command);
    command
}

/// Runs the tool in `folder` to its end.
pub(crate) fn run(place: &Place, folder: &Path, arguments: &[&str]) -> Done {
    Done::of(&mut tool(place, folder, arguments))
}

/// Says where the compilers are. Nothing is downloaded: what the repository is built with is there.
pub(crate) fn with_compilers(command: &mut Command) {
    command
        .env("CARGO_HOME", home_of("CARGO_HOME", ".cargo"))
        .env("RUSTUP_HOME", home_of("RUSTUP_HOME", ".rustup"))
        .env("CARGO_NET_OFFLINE", "true")
        .env("CARGO_TERM_PROGRESS_WHEN", "never");
}

/// Where the user of this machine has Cargo's or rustup's folder.
pub(crate) fn home_of(variable: &str, name: &str) -> PathBuf {
    let home = || PathBuf::from(env::var_os("HOME").expect("a home")).join(name);
    env::var_os(variable).map_or_else(home, PathBuf::from)
}

/// Makes a project `demo` in `place`, and returns its folder.
#[track_caller]
pub(crate) fn project(place: &Place, language: &str, template: &str) -> PathBuf {
    let arguments = ["init", "--lang", language, "--template", template, "demo"];
    run(place, &place.here(), &arguments).data();
    place.here().join("demo")
}
