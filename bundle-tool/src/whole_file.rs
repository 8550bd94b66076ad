//! Files that are there whole or not at all: written beside their place, then renamed. Everything that a command
//! leaves for another one is written through here.
//!
//! A tool that is killed meanwhile leaves a file `.NAME.XXXXXX.partial`, which nobody reads; whoever writes that file next
//! removes it.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use tempfile::NamedTempFile;

use crate::partial;

/// What a file that anybody may read is made with; the user's mask takes from it.
pub const FOR_ALL: u32 = 0o666;
/// The same for what nobody may change.
pub const FOR_READING: u32 = 0o444;
/// The same for secrets.
pub const FOR_OWNER: u32 = 0o600;

/// Makes `path` a file with what `write` writes, or leaves it as it is. `mode` is [`FOR_ALL`] or [`FOR_OWNER`], say.
/// The content is on the disk by then.
///
/// # Errors
/// That of `write`, or of the file system.
///
/// ```
/// use std::io::Write;
/// use bundle_tool::whole_file::{self, FOR_ALL};
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("greeting");
/// whole_file::write(&path, FOR_ALL, |file| writeln!(file, "hello"))?;
/// assert_eq!(std::fs::read_to_string(&path)?, "hello\n");
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn write<E: From<io::Error>>(
    path: &Path,
    mode: u32,
    write: impl FnOnce(&mut BufWriter<File>) -> Result<(), E>,
) -> Result<(), E> {
    let mut temporary = beside(path, mode)?;
    let mut writer = BufWriter::new(temporary.as_file().try_clone()?);
    write(&mut writer)?;
    writer.flush()?;
    drop(writer);
    temporary.as_file_mut().sync_all()?;
    temporary.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// Makes `path` a file of these bytes, or leaves it as it is.
///
/// # Errors
/// As [`write()`].
pub fn put(path: &Path, mode: u32, bytes: &[u8]) -> io::Result<()> {
    write(path, mode, |file| file.write_all(bytes))
}

/// A file in the folder of `path`, which is made if need be.
fn beside(path: &Path, mode: u32) -> io::Result<NamedTempFile> {
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::other("this is no name of a file"))?;
    // A device or a pipe would be gone, and a file in its place.
    if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        return Err(io::Error::other("something is there that is no file"));
    }
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    partial::file(folder, &name.to_string_lossy(), mode)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name();
        entries
            .map(|entry| name(entry).to_string_lossy().into_owned())
            .collect()
    }

    #[test]
    fn what_fails_leaves_the_old_file_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "old").unwrap();
        let result = write(&path, FOR_ALL, |file| {
            file.write_all(b"new")?;
            file.flush()?;
            assert_eq!(names(folder.path()).len(), 2);
            assert_eq!(fs::read_to_string(&path)?, "old");
            Err(io::Error::other("full"))
        });
        assert_eq!(result.unwrap_err().to_string(), "full");
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(names(folder.path()), ["file"]);
    }

    #[test]
    fn what_is_no_file_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        for place in [&path, folder.path()] {
            let result = write(place, FOR_ALL, |file| file.write_all(b"new"));
            assert_eq!(
                result.unwrap_err().to_string(),
                "something is there that is no file"
            );
        }
        assert_eq!(names(folder.path()), ["socket"]);
        assert!(!fs::metadata(&path).unwrap().is_file());
    }

    #[test]
    fn folders_are_made_and_secrets_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/key");
        put(&path, FOR_OWNER, b"secret").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"secret");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
