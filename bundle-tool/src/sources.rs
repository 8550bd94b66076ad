//! The sources that the tool carries: unpacked into a folder of the cache at first use, whole or not at all, and linked into
//! projects as `.ukernel/kernel`. Called by `build`, `init` and `adapter`; knows nothing of projects but that link.
//!
//! The folder is named by version and digest, so tools of different versions do not meet. What is compiled from the sources
//! themselves lies beside it, in [`Sources::target`]; nothing is written among them but the `Cargo.lock`, which begins as
//! the repository's whole one: Cargo takes out what is not needed, and adds nothing.
//!
//! ```
//! let cache = tempfile::tempdir()?;
//! let sources = bundle_tool::sources::Sources::unpack(cache.path())?;
//! assert!(sources.folder().join("kernel/Cargo.toml").is_file());
//! assert_eq!(bundle_tool::sources::Sources::unpack(cache.path())?.folder(), sources.folder());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::env;
use std::ffi::OsString;
use std::fs::{self, File, FileTimes};
use std::io::{self, Read};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use flate2::read::GzDecoder;

use crate::partial;

/// SHA-256 of the carried sources, in hexadecimal digits.
pub const DIGEST: &str = env!("UKERNEL_SOURCES_DIGEST");

static SOURCES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/sources.tgz"));

/// The lock file with the versions that the repository is tested with.
pub const SEED: &str = "seed.lock";
/// What a folder is called that is still being filled, whatever version it is of.
const PARTIAL: &str = "ukernel-sources";

/// The unpacked sources.
#[derive(Debug, Clone)]
pub struct Sources {
    folder: PathBuf,
}

/// Why there are no sources.
#[derive(Debug, thiserror::Error)]
pub enum SourcesError {
    /// Nothing says where the cache is.
    #[error("there is no place for a cache: UKERNEL_CACHE, XDG_CACHE_HOME and HOME are not set")]
    NoCache,
    /// A file or folder of the cache cannot be written or read.
    #[error("{}: {error}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Somebody changed what was unpacked.
    #[error("{} is not what this tool unpacked", .0.display())]
    Changed(PathBuf),
}

impl SourcesError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            SourcesError::NoCache => Some("set UKERNEL_CACHE to a folder".into()),
            SourcesError::Changed(path) => {
                let folder = path.ancestors().find(|folder| folder.join(SEED).is_file());
                Some(format!("remove {}", folder.unwrap_or(path).display()))
            }
            SourcesError::Io { .. } => None,
        }
    }
}

/// The cache's folder: `$UKERNEL_CACHE`, else `ukernel` in `$XDG_CACHE_HOME` or in `.cache` of `$HOME`.
///
/// # Errors
/// None of the three is set.
pub fn cache_folder() -> Result<PathBuf, SourcesError> {
    cache_folder_from(|name| env::var_os(name))
}

