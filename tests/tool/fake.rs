//! A stand-in for Firecracker, as a program that the tool can be told to run.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use bundle_tool::machine::{Firecracker, VmConfig};
use rustix::fs::{CWD, Mode, mkfifoat};
use serde_json::Value;
use system_tests::process::{Process, soon};
use system_tests::vm::SOON;
use tempfile::TempDir;

/// Long enough for a program that ends at once to be seen doing so.
pub(crate) const SHORT: Duration = Duration::from_millis(50);

/// A fake in a certain mood.
pub(crate) struct Fake {
    folder: TempDir,
    pub(crate) program: PathBuf,
    /// Locked as long as this test lives, however it ends: until then the program may run.
    _alive: File,
}

impl Fake {
    /// A fake that does what its guest is told.
    pub(crate) fn new() -> Fake {
        Fake::in_mood("")
    }

    /// A fake that is told how to behave; see the program.
    pub(crate) fn in_mood(mood: &str) -> Fake {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let program = folder.path().join("firecracker");
        // No script: one that was just written can be busy.
        symlink(env!("CARGO_BIN_EXE_fake-firecracker"), &program).expect("the folder is writable");
        fs::write(folder.path().join("mood"), mood).expect("the folder is writable");
        // Some file has to be the kernel; nobody runs it.
        fs::write(folder.path().join("kernel"), "").expect("the folder is writable");
        let alive = File::create(folder.path().join("alive")).expect("the folder is writable");
        alive.lock().expect("nobody else has it");
        Fake {
            folder,
            program,
            _alive: alive,
        }
    }

    /// A fake whose guest says nothing before [`open`](Self::open).
    pub(crate) fn gated() -> Fake {
        let fake = Fake::in_mood("gated");
        mkfifoat(CWD, fake.gate(), Mode::RUSR | Mode::WUSR).expect("the folder is writable");
        fake
    }

    /// Lets the guest of a gated fake speak, once it is there.
    pub(crate) fn open(&self) {
        let gate = self.gate();
        let opened = soon("the guest waits for it", || {
            File::options().write(true).open(gate)
        });
        opened.expect("it is there");
    }

    fn gate(&self) -> PathBuf {
        self.folder.path().join("gate")
    }

    /// What stands in for a kernel.
    pub(crate) fn kernel(&self) -> PathBuf {
        self.folder.path().join("kernel")
    }

    /// What was put, with its body, once or more.
    #[track_caller]
    pub(crate) fn heard(&self, path: &str) -> Vec<Value> {
        let heard = fs::read_to_string(self.folder.path().join("heard")).expect("it was started");
        let requests = heard.lines().filter_map(|line| line.split_once(' '));
        let bodies = requests.filter(|(other, _)| *other == path);
        bodies
            .map(|(_, body)| serde_json::from_str(body).expect("JSON"))
            .collect()
    }

    /// A machine for the library to start.
    pub(crate) fn machine(&self, describe: impl FnOnce(VmConfig) -> VmConfig) -> Firecracker {
        Firecracker::new(&self.program, describe(VmConfig::new(self.kernel())))
    }
}

/// Whoever it was that started it: a supervisor that no test knows of any more keeps none running.
#[test]
fn a_fake_ends_with_its_test() {
    let elsewhere = tempfile::tempdir().unwrap();
    for (number, mood) in ["", "silent"].into_iter().enumerate() {
        let fake = Fake::in_mood(mood);
        let socket = elsewhere.path().join(number.to_string());
        let mut command = Command::new(&fake.program);
        let process = Process::start(command.arg("--api-sock").arg(socket));
        assert!(!process.ends_within(SHORT), "it still may run");
        drop(fake);
        assert!(process.ends_within(SOON), "'{mood}' outlives its test");
    }
}
