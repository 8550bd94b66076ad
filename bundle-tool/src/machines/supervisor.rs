//! Runs one machine that has a name: takes the name, starts the VMM, writes log and state, and answers whoever asks. Called
//! by `ukernel run`, in the foreground or as the process that `--detach` leaves behind.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use super::state::{Description, SCRATCH_PREFIX};
use super::{
    Claim, Console, End, Machines, MachinesError, ProcessId, Settings, State, control, settings,
};
use crate::image::ImageError;
use crate::machine::{Disk, Launch, Machine, Outcome, StartError, Vmm, scratch};

/// Lines that a supervisor keeps in memory: enough to see how the machine ended. All are in the log.
const KEPT_LINES: usize = 1000;

/// How long a guest may take to its first line before nobody waits for it any more. It takes milliseconds, but where KVM
/// emulates, seconds.
const FIRST_LINE_TIMEOUT: Duration = Duration::from_secs(10);

/// The most that is kept of what a VMM says, in bytes: its end.
const MAX_VMM_LOG: usize = 256 * 1024;

/// A machine to be run under a name.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    /// The name, or what it begins with.
    pub name: String,
    /// Whether it must be that name. Otherwise a number is added where a machine of that name runs.
    pub exact: bool,
    /// What to run. Paths are absolute.
    pub vmm: Vmm,
    /// Why this VMM: a clause for a person.
    pub reason: String,
    /// The ELF whose symbols explain backtraces.
    pub symbols: PathBuf,
    /// Whether it may be up without a line in its log.
    pub silent: bool,
    /// When to kill it.
    pub deadline: Option<Duration>,
    /// What the machine is told beside its command line.
    pub settings: Settings,
}

/// A machine that this process runs.
pub struct Supervised {
    machine: Arc<Machine>,
    state: State,
    silent: bool,
    /// Disks that no other machine may write.
    _disks: Vec<File>,
    // Dropped in this order: while the name is ours nobody else removes these.
    scratch: TempDir,
    claim: Claim,
}

/// A machine could not be run.
#[derive(Debug, thiserror::Error)]
pub enum SuperviseError {
    /// Its name or folder.
    #[error(transparent)]
    Machines(#[from] MachinesError),
    /// Its VMM.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Its settings.
    #[error(transparent)]
    Settings(#[from] ImageError),
    /// A disk of it.
    #[error("another machine uses the disk {}, or this one twice", .0.display())]
    DiskInUse(PathBuf),
    /// The host.
    #[error("cannot {what}: {source}")]
    Host {
        /// What was being done.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl SuperviseError {
    /// What a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            SuperviseError::Machines(error) => error.hint(),
            SuperviseError::Start(error) => error.hint(),
            SuperviseError::DiskInUse(_) => Some(
                "give it another file, or end the other machine: `ukernel ps` lists them".into(),
            ),
            SuperviseError::Settings(_) | SuperviseError::Host { .. } => None,
        }
    }

    fn host(what: &'static str) -> impl FnOnce(io::Error) -> SuperviseError {
        move |source| SuperviseError::Host { what, source }
    }
}

impl Order {
    /// Starts the machine, and returns when its VMM says that it is complete. `on_line` is called with every line of its
    /// log, from another thread. Nothing is left of a machine that does not start.
    ///
    /// # Errors
    /// See [`SuperviseError`].
    pub fn start(
        self,
        machines: &Machines,
        on_line: impl FnMut(&str) + Send + 'static,
    ) -> Result<Supervised, SuperviseError> {
        let claim = match self.exact {
            true => machines.claim(&self.name)?,
            false => machines.claim_free(&self.name)?,
        };
        let disks = match lock_disks(&self.vmm.config().disks) {
            Ok(disks) => disks,
            Err(error) => {
                claim.abandon();
                return Err(error);
            }
        };
        let silent = self.silent;
        match self.launch(&claim, on_line) {
            Ok((machine, state, scratch)) => Ok(Supervised {
                machine,
                state,
                silent,
                _disks: disks,
                scratch,
                claim,
            }),
            Err(error) => {
                claim.abandon();
                Err(error)
            }
        }
    }

