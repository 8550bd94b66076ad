//! A project's files by Mutagen, where it is installed: kept the same on both machines while both change. Mutagen's own
//! service does the work; here are only the commands for it.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use sha2::{Digest, Sha256};

use super::{NOT_COPIED, Remote, RemoteError};
use crate::program;

/// The program.
const PROGRAM: &str = "mutagen";

/// A project that Mutagen keeps the same on both machines, or could.
#[derive(Clone, Debug)]
pub struct Mutagen<'a> {
    remote: &'a Remote,
    project: &'a Path,
    name: String,
}

impl<'a> Mutagen<'a> {
    /// The project in the folder `project`; `None`: Mutagen is not installed here.
    pub fn find(remote: &'a Remote, project: &'a Path) -> Option<Mutagen<'a>> {
        program::find(PROGRAM.as_ref()).map(|_| Mutagen {
            remote,
            project,
            name: session_name(remote, project),
        })
    }

    /// Whether it does so now.
    ///
    /// # Errors
    /// Mutagen does not start.
    pub fn is_running(&self) -> Result<bool, RemoteError> {
        Ok(self
            .mutagen(&["sync", "list", &self.name])?
            .status
            .success())
    }

    /// Starts to. Changes on either side are carried to the other until [`stop`](Self::stop), even after a restart.
    ///
    /// # Errors
    /// Mutagen does not start, or refuses.
    pub fn start(&self) -> Result<(), RemoteError> {
        let arguments = self.start_arguments();
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        self.succeed(&words).map(drop)
    }

    /// What it says about it.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn status(&self) -> Result<String, RemoteError> {
        self.succeed(&["sync", "list", &self.name])
    }

    /// Waits until both sides are the same.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn flush(&self) -> Result<(), RemoteError> {
        self.succeed(&["sync", "flush", &self.name]).map(drop)
    }

    /// Stops; the files stay where they are.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn stop(&self) -> Result<(), RemoteError> {
        self.succeed(&["sync", "terminate", &self.name]).map(drop)
    }

    fn start_arguments(&self) -> Vec<String> {
        let folder = &self.remote.folder;
        // Without the tilde Mutagen would look for the folder from wherever its agent runs.
        let there = if folder.starts_with('/') {
            folder.clone()
        } else {
            format!("~/{folder}")
        };
        let mut arguments: Vec<String> = ["sync", "create", "--mode=two-way-resolved"]
            .map(String::from)
            .into();
        arguments.push(format!("--name={}", self.name));
        arguments.extend(NOT_COPIED.map(|pattern| format!("--ignore={pattern}")));
        arguments.push(self.project.display().to_string());
        arguments.push(format!("{}:{there}", self.remote.host));
        arguments
    }

    fn succeed(&self, words: &[&str]) -> Result<String, RemoteError> {
        let output = self.mutagen(words)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(RemoteError::Copy {
            program: "Mutagen",
            host: self.remote.host.clone(),
            problem: said.trim().into(),
        })
    }

    fn mutagen(&self, words: &[&str]) -> Result<Output, RemoteError> {
        let mut command = Command::new(PROGRAM);
        command.args(words).stdin(Stdio::null());
        command.output().map_err(|source| RemoteError::Program {
            program: PROGRAM.into(),
            source,
        })
    }
}

/// One name for a project of this machine on one other: Mutagen knows sessions by name, those of all projects together.
fn session_name(remote: &Remote, project: &Path) -> String {
    let text = format!("{}\n{}\n{}", project.display(), remote.host, remote.folder);
    let digest = Sha256::digest(text.as_bytes());
    let digits: String = digest
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("ukernel-{digits}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::Settings;

    fn remote(folder: &str) -> Remote {
        let text = format!("UKERNEL_REMOTE=ann@build\nUKERNEL_REMOTE_DIR='{folder}'");
        let settings = Settings::parse(&text, ".remote".as_ref()).unwrap();
        Remote::new(settings, "demo".as_ref()).unwrap()
    }

    fn of<'a>(remote: &'a Remote, project: &'a Path) -> Mutagen<'a> {
        let name = session_name(remote, project);
        Mutagen {
            remote,
            project,
            name,
        }
    }

    #[test]
    fn a_session_is_created_for_both_folders_without_what_is_built() {
        let remote = remote("~/my work");
        let arguments = of(&remote, "/here/demo".as_ref()).start_arguments();
        assert!(
            arguments.contains(&"--ignore=/.ukernel/".into()),
            "{arguments:?}"
        );
        assert_eq!(
            arguments[arguments.len() - 2..],
            ["/here/demo", "ann@build:~/my work"]
        );
    }

    #[test]
    fn each_project_on_each_machine_has_its_session() {
        let (one, other) = (remote("x"), remote("y"));
        let names = [
            of(&one, "/a".as_ref()).name,
            of(&one, "/b".as_ref()).name,
            of(&other, "/a".as_ref()).name,
        ];
        assert_eq!(names[0], of(&one, "/a".as_ref()).name);
        assert!(names[0] != names[1] && names[0] != names[2] && names[1] != names[2]);
        // What Mutagen takes for a name: a letter, then letters, digits and hyphens.
        assert!(
            names[0]
                .chars()
                .all(|letter| letter.is_ascii_alphanumeric() || letter == '-')
        );
    }
}
