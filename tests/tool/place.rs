//! An empty folder and an empty home for one test, and the tool run there as a person would.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use system_tests::guest::tool;
use tempfile::TempDir;

/// What the tool is given of this machine's environment: where programs are, and where temporary files go.
const KEPT: [Option<&str>; 2] = [Some("PATH"), Some("TMPDIR")];

/// A folder of a test's own, removed when it is dropped.
pub(crate) struct Place {
    root: TempDir,
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) status: Option<i32>,
    pub(crate) output: String,
    pub(crate) words: String,
}

impl Place {
    pub(crate) fn new() -> Place {
        let root = tempfile::Builder::new()
            .prefix("ukernel-tool-")
            .tempdir()
            .expect("a folder");
        for folder in ["here", "home"] {
            fs::create_dir(root.path().join(folder)).expect("a folder");
        }
        Place { root }
    }

    /// The folder in which commands run.
    pub(crate) fn here(&self) -> PathBuf {
        self.root.path().join("here")
    }

    /// A path beside that folder.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Writes a file in the folder, and the folders that it is in.
    pub(crate) fn write(&self, name: &str, text: &str) {
        write(&self.here().join(name), text);
    }

    /// The tool, ready to run with nothing of this machine's user around it.
    pub(crate) fn tool(&self, arguments: &[impl AsRef<OsStr>]) -> Command {
        let mut command = Command::new(tool());
        command.args(arguments).current_dir(self.here());
        self.surround(&mut command);
        command
    }

    /// Gives a command the surroundings of this place.
    pub(crate) fn surround(&self, command: &mut Command) {
        let home = self.beside("home");
        // Whatever a person, a shell or a CI has set: some of it changes what programs do, as `CI` changes who is given colours.
        for (name, _) in env::vars_os().filter(|(name, _)| !KEPT.contains(&name.to_str())) {
            command.env_remove(name);
        }
        command.env("HOME", &home).env("TERM", "xterm");
        command
            .env("XDG_CACHE_HOME", home.join("cache"))
            .env("XDG_STATE_HOME", home.join("state"));
        command.stdin(Stdio::null());
    }

    /// Runs the tool to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Done {
        Done::of(&mut self.tool(arguments))
    }
}

impl Done {
    /// Runs a command to its end.
    pub(crate) fn of(command: &mut Command) -> Done {
        let output = command.output().expect("it runs");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        Done {
            status: output.status.code(),
            output: text(output.stdout),
            words: text(output.stderr),
        }
    }

    /// What it wrote to standard output, if it succeeded.
    #[track_caller]
    pub(crate) fn data(self) -> String {
        assert_eq!(self.status, Some(0), "{}", self.words);
        self.output
    }
}

/// Writes a file, and the folders that it is in.
pub(crate) fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("it is in a folder")).expect("a folder");
    fs::write(path, text).expect("a file");
}

/// Writes a program for the shell.
pub(crate) fn write_program(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("it is in a folder")).expect("a folder");
    system_tests::program::write(path, text).expect("a program");
}
