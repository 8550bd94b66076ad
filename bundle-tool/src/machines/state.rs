//! What is known of a machine, in its `state.json`. Written by its supervisor, whole each time; read by every command.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::MachinesError;
use super::process::ProcessId;
use crate::machine::{Ending, Forward};
use crate::whole_file::{self, FOR_OWNER};

/// The file.
pub(super) const FILE: &str = "state.json";
/// The version of its format. A file with another one is not read.
pub(super) const FORMAT: u32 = 1;
/// In a folder for sockets: whose it is.
const OWNER: &str = "machine";
/// Begins the names of folders for sockets.
pub(super) const SCRATCH_PREFIX: &str = "ukernel-";

/// A machine's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The version of this format.
    format: u32,
    /// The machine's name.
    pub name: String,
    /// `qemu` or `firecracker`.
    pub vmm: String,
    /// Why that one, and how: a clause for a person.
    pub reason: String,
    /// The kernel's ELF.
    pub kernel: PathBuf,
    /// The ELF whose symbols explain backtraces.
    pub symbols: PathBuf,
    /// What that file was when the machine started.
    stamp: Option<Stamp>,
    /// RAM in MiB.
    pub memory_mib: u32,
    /// Processors.
    pub vcpus: u32,
    /// Ports of this host that lead into the machine.
    pub ports: Vec<Forward>,
    /// When it was started.
    pub started: Timestamp,
    /// Who runs it.
    pub supervisor: ProcessId,
    /// Whose the VMM is; `None`: it has not been started yet.
    pub vmm_process: Option<ProcessId>,
    /// The folder with its sockets.
    pub scratch: Option<PathBuf>,
    /// How it ended; `None`: it runs, or it died with its supervisor.
    pub end: Option<End>,
}

/// There is a state, and it cannot be read.
#[derive(Debug)]
pub(super) enum Unreadable {
    Damaged(String),
    TooNew(u64),
}

impl Unreadable {
    fn damaged(reason: impl ToString) -> Unreadable {
        Unreadable::Damaged(reason.to_string())
    }

    /// As an error about the machine `name`.
    pub(super) fn of(self, name: &str) -> MachinesError {
        let name = name.into();
        match self {
            Unreadable::Damaged(reason) => MachinesError::Damaged { name, reason },
            Unreadable::TooNew(format) => MachinesError::TooNew { name, format },
        }
    }
}

/// Tells whether a file is still what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    bytes: u64,
    modified_ns: u64,
}

/// How a machine ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// When. For one that died: when something was last heard of it.
    pub at: Timestamp,
    /// In which way.
    pub kind: EndKind,
    /// The status of a command that waits for it: the guest's, or 124, 125, 130.
    pub status: u8,
    /// A sentence for a person.
    pub message: String,
}

/// In which way a machine ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndKind {
    /// The guest said its status.
    Exited,
    /// The guest ended without one.
    NoStatus,
    /// The VMM failed.
    VmmFailed,
    /// It was still running at its time limit.
    TimedOut,
    /// It was killed on request.
    Killed,
    /// Its supervisor was killed, or the host went down.
    Died,
}

/// What a machine is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Its VMM is being started.
    Starting,
    /// It runs.
    Running,
    /// It has ended.
    Ended,
    /// Nobody runs it any more, and nobody has said how it ended.
    Died,
}

/// What a machine is made of, as far as its state tells.
pub(super) struct Description<'a> {
    pub(super) name: &'a str,
    pub(super) vmm: &'a str,
    pub(super) reason: &'a str,
    pub(super) kernel: &'a Path,
    pub(super) symbols: &'a Path,
    pub(super) memory_mib: u32,
    pub(super) vcpus: u32,
}

