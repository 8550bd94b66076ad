//! Why something on another machine did not work.

use std::io;
use std::path::PathBuf;

/// Something on another machine did not work.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// Nothing names the machine.
    #[error("no remote machine is named")]
    NoHost,
    /// The name of the machine is none.
    #[error("'{0}' is no name of a machine")]
    Host(String),
    /// The folder on the machine is none that a project can have to itself.
    #[error("'{0}' is no folder for a project on the remote machine")]
    Folder(String),
    /// The program that connects is no command line.
    #[error("UKERNEL_SSH is {0:?}: a quote in it is not closed")]
    Ssh(String),
    /// `.remote` cannot be read.
    #[error("cannot read {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line of `.remote` is wrong.
    #[error("{}:{line}: {problem}\n  | {text}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line's number, from 1.
        line: usize,
        /// The line.
        text: String,
        /// What is wrong.
        problem: String,
    },
    /// A program of this machine does not start.
    #[error("cannot run {program}")]
    Program {
        /// The program.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// A word cannot be passed to another machine.
    #[error("a word for the remote machine contains a zero byte or is not UTF-8: {0:?}")]
    Word(String),
    /// What was to be sent cannot be read.
    #[error("cannot read what is to be sent")]
    Input(#[source] io::Error),
    /// ssh says that there is no connection (any more).
    #[error("the connection to {0} could not be made or was lost")]
    Connection(String),
    /// Copying did not work.
    #[error("{program} could not copy the project to {host}: {problem}")]
    Copy {
        /// rsync or Mutagen.
        program: &'static str,
        /// The machine.
        host: String,
        /// Why.
        problem: String,
    },
    /// `ukernel` does not run there.
    #[error("ukernel does not run on {host}: {problem}")]
    Tool {
        /// The machine.
        host: String,
        /// Why.
        problem: String,
    },
    /// A program was ended by a signal.
    #[error("{0} was ended by a signal")]
    Signal(String),
}

impl RemoteError {
    /// What a person can do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            RemoteError::NoHost => {
                "write UKERNEL_REMOTE=user@host into a file .remote, or set it in the environment"
            }
            RemoteError::Host(_) => "expected user@host, or what ~/.ssh/config calls the machine",
            RemoteError::Folder(_) => {
                "name a folder of its own, such as ~/ukernel/demo: what else is in it is deleted"
            }
            RemoteError::Ssh(_) => "write it as a shell takes it, such as ssh -F 'my config'",
            RemoteError::Connection(host) => {
                return Some(format!(
                    "see what ssh said above; `ssh {host}` tries the connection alone"
                ));
            }
            RemoteError::Program { program, .. } => {
                return Some(format!("install {program}"));
            }
            RemoteError::Tool { .. } => {
                "ukernel runs on Linux x86-64; build it there: cargo install --path bundle-tool"
            }
            RemoteError::Copy { problem, .. } if problem.ends_with("no rsync there") => {
                "`ukernel remote setup` installs it there"
            }
            _ => return None,
        };
        Some(hint.into())
    }
}
