//! Starts a machine: chooses ports, spawns the VMM, and returns when the VMM says that the machine is
//! complete. The only place in the repository that spawns a VMM.

use std::collections::HashSet;
use std::fs::File;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use super::api::{Absent, Api, ApiError, ApiRequest};
use super::config::{Forward, VmConfig};
use super::error::{ControlError, StartError};
use super::firecracker::Firecracker;
use super::ports;
use super::qemu::Qemu;
use super::qmp::Qmp;
use super::running::{Control, Machine, Process};
use super::scratch;
use super::serial_log::{MAX_LINES, SerialLog};

/// What the name of a folder for a machine's sockets begins with.
const PREFIX: &str = "ukernel-";

/// How often free ports are chosen anew when another process takes one in between.
const MAX_ATTEMPTS: usize = 5;

/// How long Firecracker may take to listen on its API's socket. It takes milliseconds.
const API_TIMEOUT: Duration = Duration::from_secs(10);

/// The program that runs the machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Vmm {
    /// QEMU.
    Qemu(Box<Qemu>),
    /// Firecracker.
    Firecracker(Firecracker),
}

/// A machine about to start.
pub struct Launch {
    vmm: Vmm,
    deadline: Option<Duration>,
    on_line: OnLine,
    own_process_group: bool,
    api_timeout: Duration,
    scratch: Option<PathBuf>,
    kept_lines: usize,
}

pub(super) type OnLine = Box<dyn FnMut(&str) + Send>;

impl From<Qemu> for Vmm {
    fn from(qemu: Qemu) -> Vmm {
        Vmm::Qemu(Box::new(qemu))
    }
}

impl From<Firecracker> for Vmm {
    fn from(firecracker: Firecracker) -> Vmm {
        Vmm::Firecracker(firecracker)
    }
}

impl Vmm {
    /// Its name for messages.
    pub fn name(&self) -> &'static str {
        match self {
            Vmm::Qemu(_) => "qemu",
            Vmm::Firecracker(_) => "firecracker",
        }
    }

    fn program(&self) -> &Path {
        match self {
            Vmm::Qemu(qemu) => &qemu.program,
            Vmm::Firecracker(firecracker) => &firecracker.program,
        }
    }

    /// What the machine contains.
    pub fn config(&self) -> &VmConfig {
        match self {
            Vmm::Qemu(qemu) => &qemu.config,
            Vmm::Firecracker(firecracker) => &firecracker.config,
        }
    }

    pub(crate) fn config_mut(&mut self) -> &mut VmConfig {
        match self {
            Vmm::Qemu(qemu) => &mut qemu.config,
            Vmm::Firecracker(firecracker) => &mut firecracker.config,
        }
    }
}

impl Launch {
    /// A machine without a deadline, whose log nobody watches.
    pub fn new(vmm: impl Into<Vmm>) -> Launch {
        Launch {
            vmm: vmm.into(),
            deadline: None,
            on_line: Box::new(|_| {}),
            own_process_group: false,
            api_timeout: API_TIMEOUT,
            scratch: None,
            kept_lines: MAX_LINES,
        }
    }

    /// Kills the machine when it has run for so long.
    pub fn deadline(mut self, limit: Duration) -> Launch {
        self.deadline = Some(limit);
        self
    }

    /// Calls `on_line` with each line of the serial log, from the machine's reader thread, before the line can be waited
    /// for. A slow callback slows the guest's output.
    pub fn on_line(mut self, on_line: impl FnMut(&str) + Send + 'static) -> Launch {
        self.on_line = Box::new(on_line);
        self
    }

    /// Keeps the terminal's Ctrl-C from the VMM, for a program that handles it. Without this, a
    /// Ctrl-C ends the VMM with everything else in the foreground.
    pub fn own_process_group(mut self) -> Launch {
        self.own_process_group = true;
        self
    }

    /// How long Firecracker may take to listen on its API's socket; 10 s unless it is said here.
    pub fn api_timeout(mut self, limit: Duration) -> Launch {
        self.api_timeout = limit;
        self
    }

