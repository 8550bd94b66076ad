//! An empty folder and an empty home for one test, and the tool run there as a person would.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bundle::{Index, archive};
use tempfile::TempDir;

use crate::guest::tool;
use crate::process::Done;

/// What the tool is given of this machine's environment: where programs are, and where temporary files go.
const KEPT: [Option<&str>; 2] = [Some("PATH"), Some("TMPDIR")];

/// A folder of a test's own, removed when it is dropped.
pub struct Place {
    root: TempDir,
}

impl Place {
    /// Makes one.
    ///
    /// # Panics
    /// There is no room for temporary files.
    #[expect(
        clippy::new_without_default,
        reason = "a folder on a disk is no default"
    )]
    pub fn new() -> Place {
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
    pub fn here(&self) -> PathBuf {
        self.root.path().join("here")
    }

    /// A path beside that folder.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Writes a file in the folder, and the folders that it is in.
    ///
    /// # Panics
    /// It cannot be written.
    pub fn write(&self, name: &str, text: &str) {
        write(&self.here().join(name), text);
    }

    /// Makes the folder a project `demo` that has been built: of this kernel, these settings and files. It asks for nothing
    /// but to be packed.
    ///
    /// # Panics
    /// It cannot be written, or the settings are none.
    pub fn build(&self, kernel: &[u8], settings: Index, files: &[(&str, &[u8])]) {
        let manifest = "[project]\nname = \"demo\"\nlanguage = \"rust\"\n";
        self.write("ukernel.toml", manifest);
        // The tool takes an archive that is not compressed, too.
        let bundle = archive(settings, files).expect("valid settings");
        let build = self.here().join("build");
        fs::create_dir_all(&build).expect("a folder");
        fs::write(build.join("vmlinux"), kernel).expect("a file");
        fs::write(build.join("bundle.tgz"), bundle).expect("a file");
    }

    /// The tool, ready to run with nothing of this machine's user around it.
    ///
    /// # Panics
    /// It has not been built.
    pub fn tool(&self, arguments: &[impl AsRef<OsStr>]) -> Command {
        let mut command = Command::new(tool());
        command.args(arguments).current_dir(self.here());
        self.surround(&mut command);
        command
    }

    /// Gives a command the surroundings of this place.
    pub fn surround(&self, command: &mut Command) {
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
    ///
    /// # Panics
    /// It does not end, or has not been built.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> Done {
        Done::of(&mut self.tool(arguments))
    }
}

/// Writes a file, and the folders that it is in.
///
/// # Panics
/// It cannot be written.
pub fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("it is in a folder")).expect("a folder");
    fs::write(path, text).expect("a file");
}

/// Writes a program for the shell.
///
/// # Panics
/// It cannot be written.
pub fn write_program(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("it is in a folder")).expect("a folder");
    crate::program::write(path, text).expect("a program");
}