    fn launch(
        mut self,
        claim: &Claim,
        mut on_line: impl FnMut(&str) + Send + 'static,
    ) -> Result<(Arc<Machine>, State, TempDir), SuperviseError> {
        let folder = claim.folder();
        let scratch = scratch::folder(SCRATCH_PREFIX)
            .map_err(SuperviseError::host("make a folder for sockets"))?;
        let mut state = State::starting(&self.describe(claim.name()), scratch.path());
        let write = |state: &State| state.write(folder).map_err(MachinesError::file(folder));
        State::mark_scratch(scratch.path(), folder).map_err(MachinesError::file(scratch.path()))?;
        write(&state)?;

        if !self.settings.is_empty() {
            let file = self.settings.write(folder, claim.name())?;
            self.vmm.config_mut().initrd = Some(file);
        }
        if let Vmm::Firecracker(firecracker) = &mut self.vmm {
            firecracker.metrics = Some(folder.join("metrics.json"));
        }
        let mut console = Console::create(folder).map_err(MachinesError::file(folder))?;
        let mut launch = Launch::new(self.vmm)
            .own_process_group()
            .kept_lines(KEPT_LINES)
            .scratch(scratch.path())
            .on_line(move |line| {
                console.line(line);
                on_line(line);
            });
        if let Some(limit) = self.deadline {
            launch = launch.deadline(limit);
        }
        let machine = Arc::new(launch.start()?);
        // The VMM has read it by now.
        settings::remove(folder);

        control::serve(scratch.path(), Arc::downgrade(&machine))
            .map_err(SuperviseError::host("listen for other commands"))?;
        state.vmm_process = Some(ProcessId::of(machine.process_id()));
        state.ports = machine.forwards().to_vec();
        write(&state)?;
        Ok((machine, state, scratch))
    }

    fn describe<'a>(&'a self, name: &'a str) -> Description<'a> {
        let config = self.vmm.config();
        Description {
            name,
            vmm: self.vmm.name(),
            reason: &self.reason,
            kernel: &config.kernel,
            symbols: &self.symbols,
            memory_mib: config.memory_mib,
            vcpus: config.vcpus,
        }
    }
}

/// A disk that a machine writes is that machine's alone; several may read one that none writes.
fn lock_disks(disks: &[Disk]) -> Result<Vec<File>, SuperviseError> {
    let lock = |disk: &Disk| {
        let unreadable = |source| StartError::File {
            role: "disk",
            path: disk.path.clone(),
            source,
        };
        let file = File::open(&disk.path).map_err(unreadable)?;
        let locked = match disk.read_only {
            true => file.try_lock_shared(),
            false => file.try_lock(),
        };
        match locked {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(SuperviseError::DiskInUse(disk.path.clone())),
            // A file system without locks: then nobody can know.
            Err(TryLockError::Error(_)) => Ok(file),
        }
    };
    disks.iter().map(lock).collect()
}

impl Supervised {
    /// The machine.
    pub fn machine(&self) -> &Arc<Machine> {
        &self.machine
    }

    /// What is known of it.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Waits until the machine is up, as far as that can be told: until its first line is in its log, it has ended, or
    /// 10 s have passed. One that may be silent is taken for up at once.
    pub(super) fn wait_until_up(&self) {
        if !self.silent {
            // Whatever it is, the machine was started; how it goes on is in its log and its state.
            let _ = self.machine.wait_for_line("", FIRST_LINE_TIMEOUT);
        }
    }

    /// Waits for its end, and writes down how it was.
    ///
    /// # Errors
    /// That cannot be written; the machine has ended all the same.
    pub fn wait(self) -> (Outcome, Result<(), MachinesError>) {
        let outcome = self.machine.wait();
        let recorded = self.record(&outcome);
        (outcome, recorded)
    }

    fn record(mut self, outcome: &Outcome) -> Result<(), MachinesError> {
        let folder = self.claim.folder();
        let words = tail(&outcome.vmm_log);
        if !words.is_empty() {
            let path = folder.join("vmm.log");
            fs::write(&path, words).map_err(MachinesError::file(&path))?;
        }
        self.state.end = Some(End::of(&outcome.ending));
        self.state.scratch = None;
        self.state
            .write(folder)
            .map_err(MachinesError::file(folder))?;
        // What stays is for whoever cleans temporary files.
        let _ = self.scratch.close();
        Ok(())
    }
}

/// The last of a VMM's words.
fn tail(words: &str) -> &str {
    let begin = words.len().saturating_sub(MAX_VMM_LOG);
    &words[words.ceil_char_boundary(begin)..]
}
