//! A machine that runs: its log, its controls, its end. Made by [`Launch`](super::Launch); killed when
//! it is dropped.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{ChildStdin, Command, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use shared_child::SharedChild;
use tempfile::TempDir;

use super::api::{Api, ApiRequest};
use super::config::{Forward, Protocol};
use super::error::ControlError;
use super::launch::OnLine;
use super::outcome::{Cut, Ending, Outcome};
use super::qmp::Qmp;
use super::serial_log::{Found, SerialLog, WaitError};

/// How long the pipes of an ended VMM may stay open. Only a process that it left behind keeps them.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// A running machine. Dropping it kills it and waits for its end.
///
/// All methods may be called from any thread.
pub struct Machine {
    process: Process,
    log: Arc<SerialLog>,
    reader: Option<JoinHandle<()>>,
}

/// The way to talk to a VMM.
pub(super) enum Control {
    None,
    Qmp(Mutex<Qmp>),
    /// Firecracker's.
    Api(Api),
}

/// A VMM's process, from its spawning on.
pub(super) struct Process {
    vmm: &'static str,
    child: Arc<SharedChild>,
    /// Set at most once, by whoever ends the process from this side.
    cut: Arc<OnceLock<Cut>>,
    stdin: Mutex<Option<ChildStdin>>,
    vmm_log: Arc<SerialLog>,
    log_file: Option<PathBuf>,
    control: Control,
    forwards: Vec<Forward>,
    started: Instant,
    threads: Vec<JoinHandle<()>>,
    /// Holds the sockets; removed last.
    _folder: TempDir,
}

impl Control {
    pub(super) fn qmp(qmp: Qmp) -> Control {
        Control::Qmp(Mutex::new(qmp))
    }
}

impl Process {
    /// Spawns `command` and the threads that watch it. When the process ends, somebody who waits at
    /// the socket `listener` is released by a connection.
    pub(super) fn spawn(
        vmm: &'static str,
        command: Command,
        deadline: Option<Duration>,
        folder: TempDir,
        listener: Option<PathBuf>,
        forwards: Vec<Forward>,
    ) -> io::Result<Process> {
        let started = Instant::now();
        let cut = Arc::new(OnceLock::new());
        let (guard, child) = {
            let cut = cut.clone();
            spawn_guarded(command, move |child| {
                enforce(child, &cut, started, deadline);
                // Nobody may listen any more; then nobody needs to be released.
                let _ = listener.map(UnixStream::connect);
            })
        };
        let child = child?;
        let vmm_log = Arc::new(SerialLog::default());
        let mut threads = vec![guard];
        if let Some(stderr) = child.take_stderr() {
            let vmm_log = vmm_log.clone();
            threads.push(thread::spawn(move || vmm_log.fill(stderr, |_| {})));
        }
        let stdin = Mutex::new(child.take_stdin());
        let (control, log_file, _folder) = (Control::None, None, folder);
        Ok(Process {
            vmm,
            child,
            cut,
            stdin,
            vmm_log,
            log_file,
            control,
            forwards,
            started,
            threads,
            _folder,
        })
    }

    pub(super) fn with_control(mut self, control: Control) -> Process {
        self.control = control;
        self
    }

    /// Says where the VMM logs besides its standard error.
    pub(super) fn with_log_file(mut self, file: PathBuf) -> Process {
        self.log_file = Some(file);
        self
    }

    /// Waits for a VMM that did not start: its status and last words. One that hangs instead is killed.
    pub(super) fn wait_for_failure(&self) -> (ExitStatus, String) {
        if !matches!(self.child.wait_timeout(DRAIN_TIMEOUT), Ok(Some(_))) {
            self.kill(Cut::Kill);
        }
        let status = self.wait();
        (status, self.vmm_log())
    }

    fn wait(&self) -> ExitStatus {
        // Fails only for a process that somebody else has waited for; nobody else knows it.
        self.child
            .wait()
            .expect("the VMM is this process's own child")
    }

