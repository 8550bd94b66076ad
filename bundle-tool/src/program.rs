//! Where programs of this machine are. Starts none.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where the PATH, or the name itself if it is a path, has a program.
///
/// ```
/// use bundle_tool::program::find;
/// assert!(find("sh".as_ref()).is_some_and(|path| path.is_absolute()));
/// assert_eq!(find("/bin/no such program".as_ref()), None);
/// ```
pub fn find(program: &OsStr) -> Option<PathBuf> {
    let is_program = |path: &PathBuf| {
        fs::metadata(path).is_ok_and(|file| file.is_file() && file.mode() & 0o111 != 0)
    };
    if Path::new(program).components().count() > 1 {
        return Some(PathBuf::from(program)).filter(is_program);
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(is_program)
}
