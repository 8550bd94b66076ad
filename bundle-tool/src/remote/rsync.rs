//! A project's files by rsync: copied when a command needs them, one way. The command line is a pure function.

use std::path::Path;
use std::process::Command;

use super::{NOT_COPIED, Remote, RemoteError};

/// Makes the folder, if it is the project's or can become it. The argument is the folder.
///
/// What is in it and not in the project is deleted: a folder of somebody else's, named by mistake, must not be. So it has
/// to be a project's or empty; a mark makes it the project's before the first file is there, should copying break off.
const PREPARE: &str = r#"mkdir -p -- "$1" && cd -- "$1" || exit 1
if [ -e .ukernel/remote ] || [ -e ukernel.toml ] || [ -z "$(ls -A)" ]; then
    mkdir -p .ukernel && : > .ukernel/remote
    exit
fi
echo "error: $PWD is not empty and holds no project" >&2
exit 1"#;

/// Copies a project to another machine.
#[derive(Clone, Debug)]
pub struct Rsync<'a> {
    remote: &'a Remote,
    project: &'a Path,
}

impl<'a> Rsync<'a> {
    /// Copies the folder `project`.
    pub fn new(remote: &'a Remote, project: &'a Path) -> Rsync<'a> {
        Rsync { remote, project }
    }

    /// Copies what differs; what is not in the project (any more) is deleted there.
    ///
    /// # Errors
    /// The folder there is not the project's, or rsync fails.
    pub fn copy(&self) -> Result<(), RemoteError> {
        self.prepare()?;
        self.rsync(&["--quiet"]).map(drop)
    }

    /// The files that copying would change there, sorted. The folder there is made if there is none.
    ///
    /// # Errors
    /// As [`copy`](Self::copy).
    pub fn differences(&self) -> Result<Vec<String>, RemoteError> {
        self.prepare()?;
        let output = self.rsync(&["--dry-run", "--out-format=%n"])?;
        // Folders count only for their times.
        let files = output.lines().filter(|line| !line.ends_with('/'));
        let mut files: Vec<String> = files.map(String::from).collect();
        files.sort();
        Ok(files)
    }

    fn prepare(&self) -> Result<(), RemoteError> {
        let words = ["sh", "-c", PREPARE, "ukernel", &self.remote.folder].map(String::from);
        let session = super::Session::new(self.remote)
            .at_home()
            .terminal(super::Terminal::Never);
        match session.ask(&words)? {
            (0, _) => Ok(()),
            _ => Err(self.failed("the folder there cannot be the project's")),
        }
    }

    fn rsync(&self, more: &[&str]) -> Result<String, RemoteError> {
        let mut command = Command::new("rsync");
        command
            .args(self.arguments(more)?)
            .stderr(std::process::Stdio::inherit());
        let output = command.output().map_err(|source| RemoteError::Program {
            program: "rsync".into(),
            source,
        })?;
        match output.status.code() {
            Some(0) => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            Some(255) => Err(RemoteError::Connection(self.remote.host.clone())),
            Some(code) => Err(self.failed(meaning(code))),
            None => Err(RemoteError::Signal("rsync".into())),
        }
    }

    fn arguments(&self, more: &[&str]) -> Result<Vec<String>, RemoteError> {
        let mut arguments: Vec<String> = [
            "--recursive",
            "--links",
            "--perms",
            "--times",
            "--compress",
            "--delete",
        ]
        .map(String::from)
        .into();
        // Without it, older versions have a shell there take names with spaces apart.
        arguments.push("--protect-args".into());
        // Notices a connection that is gone.
        arguments.push("--timeout=60".into());
        arguments.push(format!("--rsh={}", self.remote.ssh_text()?));
        arguments.extend(NOT_COPIED.map(|pattern| format!("--exclude={pattern}")));
        arguments.extend(more.iter().map(|word| (*word).into()));
        // A slash at its end: what is in the folder, not the folder.
        let project = self.project.to_str();
        let from = project.ok_or_else(|| RemoteError::Word(self.project.display().to_string()))?;
        let from = format!("{from}/");
        arguments.extend([
            "--".into(),
            from,
            place(&self.remote.host, &self.remote.folder),
        ]);
        Ok(arguments)
    }

    fn failed(&self, problem: &str) -> RemoteError {
        RemoteError::Copy {
            program: "rsync",
            host: self.remote.host.clone(),
            problem: problem.into(),
        }
    }
}

/// A folder there, as rsync calls it.
fn place(host: &str, folder: &str) -> String {
    let (user, name) = match host.split_once('@') {
        Some((user, name)) => (format!("{user}@"), name),
        None => (String::new(), host),
    };
    // An address of IP version 6 would be taken apart at its first colon.
    if name.contains(':') {
        format!("{user}[{name}]:{folder}/")
    } else {
        format!("{user}{name}:{folder}/")
    }
}

/// What rsync ended with (rsync(1), EXIT VALUES), as far as a person can do something about it.
fn meaning(code: i32) -> &'static str {
    match code {
        11 => "a file could not be written there; is the disk full?",
        12 => "the connection broke, or there is no rsync there",
        23 | 24 => "some files could not be read here or written there",
        30 | 35 => "the connection went silent",
        126 | 127 => "there is no rsync there",
        _ => "see what rsync said above",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::Settings;

    #[test]
    fn the_command_line_keeps_words_together_and_leaves_what_is_built() {
        let text =
            "UKERNEL_REMOTE=ann@build\nUKERNEL_REMOTE_DIR='my work'\nUKERNEL_SSH='ssh -F \"a b\"'";
        let settings = Settings::parse(text, ".remote".as_ref()).unwrap();
        let remote = Remote::new(settings, "demo".as_ref()).unwrap();
        let arguments = Rsync::new(&remote, "/here/demo".as_ref())
            .arguments(&["--quiet"])
            .unwrap();
        assert!(
            arguments.contains(&"--rsh=ssh -F 'a b'".into()),
            "{arguments:?}"
        );
        assert!(
            arguments.contains(&"--exclude=/build/".into()),
            "{arguments:?}"
        );
        let end: Vec<&str> = arguments.iter().rev().take(4).map(String::as_str).collect();
        assert_eq!(end, ["ann@build:my work/", "/here/demo/", "--", "--quiet"]);
    }

    #[test]
    fn an_address_with_colons_is_bracketed() {
        assert_eq!(place("ann@::1", "x"), "ann@[::1]:x/");
        assert_eq!(place("build", "/x"), "build:/x/");
    }

    /// By the shell of this machine.
    fn prepare(folder: &Path) -> bool {
        let mut command = Command::new("sh");
        command.args(["-c", PREPARE, "ukernel"]).arg(folder);
        command.status().unwrap().success()
    }

    #[test]
    fn a_folder_with_something_else_in_it_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let project = folder.path().join("a/my project");
        assert!(prepare(&project), "it is made");
        std::fs::write(project.join("half"), "").unwrap();
        assert!(prepare(&project), "it was made");
        let other = folder.path().join("other");
        std::fs::create_dir(&other).unwrap();
        std::fs::write(other.join(".thesis"), "").unwrap();
        assert!(!prepare(&other), "it is somebody's");
        assert!(!other.join(".ukernel").exists());
        std::fs::write(other.join("ukernel.toml"), "").unwrap();
        assert!(prepare(&other), "it is a project");
    }
}