fn cache_folder_from(variable: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf, SourcesError> {
    let folder = |name| {
        variable(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let own = folder("UKERNEL_CACHE");
    // A path that is not absolute is none (XDG Base Directory Specification, "Environment variables").
    let xdg = || {
        folder("XDG_CACHE_HOME")
            .filter(|path| path.is_absolute())
            .map(|path| path.join("ukernel"))
    };
    let home = || folder("HOME").map(|path| path.join(".cache/ukernel"));
    let found = own
        .or_else(xdg)
        .or_else(home)
        .ok_or(SourcesError::NoCache)?;
    std::path::absolute(&found).map_err(|error| io_error(&found, error))
}

impl Sources {
    /// The sources in the cache `cache`, unpacked if they are not there yet. What is there is compared with what the tool
    /// carries, so that a build's digests say the truth. Two processes at once are no harm: the second waits.
    ///
    /// # Errors
    /// The cache cannot be written, or the sources there were changed.
    pub fn unpack(cache: &Path) -> Result<Sources, SourcesError> {
        let folder = cache.join(format!("{}-{}", env!("CARGO_PKG_VERSION"), &DIGEST[..16]));
        let sources = Sources { folder };
        if !sources.folder.exists() {
            fs::create_dir_all(cache).map_err(|error| io_error(cache, error))?;
            // Held until it is dropped, or the process is gone.
            let _lock = lock(&cache.join(".lock"))?;
            if !sources.folder.exists() {
                sources.fill(cache)?;
            }
        }
        sources.compare()?;
        Ok(sources)
    }

    /// The sources' folder: a workspace of Cargo.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where Cargo puts what it compiles of that workspace itself.
    pub fn target(&self) -> PathBuf {
        self.folder.with_added_extension("target")
    }

    /// The text of one of the files.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(&self, path: &str) -> Result<String, SourcesError> {
        let path = self.folder.join(path);
        fs::read_to_string(&path).map_err(|error| io_error(&path, error))
    }

    /// Makes `link` lead to the sources, in whole or not at all.
    ///
    /// # Errors
    /// The link cannot be made.
    pub fn link(&self, link: &Path) -> Result<(), SourcesError> {
        if fs::read_link(link).is_ok_and(|target| target == self.folder) {
            return Ok(());
        }
        let parent = link.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(parent).map_err(|error| io_error(parent, error))?;
        let folder = partial::folder(parent, "kernel").map_err(|error| io_error(parent, error))?;
        let fresh = folder.path().join("kernel");
        // Cargo compares times: what it has compiled of other sources under this name must look old.
        self.touch()?;
        symlink(&self.folder, &fresh).map_err(|error| io_error(&fresh, error))?;
        fs::rename(&fresh, link).map_err(|error| io_error(link, error))
    }

    fn fill(&self, cache: &Path) -> Result<(), SourcesError> {
        let partial = partial::folder(cache, PARTIAL).map_err(|error| io_error(cache, error))?;
        let mut archive = tar::Archive::new(GzDecoder::new(SOURCES));
        // The time of unpacking: Cargo takes what is older than its results for compiled.
        archive.set_preserve_mtime(false);
        archive
            .unpack(partial.path())
            .map_err(|error| io_error(partial.path(), error))?;
        fs::copy(partial.path().join(SEED), partial.path().join("Cargo.lock"))
            .map_err(|error| io_error(partial.path(), error))?;
        partial
            .persist(&self.folder)
            .map_err(|error| io_error(&self.folder, error))
    }

    fn compare(&self) -> Result<(), SourcesError> {
        each_file(|path, content| {
            let path = self.folder.join(path);
            match fs::read(&path) {
                Ok(found) if found == content => Ok(()),
                _ => Err(SourcesError::Changed(path)),
            }
        })
    }

    fn touch(&self) -> Result<(), SourcesError> {
        let now = FileTimes::new().set_modified(SystemTime::now());
        each_file(|path, _| {
            let path = self.folder.join(path);
            let file = File::options().append(true).open(&path);
            file.and_then(|file| file.set_times(now))
                .map_err(|error| io_error(&path, error))
        })
    }
}

/// Calls `visit` with the name and content of each carried file.
fn each_file(
    mut visit: impl FnMut(&Path, Vec<u8>) -> Result<(), SourcesError>,
) -> Result<(), SourcesError> {
    let mut archive = tar::Archive::new(GzDecoder::new(SOURCES));
    let broken = |error| io_error(Path::new("the carried sources"), error);
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let mut content = Vec::new();
        entry.read_to_end(&mut content).map_err(broken)?;
        visit(&entry.path().map_err(broken)?, content)?;
    }
    Ok(())
}

fn lock(path: &Path) -> Result<File, SourcesError> {
    let file = File::options().create(true).append(true).open(path);
    let file = file.map_err(|error| io_error(path, error))?;
    file.lock().map_err(|error| io_error(path, error))?;
    Ok(file)
}

fn io_error(path: &Path, error: io::Error) -> SourcesError {
    SourcesError::Io {
        path: path.into(),
        error,
    }
}

#[cfg(test)]
mod tests;
