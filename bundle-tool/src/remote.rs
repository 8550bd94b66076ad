//! Another machine to build and run on, reached by ssh: `ukernel remote`. Owns how it is named (`.remote`), how words get
//! to it unharmed, and how a project's files do. Knows nothing of what the commands there mean.
//!
//! ```
//! use bundle_tool::remote::{Remote, Settings};
//!
//! let settings = Settings::parse("UKERNEL_REMOTE=ann@build.example\n", ".remote".as_ref())?;
//! let remote = Remote::new(settings, "demo".as_ref())?;
//! assert_eq!((remote.host(), remote.folder()), ("ann@build.example", "ukernel/demo"));
//! # Ok::<(), bundle_tool::remote::RemoteError>(())
//! ```

mod error;
mod mutagen;
mod rsync;
mod settings;
mod setup;
mod ssh;

use std::path::Path;

pub use error::RemoteError;
pub use mutagen::Mutagen;
pub use rsync::Rsync;
pub use settings::{FILE, Settings};
pub use setup::Setup;
pub use ssh::{PortForward, Session, Terminal};

/// Where folders of projects are there, below the user's own, unless `.remote` says otherwise.
const FOLDER: &str = "ukernel";

/// What of a project stays where it is: what is built, what the tool keeps to itself, what names the other machine.
const NOT_COPIED: [&str; 6] = [
    "/build/",
    "/dist/",
    "/target/",
    "/.ukernel/",
    "/.git/",
    "/.remote",
];

/// Another machine, and the project's folder there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    host: String,
    folder: String,
    ssh: Vec<String>,
}

impl Remote {
    /// The machine that `settings` name, and the folder there of the project `name`.
    ///
    /// # Errors
    /// No host is named, or something is not what it should be.
    pub fn new(settings: Settings, name: &Path) -> Result<Remote, RemoteError> {
        let host = settings.host.ok_or(RemoteError::NoHost)?;
        let is_word = !host.is_empty()
            && !host.contains(|letter: char| letter.is_whitespace() || letter.is_control());
        // ssh would take a leading hyphen for an option.
        if !is_word || host.starts_with('-') {
            return Err(RemoteError::Host(host));
        }
        let folder = match settings.folder {
            Some(folder) => checked(&folder)?,
            None => format!("{FOLDER}/{}", name.display()),
        };
        let ssh = settings.ssh.unwrap_or_else(|| vec!["ssh".into()]);
        Ok(Remote { host, folder, ssh })
    }

    /// What ssh calls the machine.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The project's folder there: an absolute path, or one from the user's own folder.
    pub fn folder(&self) -> &str {
        &self.folder
    }
}

/// A folder that is the project's alone: what is in it and not in the project is deleted there.
fn checked(folder: &str) -> Result<String, RemoteError> {
    let below = folder
        .strip_prefix("~/")
        .unwrap_or(folder)
        .trim_end_matches('/');
    let parts = below.split('/').filter(|part| !part.is_empty());
    let is_bad = |part: &str| part == "." || part == ".." || part.contains(char::is_control);
    if below.starts_with(['~', '-']) || parts.clone().count() == 0 || parts.clone().any(is_bad) {
        return Err(RemoteError::Folder(folder.into()));
    }
    Ok(below.into())
}

#[cfg(test)]
mod tests;
