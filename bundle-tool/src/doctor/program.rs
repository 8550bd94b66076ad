//! Looks for a program and asks it for its version. Starts it for nothing else.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use shared_child::SharedChild;

use crate::program::find;

/// A program of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Program {
    /// It is not there.
    Missing,
    /// It is there, but does not say its version.
    Fails {
        /// Where it is.
        path: PathBuf,
        /// What happened.
        error: String,
    },
    /// It is there.
    Found {
        /// Where it is.
        path: PathBuf,
        /// The first line of what it says about its version.
        says: String,
    },
}

/// A program that takes longer to say its version has something else to do.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a program says when it is asked for its version.
pub(super) fn ask(program: &OsStr, arguments: &[&str]) -> Program {
    let Some(path) = find(program) else {
        return Program::Missing;
    };
    match answer(&path, arguments) {
        Ok(output) => Program::Found {
            path,
            says: output.lines().next().unwrap_or_default().trim().into(),
        },
        Err(error) => Program::Fails { path, error },
    }
}

/// What a program writes to standard output, or what it says went wrong.
fn answer(program: &Path, arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    // Files, not pipes: a grandchild that keeps a pipe open must not keep us.
    let file = || tempfile::tempfile().map_err(|error| error.to_string());
    let (output, words) = (file()?, file()?);
    let copy = |file: &fs::File| file.try_clone().map_err(|error| error.to_string());
    command.stdout(copy(&output)?).stderr(copy(&words)?);
    let child = SharedChild::spawn(&mut command).map_err(|error| error.to_string())?;
    let Some(status) = child
        .wait_timeout(PATIENCE)
        .map_err(|error| error.to_string())?
    else {
        let _ = child.kill();
        let _ = child.wait();
        return Err(format!("no answer in {} seconds", PATIENCE.as_secs()));
    };
    if status.success() {
        return text(output).map_err(|error| error.to_string());
    }
    let words = text(words).unwrap_or_default();
    Err(words
        .lines()
        .next()
        .map_or(status.to_string(), String::from))
}

fn text(mut file: fs::File) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

pub(super) fn answer_of(program: &Program, arguments: &[&str]) -> Option<String> {
    match program {
        Program::Found { path, .. } => answer(path, arguments).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_fails_says_why() {
        let Program::Fails { error, .. } = ask("sh".as_ref(), &["-c", "echo broken >&2; exit 3"])
        else {
            panic!("it fails");
        };
        assert_eq!(error, "broken");
        let found = ask("sh".as_ref(), &["-c", "echo one 1.2; echo two"]);
        assert!(matches!(found, Program::Found { says, .. } if says == "one 1.2"));
        assert_eq!(ask("no such program".as_ref(), &[]), Program::Missing);
    }
}
