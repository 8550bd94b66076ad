//! What is on its way to being whole: a file or folder `.NAME.XXXXXX.partial` beside its place, locked by whoever fills it, and
//! renamed by them in the end. Nobody reads one.
//!
//! A tool that is killed leaves one behind. The lock ends with its process, so whoever makes the next of that name sees
//! that it is nobody's, and removes it.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use tempfile::{Builder, NamedTempFile, TempDir};

/// What names end with.
const SUFFIX: &str = ".partial";
/// Letters and digits that tell those of one name apart.
const RANDOM: usize = 6;
/// How often one is made anew because somebody else removed it before it was locked. Then the last one is taken as it is:
/// if it is gone, too, renaming it says so.
const MAX_RACES: usize = 16;

/// A folder that is being filled; removed when it is dropped.
pub(crate) struct PartialFolder {
    folder: TempDir,
    /// Says that somebody is at it.
    _lock: File,
}

impl PartialFolder {
    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Gives it its own name, which nothing has yet.
    ///
    /// # Errors
    /// That of the file system. The folder is gone then.
    pub(crate) fn persist(self, path: &Path) -> io::Result<()> {
        fs::rename(self.path(), path)?;
        // It is somewhere else now, where it stays.
        let _ = self.folder.keep();
        Ok(())
    }
}

/// Makes a file in `folder` that will be called `name`.
pub(crate) fn file(folder: &Path, name: &str, mode: u32) -> io::Result<NamedTempFile> {
    let make = |builder: &Builder<'_, '_>| {
        let file = builder.tempfile_in(folder)?;
        let lock = file.as_file().try_clone()?;
        Ok((file, lock))
    };
    let (file, _) = locked(folder, name, mode, make, NamedTempFile::path)?;
    Ok(file)
}

/// Makes a folder in `parent` that will be called `name`, or that has something to do with it.
pub(crate) fn folder(parent: &Path, name: &str) -> io::Result<PartialFolder> {
    let make = |builder: &Builder<'_, '_>| {
        let folder = builder.tempdir_in(parent)?;
        let lock = File::open(folder.path())?;
        Ok((folder, lock))
    };
    // As any new folder's; the default keeps others out.
    let (folder, lock) = locked(parent, name, 0o777, make, TempDir::path)?;
    Ok(PartialFolder {
        folder,
        _lock: lock,
    })
}

/// Removes what is nobody's, then makes and locks something.
fn locked<T>(
    folder: &Path,
    name: &str,
    mode: u32,
    make: impl Fn(&Builder<'_, '_>) -> io::Result<(T, File)>,
    path: impl Fn(&T) -> &Path,
) -> io::Result<(T, File)> {
    let prefix = format!(".{name}.");
    remove_stale(folder, &prefix);
    let mut builder = Builder::new();
    builder
        .prefix(&prefix)
        .suffix(SUFFIX)
        .rand_bytes(RANDOM)
        .permissions(Permissions::from_mode(mode));
    for _ in 0..MAX_RACES {
        let (made, lock) = make(&builder)?;
        // Somebody who came before the lock takes it for nobody's, and removes it. On a file system without locks nobody
        // removes anything.
        let is_taken = matches!(lock.try_lock(), Err(TryLockError::WouldBlock));
        if !is_taken && is_at(&lock, path(&made)) {
            return Ok((made, lock));
        }
    }
    make(&builder)
}

/// Removes what killed processes have left. What cannot be removed is in nobody's way.
fn remove_stale(folder: &Path, prefix: &str) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| is_partial(&entry.file_name().to_string_lossy(), prefix)) {
        let _ = remove_if_stale(&entry.path());
    }
}

/// Whether a name is one of those with this prefix.
fn is_partial(name: &str, prefix: &str) -> bool {
    let random = name
        .strip_prefix(prefix)
        .and_then(|rest| rest.strip_suffix(SUFFIX));
    random.is_some_and(|random| {
        random.len() == RANDOM && random.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

fn remove_if_stale(path: &Path) -> io::Result<()> {
    // Neither a link nor a pipe is ours: the one is not followed, the other not waited for.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    file.try_lock()?;
    // Whoever has made it and not locked it yet sees that it is gone.
    if !is_at(&file, path) {
        return Ok(());
    }
    match file.metadata()?.is_dir() {
        true => fs::remove_dir_all(path),
        false => fs::remove_file(path),
    }
}

/// Whether an open file or folder is what has that path.
fn is_at(open: &File, path: &Path) -> bool {
    let identity = |data: fs::Metadata| (data.dev(), data.ino());
    match (open.metadata(), fs::symlink_metadata(path)) {
        (Ok(open), Ok(there)) => identity(open) == identity(there),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name();
        let mut names: Vec<String> = entries
            .map(|entry| name(entry).into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn what_nobody_fills_is_removed_by_the_next_of_its_name() {
        let place = tempfile::tempdir().unwrap();
        let others = [
            ".a.partial",
            ".a.b.ABCDEF.partial",
            ".a.ABCDEFG.partial",
            "a",
        ];
        for name in others
            .iter()
            .chain(&[".a.ABCDEF.partial", ".b.ABCDEF.partial"])
        {
            fs::write(place.path().join(name), "left").unwrap();
        }
        let (one, other) = (".a.uvwxyz.partial", ".a.123456.partial");
        fs::create_dir_all(place.path().join(one).join("deep")).unwrap();
        std::os::unix::fs::symlink("a", place.path().join(other)).unwrap();
        drop(file(place.path(), "a", 0o600).unwrap());
        let mut left = others.to_vec();
        left.extend([other, ".b.ABCDEF.partial"]);
        left.sort_unstable();
        assert_eq!(names(place.path()), left);
        drop(folder(place.path(), "b").unwrap());
        assert!(!names(place.path()).contains(&".b.ABCDEF.partial".to_string()));
    }

    #[test]
    fn what_somebody_fills_is_left_to_them() {
        let place = tempfile::tempdir().unwrap();
        let mut one = file(place.path(), "a", 0o600).unwrap();
        let kept = folder(place.path(), "a").unwrap();
        fs::write(kept.path().join("file"), "whole").unwrap();
        drop(file(place.path(), "a", 0o600).unwrap());
        drop(folder(place.path(), "a").unwrap());
        one.write_all(b"whole").unwrap();
        one.persist(place.path().join("one")).unwrap();
        kept.persist(&place.path().join("two")).unwrap();
        assert_eq!(names(place.path()), ["one", "two"]);
        assert_eq!(fs::read(place.path().join("two/file")).unwrap(), b"whole");
    }

    /// Each removes what it takes for nobody's while the others make theirs: none loses its own.
    #[test]
    fn many_at_once_do_not_remove_each_others() {
        let place = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let target = place.path().join(format!("{thread}"));
                let place = place.path();
                scope.spawn(move || {
                    for _ in 0..200 {
                        let mut one = file(place, "a", 0o600).unwrap();
                        one.write_all(b"whole").unwrap();
                        one.persist(&target).expect("nobody has removed it");
                    }
                });
            }
        });
        assert_eq!(
            names(place.path()),
            ["0", "1", "2", "3", "4", "5", "6", "7"]
        );
    }
}
