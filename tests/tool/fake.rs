//! A stand-in for Firecracker, as a program that the tool can be told to run.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use bundle_tool::machine::{Firecracker, VmConfig};
use tempfile::TempDir;

/// A fake in a certain mood.
pub(crate) struct Fake {
    folder: TempDir,
    pub(crate) program: PathBuf,
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
        Fake { folder, program }
    }

    /// What stands in for a kernel.
    pub(crate) fn kernel(&self) -> PathBuf {
        self.folder.path().join("kernel")
    }

    /// A machine for the library to start.
    pub(crate) fn machine(&self, describe: impl FnOnce(VmConfig) -> VmConfig) -> Firecracker {
        Firecracker::new(&self.program, describe(VmConfig::new(self.kernel())))
    }
}