    /// Makes the folder for the VMM's sockets in `folder`, not where temporary files go. A socket's path has little
    /// more than a hundred bytes.
    pub fn scratch(mut self, folder: impl Into<PathBuf>) -> Launch {
        self.scratch = Some(folder.into());
        self
    }

    /// Keeps only the last so many lines of the log, for a machine that runs for long and whose log goes elsewhere.
    pub fn kept_lines(mut self, count: usize) -> Launch {
        self.kept_lines = count;
        self
    }

    /// Starts the machine.
    ///
    /// Returns when the VMM says that the machine is complete, so that a wrong configuration is an error here.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start(self) -> Result<Machine, StartError> {
        check_files(self.vmm.config())?;
        let fixed: HashSet<u16> = self
            .vmm
            .config()
            .forwards()
            .map(|forward| forward.host_port)
            .collect();
        for _ in 1..MAX_ATTEMPTS {
            match self.attempt() {
                // A port of our own choice was taken meanwhile: choose again.
                Err(StartError::PortTaken { port, .. }) if !fixed.contains(&port) => {}
                Ok(process) => return Ok(self.watch(process)),
                Err(error) => return Err(error),
            }
        }
        let process = self.attempt()?;
        Ok(self.watch(process))
    }

    fn watch(self, process: Process) -> Machine {
        Machine::new(process, SerialLog::keeping(self.kept_lines), self.on_line)
    }

    fn attempt(&self) -> Result<Process, StartError> {
        let mut vmm = self.vmm.clone();
        ports::choose(vmm.config_mut())?;
        let folder = match &self.scratch {
            Some(scratch) => tempfile::Builder::new().prefix(PREFIX).tempdir_in(scratch),
            None => scratch::folder(PREFIX),
        };
        let folder = folder.map_err(StartError::host("make a folder for sockets"))?;
        match &vmm {
            Vmm::Qemu(qemu) => self.start_qemu(&vmm, qemu, folder),
            Vmm::Firecracker(firecracker) => self.start_firecracker(&vmm, firecracker, folder),
        }
    }

    fn start_qemu(&self, vmm: &Vmm, qemu: &Qemu, folder: TempDir) -> Result<Process, StartError> {
        let socket = folder.path().join("qmp");
        let arguments = qemu.arguments(&socket)?;
        // QEMU connects to us: no moment at which its socket does not exist yet.
        let listener = UnixListener::bind(&socket).map_err(StartError::host("listen for QMP"))?;
        let mut command = self.command(vmm);
        command.args(arguments);
        let process = self.spawn(vmm, command, folder, Some(socket))?;
        let accepted = listener.accept();
        let (stream, _) = accepted.map_err(StartError::host("accept QEMU's connection"))?;
        match Qmp::negotiate(stream) {
            Ok(mut qmp) => {
                if qemu.gdb_port.is_none() {
                    resume(&mut qmp)?;
                }
                Ok(process.with_control(Control::qmp(qmp)))
            }
            Err(ControlError::Io(source)) => Err(StartError::Host {
                what: "talk to QEMU",
                source,
            }),
            Err(_) => Err(gave_up(vmm, &process)),
        }
    }

    fn start_firecracker(
        &self,
        vmm: &Vmm,
        firecracker: &Firecracker,
        folder: TempDir,
    ) -> Result<Process, StartError> {
        let socket = folder.path().join("api");
        let log = folder.path().join("log");
        let files = std::iter::once(&log).chain(&firecracker.metrics);
        for file in files {
            File::create(file).map_err(StartError::host("make Firecracker's log"))?;
        }
        let requests = firecracker.requests(&log)?;
        let mut command = self.command(vmm);
        command.arg("--api-sock").arg(&socket);
        // Until it knows a file for its log, that goes to the guest's serial line, which is its stdout.
        command.args(["--level", "Off"]);
        let process = self.spawn(vmm, command, folder, None)?;
        let process = process.with_log_file(log);
        let api = self.wait_for_api(vmm, socket, &process)?;
        describe(vmm, &api, &requests, &process)?;
        Ok(process.with_control(Control::Api(api)))
    }

    fn wait_for_api(
        &self,
        vmm: &Vmm,
        socket: PathBuf,
        process: &Process,
    ) -> Result<Api, StartError> {
        let limit = self.api_timeout;
        let listening = Api::wait_for(socket, limit, |span| process.ended_within(span));
        listening.map_err(|absent| match absent {
            Absent::Ended => gave_up(vmm, process),
            Absent::Late => StartError::Silent {
                program: vmm.program().to_path_buf(),
                limit,
            },
        })
    }

    fn command(&self, vmm: &Vmm) -> Command {
        let mut command = Command::new(vmm.program());
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if self.own_process_group {
            command.process_group(0);
        }
        command
    }

    fn spawn(
        &self,
        vmm: &Vmm,
        command: Command,
        folder: TempDir,
        listener: Option<PathBuf>,
    ) -> Result<Process, StartError> {
        let forwards = vmm.config().forwards().copied().collect();
        Process::spawn(
            vmm.name(),
            command,
            self.deadline,
            folder,
            listener,
            forwards,
        )
        .map_err(|source| StartError::Vmm {
            program: vmm.program().to_path_buf(),
            source,
        })
    }
}