    fn has_ended(&self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for the end for a while.
    pub(super) fn ended_within(&self, span: Duration) -> bool {
        !matches!(self.child.wait_timeout(span), Ok(None))
    }

    fn kill(&self, cut: Cut) {
        if !self.has_ended() {
            let _ = self.cut.set(cut);
            let _ = self.child.kill();
        }
    }

    fn vmm_log(&self) -> String {
        self.vmm_log.wait_until_closed(DRAIN_TIMEOUT);
        let mut text = self.vmm_log.text();
        if let Some(file) = &self.log_file {
            text.push_str(&std::fs::read_to_string(file).unwrap_or_default());
        }
        text
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill(Cut::Kill);
        self.wait();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Spawns `command` from a thread of its own, which then runs `guard` to the child's end: it is the
/// thread that the child is tethered to, so it must not end before.
fn spawn_guarded(
    mut command: Command,
    guard: impl FnOnce(&SharedChild) + Send + 'static,
) -> (JoinHandle<()>, io::Result<Arc<SharedChild>>) {
    let (sender, receiver) = mpsc::channel();
    let thread = thread::spawn(move || {
        #[cfg(target_os = "linux")]
        super::tether::tether(&mut command);
        let child = SharedChild::spawn(&mut command).map(Arc::new);
        let spawned = child.as_ref().ok().cloned();
        // The other side waits for it.
        let _ = sender.send(child);
        if let Some(child) = spawned {
            guard(&child);
        }
    });
    let child = receiver.recv();
    (thread, child.expect("the thread sends before it ends"))
}

/// Waits for the process, and kills it at its deadline.
fn enforce(child: &SharedChild, cut: &OnceLock<Cut>, started: Instant, limit: Option<Duration>) {
    // One that no clock reaches is none.
    if let Some((limit, deadline)) =
        limit.and_then(|limit| Some((limit, started.checked_add(limit)?)))
        && let Ok(None) = child.wait_deadline(deadline)
    {
        let _ = cut.set(Cut::Deadline(limit));
        let _ = child.kill();
    }
    let _ = child.wait();
}

impl Machine {
    pub(super) fn new(process: Process, log: SerialLog, on_line: OnLine) -> Machine {
        let log = Arc::new(log);
        let reader = process.child.take_stdout().map(|stdout| {
            let log = log.clone();
            thread::spawn(move || log.fill(stdout, on_line))
        });
        Machine {
            process,
            log,
            reader,
        }
    }

    /// The serial log.
    pub fn log(&self) -> &SerialLog {
        &self.log
    }

    /// What the VMM writes to its standard error: its own words, and its plugins'.
    pub fn vmm_log(&self) -> &SerialLog {
        &self.process.vmm_log
    }

    /// Waits for a line of the log that contains `pattern`, past or to come, at most for `within`.
    ///
    /// # Errors
    /// The log ended, or the time is up; the error shows the end of the log.
    pub fn wait_for_line(&self, pattern: &str, within: Duration) -> Result<Found, WaitError> {
        self.log.wait_for(pattern, 0, within)
    }

    /// The address on this host that leads to the guest's TCP port.
    pub fn forwarded(&self, guest_port: u16) -> Option<SocketAddr> {
        self.forwarded_by(Protocol::Tcp, guest_port)
    }

    /// The address on this host that leads to the guest's UDP port.
    pub fn forwarded_udp(&self, guest_port: u16) -> Option<SocketAddr> {
        self.forwarded_by(Protocol::Udp, guest_port)
    }

    /// Every port of this host that leads into the guest.
    pub fn forwards(&self) -> &[Forward] {
        &self.process.forwards
    }

    fn forwarded_by(&self, protocol: Protocol, guest_port: u16) -> Option<SocketAddr> {
        let leads_there =
            |forward: &&Forward| forward.protocol == protocol && forward.guest_port == guest_port;
        let forward = self.process.forwards.iter().find(leads_there)?;
        Some((Ipv4Addr::LOCALHOST, forward.host_port).into())
    }

    /// Types `bytes` on the serial line. Waits while the VMM's buffer is full.
    pub fn write_serial(&self, bytes: &[u8]) -> Result<(), ControlError> {
        let mut stdin = lock(&self.process.stdin);
        let stdin = stdin.as_mut().ok_or(ControlError::Ended)?;
        stdin.write_all(bytes)?;
        Ok(stdin.flush()?)
    }

    /// Asks the guest to stop, by Ctrl-Alt-Del. Does not wait for it.
    pub fn stop(&self) -> Result<(), ControlError> {
        match &self.process.control {
            Control::Qmp(qmp) => lock(qmp).ctrl_alt_del(),
            Control::Api(api) => Ok(api.send(&ApiRequest::action("SendCtrlAltDel"))?),
            Control::None => Err(ControlError::Unsupported(self.process.vmm)),
        }
    }

    /// QEMU's control connection, held until the guard is dropped.
    ///
    /// # Errors
    /// [`ControlError::Unsupported`] with another VMM.
    pub fn qmp(&self) -> Result<MutexGuard<'_, Qmp>, ControlError> {
        match &self.process.control {
            Control::Qmp(qmp) => Ok(lock(qmp)),
            _ => Err(ControlError::Unsupported(self.process.vmm)),
        }
    }

    /// Plugs or unplugs the cable of the network interface `index` (QEMU only).
    pub fn set_link(&self, index: usize, up: bool) -> Result<(), ControlError> {
        self.qmp()?.set_link(index, up)
    }

    /// Kills the machine, if it still runs. Does not wait for it.
    pub fn kill(&self) {
        self.process.kill(Cut::Kill);
    }

    /// Whether the VMM has ended.
    pub fn has_ended(&self) -> bool {
        self.process.has_ended()
    }

    /// The VMM's process id.
    pub fn process_id(&self) -> u32 {
        self.process.child.id()
    }

    /// Waits until the VMM has ended, by itself, at its deadline or by [`Machine::kill`].
    pub fn wait(&self) -> Outcome {
        let status = self.process.wait();
        let elapsed = self.process.started.elapsed();
        self.log.wait_until_closed(DRAIN_TIMEOUT);
        let log = self.log.text();
        let ending = Ending::judge(self.process.cut.get().copied(), status, &log);
        Outcome {
            ending,
            log,
            vmm_log: self.process.vmm_log(),
            elapsed,
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.kill();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

/// What these locks guard stays whole when a holder panics.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
