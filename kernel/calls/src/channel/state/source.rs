//! The bytes of a message on their way in.

use crate::user::{UserIn, UserOut};

/// Bytes on their way in.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    Program(UserIn),
    Native(&'a [u8]),
}

impl Source<'_> {
    pub(super) fn len(self) -> usize {
        match self {
            Source::Program(from) => from.len(),
            Source::Native(bytes) => bytes.len(),
        }
    }

    /// Copies them into the program's memory, which has room for them.
    pub(super) fn copy_to(self, into: UserOut) -> usize {
        match self {
            Source::Program(from) => into.copy_from(from),
            Source::Native(bytes) => {
                into.first(bytes.len())
                    .with(|room| room.copy_from_slice(bytes));
                bytes.len()
            }
        }
    }
}
