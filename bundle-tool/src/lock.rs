//! `ukernel.lock`: the digest of everything that a build is made of. Written by `ukernel build`, compared by
//! `ukernel build --locked`, committed by people. Owns the format; what the inputs are, [`build`](mod@crate::build) finds out.
//!
//! ```
//! use bundle_tool::lock::Lock;
//!
//! let mut lock = Lock::default();
//! lock.sources.insert("src/main.rs".into(), "sha256:1234".into());
//! let read = Lock::parse(&lock.to_string(), "ukernel.lock".as_ref())?;
//! assert_eq!(read, lock);
//!
//! let mut now = lock.clone();
//! now.sources.insert("src/main.rs".into(), "sha256:5678".into());
//! assert_eq!(lock.differences(&now), ["sources: src/main.rs has changed"]);
//! # Ok::<(), bundle_tool::manifest::ManifestError>(())
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use bundle::Digest;
use serde::{Deserialize, Serialize};

use crate::manifest::{ManifestError, text_of};

/// The version of the format.
const VERSION: u32 = 1;

/// What a digest begins with.
const DIGEST: &str = "sha256:";

/// What is said above the lock.
const HEAD: &str = "# Written by `ukernel build`: what the project is built of. Commit it; `ukernel build --locked` refuses anything else.\n";

/// Everything that a build is made of, each by a digest or a version: names and what they stand for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// The version of the format: 1.
    pub version: u32,
    /// The kernel's sources that the tool carries.
    pub kernel: BTreeMap<String, String>,
    /// What stands between program and kernel.
    pub adapter: BTreeMap<String, String>,
    /// Compilers and interpreters.
    pub toolchain: BTreeMap<String, String>,
    /// The project's files, by their paths.
    pub sources: BTreeMap<String, String>,
    /// Packages of others, by name and version.
    pub dependencies: BTreeMap<String, String>,
}

impl Default for Lock {
    fn default() -> Lock {
        Lock {
            version: VERSION,
            kernel: BTreeMap::new(),
            adapter: BTreeMap::new(),
            toolchain: BTreeMap::new(),
            sources: BTreeMap::new(),
            dependencies: BTreeMap::new(),
        }
    }
}

impl Lock {
    /// Reads a lock; `path` is what errors call it.
    ///
    /// # Errors
    /// It is not what `ukernel build` writes, or of a later version.
    pub fn parse(text: &str, path: &Path) -> Result<Lock, ManifestError> {
        let lock: Lock =
            toml::from_str(text).map_err(|error| ManifestError::of_toml(path, text, &error))?;
        if lock.version != VERSION {
            let problem = format!(
                "version {} of the format, where this tool knows {VERSION}",
                lock.version
            );
            return Err(ManifestError::at_key(path, text, "version", problem));
        }
        Ok(lock)
    }

    /// Reads the lock at `path`.
    ///
    /// # Errors
    /// As [`parse`](Self::parse), or the file cannot be read.
    pub fn read(path: &Path) -> Result<Lock, ManifestError> {
        Lock::parse(&text_of(path)?, path)
    }

    /// What is otherwise in `now`, a sentence each: nothing, if everything is the same.
    pub fn differences(&self, now: &Lock) -> Vec<String> {
        let mut found = Vec::new();
        for ((section, locked), (_, now)) in self.sections().into_iter().zip(now.sections()) {
            for name in locked
                .keys()
                .chain(now.keys().filter(|name| !locked.contains_key(*name)))
            {
                let problem = match (locked.get(name), now.get(name)) {
                    (Some(locked), Some(now)) if locked == now => continue,
                    (Some(locked), Some(now)) if is_digest(locked) && is_digest(now) => {
                        "has changed".to_string()
                    }
                    (Some(locked), Some(now)) => format!("is {now}, locked is {locked}"),
                    (Some(_), None) => "is gone".into(),
                    (None, _) => "is new".into(),
                };
                found.push(format!("{section}: {name} {problem}"));
            }
        }
        found
    }

    fn sections(&self) -> [(&'static str, &BTreeMap<String, String>); 5] {
        [
            ("kernel", &self.kernel),
            ("adapter", &self.adapter),
            ("toolchain", &self.toolchain),
            ("sources", &self.sources),
            ("dependencies", &self.dependencies),
        ]
    }
}

impl fmt::Display for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = toml::to_string(self).map_err(|_| fmt::Error)?;
        write!(f, "{HEAD}{text}")
    }
}

/// The digest of some bytes, as a lock says it.
pub fn digest(bytes: &[u8]) -> String {
    word(&Digest::of(bytes))
}

/// A digest that is known, as a lock says it.
pub fn word(digest: &Digest) -> String {
    format!("{DIGEST}{digest}")
}

fn is_digest(text: &str) -> bool {
    text.starts_with(DIGEST)
}

#[cfg(test)]
mod tests;