/// Describes the machine to Firecracker and starts it, which is the last request.
fn describe(
    vmm: &Vmm,
    api: &Api,
    requests: &[ApiRequest],
    process: &Process,
) -> Result<(), StartError> {
    let Some((start, before)) = requests.split_last() else {
        return Ok(());
    };
    for request in before {
        api.send(request).map_err(|error| match error {
            ApiError::Io(_) => gave_up(vmm, process),
            refused => refusal(vmm, request, &refused),
        })?;
    }
    match api.send(start) {
        // A short guest may be over before Firecracker answers: how it ended, its log tells.
        Ok(()) | Err(ApiError::Io(_)) => Ok(()),
        Err(refused) => Err(refusal(vmm, start, &refused)),
    }
}

fn refusal(vmm: &Vmm, request: &ApiRequest, reason: &ApiError) -> StartError {
    StartError::Refused {
        vmm: vmm.name(),
        request: format!("PUT {}", request.path),
        reason: reason.to_string(),
    }
}

/// Lets the guest run. A short one may be over before QEMU answers, which is no failure to start.
fn resume(qmp: &mut Qmp) -> Result<(), StartError> {
    match qmp.execute("cont", serde_json::json!({})) {
        Ok(_) | Err(ControlError::Ended) => Ok(()),
        Err(error) => Err(StartError::Host {
            what: "let the guest run",
            source: std::io::Error::other(error),
        }),
    }
}

/// A VMM's own words about a missing file are harder to read than ours.
fn check_files(config: &VmConfig) -> Result<(), StartError> {
    let kernel = [("kernel", config.kernel.as_path())];
    let initrd = config
        .initrd
        .iter()
        .map(|path| ("boot module", path.as_path()));
    let disks = config
        .disks
        .iter()
        .map(|disk| ("disk", disk.path.as_path()));
    for (role, path) in kernel.into_iter().chain(initrd).chain(disks) {
        File::open(path).map_err(|source| StartError::File {
            role,
            path: path.to_path_buf(),
            source,
        })?;
    }
    Ok(())
}

/// Reads from QEMU's last words why it did not start.
fn gave_up(vmm: &Vmm, process: &Process) -> StartError {
    let (status, stderr) = process.wait_for_failure();
    let taken = vmm.config().forwards().find(|forward| {
        let Forward {
            protocol,
            host_port,
            ..
        } = forward;
        // QEMU: "Could not set up host forwarding rule 'tcp:127.0.0.1:8080-:80'"
        stderr.contains("forwarding rule")
            && stderr.contains(&format!("{protocol}:127.0.0.1:{host_port}-"))
    });
    match taken {
        Some(&Forward {
            protocol,
            host_port: port,
            ..
        }) => StartError::PortTaken { protocol, port },
        None => StartError::Exited {
            vmm: vmm.name(),
            status,
            stderr,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_kernel_is_named_with_the_way_to_make_it() {
        let launch = Launch::new(Qemu::new(VmConfig::new("absent.elf")));
        let error = launch.start().err().expect("no such kernel");
        assert!(
            error.to_string().starts_with("kernel absent.elf:"),
            "{error}"
        );
        assert!(error.hint().expect("a hint").contains("ukernel build"));
    }
}
