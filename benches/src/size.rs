//! The size of a guest without its symbols, as it would be shipped.

use std::io;
use std::path::Path;
use std::process::Command;

use system_tests::guest::guest;

/// Of one of this repository's guests, in bytes.
pub(crate) fn stripped(name: &str) -> io::Result<u64> {
    stripped_file(&guest(name))
}

/// Of any ELF, in bytes.
pub(crate) fn stripped_file(elf: &Path) -> io::Result<u64> {
    let output = tempfile::NamedTempFile::new()?;
    let mut command = Command::new("strip");
    command
        .arg("--strip-all")
        .arg("-o")
        .arg(output.path())
        .arg(elf);
    if !command.status()?.success() {
        return Err(io::Error::other("strip failed"));
    }
    Ok(output.path().metadata()?.len())
}
