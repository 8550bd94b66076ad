//! Boots machines for tests: few at a time, each with a deadline, its log shown when the test fails.

use std::fs::{self, File, TryLockError};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bundle_tool::machine::{Ending, Launch, Machine, Outcome, Symbols, VmConfig, Vmm};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::guest::{c_guest, guest, repository};

/// How many tests may run a machine at the same time: each keeps a processor busy.
const MAX_CONCURRENT: usize = 2;

/// How long a machine may run, unless the test says otherwise. A slow host is no reason for more: a
/// boot takes a tenth of a second.
const DEADLINE: Duration = Duration::from_secs(60);

/// How long to wait for something that takes milliseconds.
pub const SOON: Duration = Duration::from_secs(20);

/// A machine that belongs to a test.
pub struct TestVm {
    machine: Machine,
    kernel: PathBuf,
    /// Given back after the machine has ended: fields are dropped in order.
    _slot: Option<Slot>,
}

/// A machine for the guest program `name`.
///
/// # Panics
/// It has not been built.
pub fn config(name: &str) -> VmConfig {
    VmConfig::new(guest(name))
}

/// A machine for the program in C `name`.
///
/// # Panics
/// It has not been built.
pub fn c_config(name: &str) -> VmConfig {
    VmConfig::new(c_guest(name))
}

/// Boots a machine, once fewer than two run.
///
/// # Panics
/// It does not start.
pub fn boot(vmm: impl Into<Vmm>) -> TestVm {
    boot_within(vmm, DEADLINE)
}

/// Boots a machine that may run for `deadline`.
///
/// # Panics
/// It does not start.
pub fn boot_within(vmm: impl Into<Vmm>, deadline: Duration) -> TestVm {
    start(vmm.into(), deadline, Some(Slot::take()))
}

impl TestVm {
    /// Boots a second machine for the same test, without waiting for another's end: two tests that each
    /// held one machine and waited for a second would wait for ever.
    ///
    /// # Panics
    /// It does not start.
    pub fn boot_beside(&self, vmm: impl Into<Vmm>) -> TestVm {
        start(vmm.into(), DEADLINE, None)
    }

    /// Waits for a line of the log for at most 20 s, and returns it.
    ///
    /// # Panics
    /// It does not come.
    #[track_caller]
    pub fn expect_line(&self, pattern: &str) -> String {
        match self.machine.wait_for_line(pattern, SOON) {
            Ok(found) => found.line,
            Err(error) => panic!("{error}"),
        }
    }

    /// Waits for the end, and checks the guest's status.
    ///
    /// # Panics
    /// It ended otherwise.
    #[track_caller]
    pub fn expect_status(&self, status: u8) -> Outcome {
        let outcome = self.machine.wait();
        assert_eq!(outcome.ending, Ending::Guest(status), "{}", outcome.vmm_log);
        outcome
    }

    /// Asks the guest to stop, and checks that it does, with status 0.
    ///
    /// # Panics
    /// It does not.
    #[track_caller]
    pub fn stop_and_expect_success(&self) -> Outcome {
        self.machine.stop().expect("the guest can be asked to stop");
        self.expect_status(0)
    }

    /// Checks that the log has each of these texts.
    ///
    /// # Panics
    /// It does not.
    #[track_caller]
    pub fn expect_in_log(&self, expected: &[&str]) {
        let log = self.log().text();
        for text in expected {
            assert!(log.contains(text), "{text:?} is not in:\n{log}");
        }
    }

    /// Checks that a function is among the frames of the log's backtraces.
    ///
    /// # Panics
    /// It is not.
    #[track_caller]
    pub fn expect_frame(&self, function: &str) {
        let frames = self.backtrace(&self.log().text());
        assert!(
            frames.iter().any(|frame| frame.contains(function)),
            "{function} is not in {frames:#?}"
        );
    }

    /// The functions at the frames of the log's backtrace, one text a frame, as a person sees them.
    ///
    /// # Panics
    /// The kernel's symbols cannot be read.
    pub fn backtrace(&self, log: &str) -> Vec<String> {
        let symbols = Symbols::new(&self.kernel);
        let explained = log
            .lines()
            .map(|line| symbols.explain(line).expect("symbols"));
        explained
            .filter(|frame| !frame.is_empty())
            .map(|frame| frame.join("\n"))
            .collect()
    }
}

impl Deref for TestVm {
    type Target = Machine;

    fn deref(&self) -> &Machine {
        &self.machine
    }
}

impl Drop for TestVm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "--- serial log ---\n{}--- its end ---",
                self.machine.log().text()
            );
        }
    }
}

fn start(vmm: Vmm, deadline: Duration, slot: Option<Slot>) -> TestVm {
    raise_open_files_limit();
    let kernel = vmm.config().kernel.clone();
    let started = Launch::new(vmm).deadline(deadline).start();
    let machine = started.unwrap_or_else(|error| panic!("the machine does not start: {error}"));
    TestVm {
        machine,
        kernel,
        _slot: slot,
    }
}

/// A thousand connections are a thousand files here and as many in the VMM, which inherits the limit.
fn raise_open_files_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised).expect("a soft limit may be raised to the hard one");
}

/// The right to run a machine: a locked file, so that it holds across test processes and ends with
/// them.
struct Slot {
    _locked: File,
}

impl Slot {
    fn take() -> Slot {
        let folder = repository().join("target/vm-slots");
        fs::create_dir_all(&folder).expect("target/ is writable");
        let mut files: Vec<File> = (0..MAX_CONCURRENT).map(|n| open(&folder, n)).collect();
        for index in 0..files.len() {
            match files[index].try_lock() {
                Ok(()) => {
                    return Slot {
                        _locked: files.swap_remove(index),
                    };
                }
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => panic!("cannot lock a slot: {error}"),
            }
        }
        // All taken: queue at one of them, not all processes at the same.
        let file = files.swap_remove(std::process::id() as usize % MAX_CONCURRENT);
        file.lock().expect("slots can be locked");
        Slot { _locked: file }
    }
}

fn open(folder: &Path, index: usize) -> File {
    File::create(folder.join(index.to_string())).expect("target/ is writable")
}
