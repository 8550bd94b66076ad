//! Machines that a person can name: where their state and logs lie, which of them run, and how to talk to those. The
//! commands `run`, `ps`, `logs`, `stop`, `rm` and `trace` come through here; what a machine is and how a VMM is
//! started is [`machine`](crate::machine)'s.
//!
//! Each has a folder, `.ukernel/machines/NAME/` of a project or `ukernel/machines/NAME/` where the user's state goes:
//!
//! | file | what |
//! | --- | --- |
//! | `state.json` | what it is, who runs it, how it ended ([`State`]); always written whole |
//! | `console.log`, `console.log.1` | its serial log, each line with the time it came; bounded |
//! | `vmm.log`, `metrics.json` | the VMM's own words and Firecracker's metrics |
//! | `lock` | held as long as the machine's supervisor lives |
//! | `settings.img` | variables and arguments on their way into the machine; gone once it has them |
//!
//! The **supervisor** is the process that the VMM is tethered to: `ukernel run` itself, or the one that `--detach` leaves
//! behind. Whoever dies, and however, the next command sees it: a state without an end whose supervisor is gone is a
//! machine that died, and is tidied up.

mod claim;
mod console;
mod control;
mod detach;
mod log;
mod process;
mod settings;
mod state;
mod supervisor;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::project::Project;
use state::FORMAT;

pub use claim::Claim;
pub use console::{Console, MAX_LOG_BYTES};
pub use control::{Command, Connection, ConnectionError};
pub use detach::{DetachError, start_detached, supervise_detached};
pub use log::{Line, Reader};
pub use process::ProcessId;
pub use settings::Settings;
pub use state::{End, EndKind, Phase, State};
pub use supervisor::{Order, SuperviseError, Supervised};

/// The most letters of a machine's name.
pub const MAX_NAME: usize = 63;

/// The most machines that are listed; more folders than these are somebody's mistake.
pub const MAX_MACHINES: usize = 10_000;

/// The folder of machines.
#[derive(Clone, Debug)]
pub struct Machines {
    folder: PathBuf,
}

/// A machine that there is a state of.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its folder.
    pub folder: PathBuf,
    /// Its state.
    pub state: State,
}

/// A machine cannot be found or changed.
#[derive(Debug, thiserror::Error)]
pub enum MachinesError {
    /// There is none of that name.
    #[error("there is no machine '{0}'")]
    Unknown(String),
    /// It runs, or somebody else is just starting or removing it.
    #[error("there is a machine '{0}' already, and it is running")]
    Taken(String),
    /// Its state cannot be read.
    #[error("the state of machine '{name}' cannot be read: {reason}")]
    Damaged {
        /// Its name.
        name: String,
        /// Why not.
        reason: String,
    },
    /// A newer version of this tool has written its state.
    #[error("the state of machine '{name}' has format {format}, and this tool knows {FORMAT}")]
    TooNew {
        /// Its name.
        name: String,
        /// The format.
        format: u64,
    },
    /// The name is none.
    #[error("'{0}' is no name: letters, digits, '-' and '_', at most 63, a letter or digit first")]
    BadName(String),
    /// A file of it cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl MachinesError {
    /// What a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            MachinesError::Unknown(_) => Some("`ukernel ps --all` lists them".into()),
            MachinesError::Taken(name) => Some(format!(
                "choose another name by --name, or end it: ukernel stop {name}"
            )),
            MachinesError::Damaged { name, .. } => Some(format!("remove it: ukernel rm {name}")),
            MachinesError::TooNew { name, .. } => Some(format!(
                "use the ukernel that started it, or remove it: ukernel rm {name}"
            )),
            MachinesError::BadName(_) | MachinesError::File { .. } => None,
        }
    }

    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> MachinesError {
        move |source| MachinesError::File {
            path: path.into(),
            source,
        }
    }
}

impl Machines {
    /// The machines whose folders are in `folder`, which need not be there yet.
    pub fn at(folder: impl Into<PathBuf>) -> Machines {
        Machines {
            folder: folder.into(),
        }
    }

