//! Programs for the shell that a test writes and then runs.

use std::io;
use std::path::Path;
use std::process::Command;

/// Writes a program of the shell's, which may be run at once.
///
/// By `install`, because no process can run a file that another has open for writing; and whatever this one has open is
/// open, for a moment, in every process that another test has just begun to start.
///
/// # Errors
/// The file cannot be written.
///
/// ```
/// let folder = tempfile::tempdir()?;
/// let program = folder.path().join("three");
/// system_tests::program::write(&program, "exit 3")?;
/// assert_eq!(std::process::Command::new(program).status()?.code(), Some(3));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn write(path: &Path, text: &str) -> io::Result<()> {
    let draft = tempfile::NamedTempFile::new()?;
    std::fs::write(draft.path(), format!("#!/bin/sh\n{text}\n"))?;
    let mut install = Command::new("install");
    install.args(["-m", "755"]).arg(draft.path()).arg(path);
    match install.status()?.success() {
        true => Ok(()),
        false => Err(io::Error::other(format!("cannot write {}", path.display()))),
    }
}
