//! Folders for sockets, whose paths the system wants short.

use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// The longest path of a folder for temporary files that leaves room for folders in it and a socket: of 107 bytes in all.
const LONGEST: usize = 56;

/// Makes a folder whose name begins with `prefix`, where temporary files go.
///
/// # Errors
/// Nothing can be written there.
pub(crate) fn folder(prefix: &str) -> io::Result<TempDir> {
    let place = place(std::env::temp_dir());
    tempfile::Builder::new().prefix(prefix).tempdir_in(place)
}

/// Not every `TMPDIR` is short enough.
fn place(temporary: PathBuf) -> PathBuf {
    match temporary.as_os_str().len() > LONGEST {
        true => Path::new("/tmp").into(),
        false => temporary,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_leaves_room_for_sockets() {
        let short = PathBuf::from("/var/tmp");
        assert_eq!(place(short.clone()), short);
        let long = PathBuf::from(format!("/{}", "x".repeat(LONGEST)));
        assert_eq!(place(long), Path::new("/tmp"));
    }
}
