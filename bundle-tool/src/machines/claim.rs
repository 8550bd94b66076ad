//! The right to a machine's name: a locked file in its folder, which the system unlocks when its holder ends, however that
//! happens.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

use super::state::{self, End, State};
use super::{Machines, MachinesError, console, settings};

const LOCK: &str = "lock";
/// How often a name is tried whose folder is removed meanwhile, or whose machine has just ended.
const MAX_ATTEMPTS: usize = 20;
/// How long the supervisor of a machine that has ended is waited for between two attempts.
const ENDING_INTERVAL: Duration = Duration::from_millis(100);
/// The most numbers that are tried behind a name: `demo-2` and so on.
const MAX_NUMBER: u32 = 1000;
/// Begins the names of folders that are being removed.
const REMOVED: &str = ".removed-";

/// A name that is this process's until it is dropped.
#[derive(Debug)]
pub struct Claim {
    folder: PathBuf,
    name: String,
    /// Unlocked when it is closed.
    _lock: File,
}

impl Machines {
    /// Takes `name` for a machine of this process. What an ended machine of that name has left is removed.
    ///
    /// # Errors
    /// [`MachinesError::Taken`] while such a machine runs.
    pub fn claim(&self, name: &str) -> Result<Claim, MachinesError> {
        let folder = self.folder_of(name)?;
        let claim = self.lock(name, &folder, true)?;
        self.forget_removed();
        claim.clear()?;
        Ok(claim)
    }

    /// The same with `base`, or with a number behind it where machines of that name run.
    ///
    /// # Errors
    /// A thousand of them run.
    pub fn claim_free(&self, base: &str) -> Result<Claim, MachinesError> {
        for number in 1..MAX_NUMBER {
            let name = match number {
                1 => base.to_string(),
                number => numbered(base, number),
            };
            match self.claim(&name) {
                Err(MachinesError::Taken(_)) => {}
                claimed => return claimed,
            }
        }
        Err(MachinesError::Taken(base.into()))
    }

    /// Takes the name of a machine that is there and does not run; leaves all as it is.
    pub(super) fn claim_existing(&self, name: &str) -> Result<Claim, MachinesError> {
        let folder = self.folder_of(name)?;
        self.lock(name, &folder, false)
    }

    fn lock(&self, name: &str, folder: &Path, create: bool) -> Result<Claim, MachinesError> {
        let path = folder.join(LOCK);
        for _ in 0..MAX_ATTEMPTS {
            if create {
                make_private(folder).map_err(MachinesError::file(folder))?;
            }
            let opened = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(&path);
            let file = match opened {
                Ok(file) => file,
                // Removed in between.
                Err(error) if error.kind() == io::ErrorKind::NotFound && create => continue,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Err(MachinesError::Unknown(name.into()));
                }
                Err(error) => return Err(MachinesError::file(&path)(error)),
            };
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) if is_ending(folder) => continue,
                Err(TryLockError::WouldBlock) => return Err(MachinesError::Taken(name.into())),
                Err(TryLockError::Error(error)) => return Err(MachinesError::file(&path)(error)),
            }
            // The lock of a folder that somebody has just removed is worth nothing.
            if is_same(&file, &path) {
                return Ok(Claim {
                    folder: folder.into(),
                    name: name.into(),
                    _lock: file,
                });
            }
        }
        Err(MachinesError::Taken(name.into()))
    }

    /// Removes what somebody who was killed meanwhile has begun to remove.
    fn forget_removed(&self) {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        for entry in entries {
            if entry.file_name().to_string_lossy().starts_with(REMOVED) {
                // Somebody else may be at it.
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }
}

/// `base-number`, cut to the length of a name.
fn numbered(base: &str, number: u32) -> String {
    let end = format!("-{number}");
    let room = super::MAX_NAME - end.len();
    format!("{}{end}", &base[..base.len().min(room)])
}

fn make_private(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
}

/// Removes a file that may be there, or what somebody has put in its place.
fn remove(path: &Path) -> Result<(), MachinesError> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(MachinesError::file(path)),
    }
}

/// Whether the machine in `folder` has ended, so that its supervisor, which is waited for a while, holds the name only for
/// a moment more.
fn is_ending(folder: &Path) -> bool {
    let state = State::read(folder).ok().flatten();
    let ended = state.filter(|state| state.end.is_some());
    ended.is_some_and(|state| {
        // Whether it is gone or not, the name may be free by now.
        state.supervisor.ended_within(ENDING_INTERVAL);
        true
    })
}

fn is_same(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

impl Claim {
    /// The machine's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The machine's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Removes all files but the lock, the state first: without it there is no machine.
    fn clear(&self) -> Result<(), MachinesError> {
        if let Ok(Some(state)) = State::read(&self.folder) {
            state.remove_scratch(&self.folder);
        }
        remove(&self.folder.join(state::FILE))?;
        let entries = fs::read_dir(&self.folder).map_err(MachinesError::file(&self.folder))?;
        for entry in entries {
            let path = entry.map_err(MachinesError::file(&self.folder))?.path();
            if path.file_name().is_none_or(|name| name != LOCK) {
                remove(&path)?;
            }
        }
        Ok(())
    }

    /// Writes down that a machine died, and removes what it can have left.
    pub(super) fn settle(&self, state: &mut State) {
        state.remove_scratch(&self.folder);
        settings::remove(&self.folder);
        let last = console::last_sign(&self.folder);
        state.end = Some(End::died(last.unwrap_or_else(Timestamp::now)));
        state.scratch = None;
        // Where there is no room, whoever looks next finds out the same.
        let _ = state.write(&self.folder);
    }

    /// Removes the machine, with all its files. Under another name first: half of a machine is none.
    pub(super) fn remove(self) -> Result<(), MachinesError> {
        let beside = format!("{REMOVED}{}-{}", self.name, std::process::id());
        let removed = self.folder.with_file_name(beside);
        fs::rename(&self.folder, &removed).map_err(MachinesError::file(&self.folder))?;
        fs::remove_dir_all(&removed).map_err(MachinesError::file(&removed))
    }

    /// Gives a name back under which nothing was started.
    pub(super) fn abandon(self) {
        // What stays is no machine, as it has no state, or one that died.
        let _ = self.remove();
    }
}