impl State {
    /// A machine that this process begins to start.
    pub(super) fn starting(of: &Description<'_>, scratch: &Path) -> State {
        State {
            format: FORMAT,
            name: of.name.into(),
            vmm: of.vmm.into(),
            reason: of.reason.into(),
            kernel: of.kernel.into(),
            symbols: of.symbols.into(),
            stamp: Stamp::of(of.symbols),
            memory_mib: of.memory_mib,
            vcpus: of.vcpus,
            ports: Vec::new(),
            started: Timestamp::now(),
            supervisor: ProcessId::current(),
            vmm_process: None,
            scratch: Some(scratch.into()),
            end: None,
        }
    }

    /// The state in a machine's folder; `None`: there is none (yet).
    pub(super) fn read(folder: &Path) -> Result<Option<State>, Unreadable> {
        let text = match fs::read_to_string(folder.join(FILE)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Unreadable::damaged(error)),
        };
        let value: Value = serde_json::from_str(&text).map_err(Unreadable::damaged)?;
        match value["format"].as_u64() {
            Some(format) if format > FORMAT.into() => Err(Unreadable::TooNew(format)),
            format if format != Some(FORMAT.into()) => {
                Err(Unreadable::damaged("it is none that this tool has written"))
            }
            _ => State::deserialize(value)
                .map(Some)
                .map_err(Unreadable::damaged),
        }
    }

    pub(super) fn write(&self, folder: &Path) -> io::Result<()> {
        let mut text = serde_json::to_vec_pretty(self).map_err(io::Error::other)?;
        text.push(b'\n');
        whole_file::put(&folder.join(FILE), FOR_OWNER, &text)
    }

    /// What the machine is doing now.
    pub fn phase(&self) -> Phase {
        match (&self.end, &self.vmm_process) {
            (Some(_), _) => Phase::Ended,
            (None, _) if !self.supervisor.is_alive() => Phase::Died,
            (None, None) => Phase::Starting,
            (None, Some(_)) => Phase::Running,
        }
    }

    /// Whether [`symbols`](Self::symbols) is still the file that it was when the machine started.
    pub fn symbols_fit(&self) -> bool {
        self.stamp.is_some() && Stamp::of(&self.symbols) == self.stamp
    }

    /// Says in a folder for sockets that it is this machine's.
    pub(super) fn mark_scratch(scratch: &Path, folder: &Path) -> io::Result<()> {
        fs::write(scratch.join(OWNER), folder.as_os_str().as_encoded_bytes())
    }

    /// Removes what the machine's sockets were in, if that is what it says it is.
    pub(super) fn remove_scratch(&self, folder: &Path) {
        let Some(scratch) = &self.scratch else {
            return;
        };
        let name = scratch.file_name().and_then(|name| name.to_str());
        let is_ours = name.is_some_and(|name| name.starts_with(SCRATCH_PREFIX))
            && fs::read(scratch.join(OWNER))
                .is_ok_and(|owner| owner == folder.as_os_str().as_encoded_bytes());
        if is_ours {
            // What stays is for whoever cleans temporary files.
            let _ = fs::remove_dir_all(scratch);
        }
    }
}

impl Stamp {
    fn of(file: &Path) -> Option<Stamp> {
        let metadata = fs::metadata(file).ok()?;
        let modified = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        Some(Stamp {
            bytes: metadata.len(),
            modified_ns: u64::try_from(modified.as_nanos()).ok()?,
        })
    }
}

impl End {
    pub(super) fn of(ending: &Ending) -> End {
        let kind = match ending {
            Ending::Guest(_) => EndKind::Exited,
            Ending::NoRecord => EndKind::NoStatus,
            Ending::VmmFailed(_) => EndKind::VmmFailed,
            Ending::Deadline(_) => EndKind::TimedOut,
            Ending::Killed => EndKind::Killed,
        };
        End {
            at: Timestamp::now(),
            kind,
            status: ending.exit_code(),
            message: ending.to_string(),
        }
    }

    pub(super) fn died(at: Timestamp) -> End {
        End {
            at,
            kind: EndKind::Died,
            status: 125,
            message: "the process that ran the machine was killed, and the machine with it".into(),
        }
    }
}