    /// The machines of the project that this process is in, else the user's: `$XDG_STATE_HOME/ukernel/machines`, or
    /// `~/.local/state` without that variable. A manifest with mistakes still makes a project.
    ///
    /// # Errors
    /// There is no working folder or no home.
    pub fn current() -> io::Result<Machines> {
        let here = std::env::current_dir()?;
        if let Some(project) = Project::root_of(&here) {
            return Ok(Machines::of_project(&project));
        }
        let variable = |name| std::env::var_os(name).map(PathBuf::from);
        let absolute = |path: &PathBuf| path.is_absolute();
        let state = variable("XDG_STATE_HOME").filter(absolute);
        let home = || variable("HOME").filter(absolute);
        let state = state.or_else(|| Some(home()?.join(".local/state")));
        let state =
            state.ok_or_else(|| io::Error::other("neither XDG_STATE_HOME nor HOME is set"))?;
        Ok(Machines::at(state.join("ukernel/machines")))
    }

    /// The machines of the project in `root`.
    pub fn of_project(root: &Path) -> Machines {
        Machines::at(root.join(".ukernel/machines"))
    }

    /// Where their folders are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Every machine, the one that was started last at the end, and what could not be read. Those that died are
    /// recognised and tidied up.
    ///
    /// # Errors
    /// The folder cannot be read; one that is not there has no machines.
    pub fn list(&self) -> Result<(Vec<Entry>, Vec<MachinesError>), MachinesError> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Default::default()),
            Err(error) => return Err(MachinesError::file(&self.folder)(error)),
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let names = names.filter(|name| is_name(name)).take(MAX_MACHINES);
        let (mut found, mut problems) = (Vec::new(), Vec::new());
        for name in names {
            match self.find(&name) {
                Ok(entry) => found.push(entry),
                // One that is just being made, or removed.
                Err(MachinesError::Unknown(_)) => {}
                Err(problem) => problems.push(problem),
            }
        }
        found.sort_by_key(|entry: &Entry| entry.state.started);
        Ok((found, problems))
    }

    /// The machine called `name`. If it died it is recognised and tidied up.
    ///
    /// # Errors
    /// There is none, or its state cannot be read.
    pub fn find(&self, name: &str) -> Result<Entry, MachinesError> {
        let folder = self.existing(name)?;
        let mut state = match State::read(&folder) {
            Ok(Some(state)) => state,
            Ok(None) => return Err(MachinesError::Unknown(name.into())),
            Err(unreadable) => return Err(unreadable.of(name)),
        };
        if state.phase() == Phase::Died {
            // Whoever holds the lock is about to change the state himself.
            if let Ok(claim) = self.claim_existing(name) {
                claim.settle(&mut state);
            }
        }
        Ok(Entry { folder, state })
    }

    /// Removes a machine that does not run, with its logs.
    ///
    /// # Errors
    /// It runs, there is none, or a file cannot be removed.
    pub fn remove(&self, name: &str) -> Result<(), MachinesError> {
        let folder = self.existing(name)?;
        let claim = self.claim_existing(name)?;
        if let Ok(Some(state)) = State::read(&folder) {
            state.remove_scratch(&folder);
        }
        claim.remove()
    }

    /// The folder of a machine; somebody else's file of that name is none.
    fn existing(&self, name: &str) -> Result<PathBuf, MachinesError> {
        let folder = self.folder_of(name)?;
        match folder.is_dir() {
            true => Ok(folder),
            false => Err(MachinesError::Unknown(name.into())),
        }
    }

    fn folder_of(&self, name: &str) -> Result<PathBuf, MachinesError> {
        match is_name(name) {
            true => Ok(self.folder.join(name)),
            false => Err(MachinesError::BadName(name.into())),
        }
    }
}

/// Whether `name` can be a machine's.
pub fn is_name(name: &str) -> bool {
    let valid = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
    name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.len() <= MAX_NAME
        && name.chars().all(valid)
}

#[cfg(test)]
mod tests;
