//! What can be wrong with a bundle: which file, and what to do about it.

use alloc::string::String;
use core::fmt;

use crate::{ARCHIVE_END, INDEX, VERSION};

/// Why something is no bundle that may be used. Its text names the file and says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// It does not begin as a bundle does.
    NotABundle,
    /// It is whole, but of a version that this code does not know.
    TooNew {
        /// Its version.
        version: u32,
    },
    /// It, or its index, takes more bytes than there is room for.
    TooLarge {
        /// The index, or the whole bundle.
        file: &'static str,
        /// Bytes that it takes.
        needed: u64,
        /// Bytes that there may be.
        limit: u64,
    },
    /// It ends too early.
    CutOff {
        /// The file in which it does.
        file: String,
    },
    /// A bit of it is not what it was.
    Corrupt {
        /// The file.
        file: String,
        /// What of the file.
        part: Part,
    },
    /// Its index is as it was written, but breaks the rules of the format: whoever wrote it has a fault.
    Malformed {
        /// The line of the index, counted from 1.
        line: usize,
        /// What is wrong there.
        problem: &'static str,
    },
}

/// A part of a member of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The block before it, with name and size.
    Header,
    /// Its bytes.
    Content,
    /// The zeros that fill up its last block.
    Padding,
}

/// What a [`TooLarge`](Error::TooLarge) bundle is called as a whole.
pub(crate) const WHOLE: &str = "the bundle";

impl Error {
    /// The file that is at fault. For what is behind the last file, [`ARCHIVE_END`].
    pub fn file(&self) -> &str {
        match self {
            Error::CutOff { file } | Error::Corrupt { file, .. } => file,
            Error::TooLarge { file, .. } => file,
            Error::NotABundle | Error::TooNew { .. } | Error::Malformed { .. } => INDEX,
        }
    }

    pub(crate) fn corrupt(file: &str, part: Part) -> Error {
        let file = file.into();
        Error::Corrupt { file, part }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file();
        match self {
            Error::NotABundle => write!(
                f,
                "this is no bundle: it does not begin with {file}; `ukernel pack` makes one"
            ),
            Error::TooNew { version } => write!(
                f,
                "{file} has version {version}, and this reads versions up to {VERSION}: use the kernel of the \
                 ukernel that packed it, or pack it again"
            ),
            Error::TooLarge { needed, limit, .. } => write!(
                f,
                "{file} takes {needed} bytes, and there is room for {limit}: give the machine more memory, or \
                 pack fewer files"
            ),
            Error::CutOff { .. } => {
                write!(f, "the bundle is cut off in {file}: copy or pack it again")
            }
            Error::Corrupt { part, .. } if file == ARCHIVE_END => {
                write!(f, "{file} is corrupt: {part}: copy or pack it again")
            }
            Error::Corrupt { part, .. } => {
                write!(
                    f,
                    "{file} is corrupt: {part}: copy or pack the bundle again"
                )
            }
            Error::Malformed { line, problem } => write!(
                f,
                "{file} is malformed: line {line}: {problem}: pack the bundle again, with another ukernel"
            ),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Part::Header => "its header is not the one it was packed with",
            Part::Content => "its content is not what its SHA-256 says",
            Part::Padding => "there is something where zeros belong",
        })
    }
}

impl core::error::Error for Error {}
