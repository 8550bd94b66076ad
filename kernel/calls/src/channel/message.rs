//! A message: bytes, and the objects whose handles were sent along.

use alloc::vec::Vec;
use core::fmt;
use core::ops::Deref;

use abi::Error;

use crate::object::Object;
use crate::user::{UserIn, UserOut};

/// The most bytes of a message that are kept without an allocation.
const SMALL: usize = 40;
/// The most handles of a message.
pub(super) const MAX_HANDLES: usize = 8;

/// A message, as Rust receives it: bytes. At most 40 are kept without an allocation.
pub struct Message {
    body: Body,
    /// None where Rust has the receiving end.
    pub(super) objects: Vec<Object>,
}

enum Body {
    Small { len: u8, bytes: [u8; SMALL] },
    Large(Vec<u8>),
}

impl Message {
    /// A message with these bytes, and no objects yet.
    ///
    /// # Errors
    /// [`Error::NoMemory`].
    pub(super) fn new(bytes: &[u8]) -> Result<Message, Error> {
        Ok(Message {
            body: Body::new(bytes)?,
            objects: Vec::new(),
        })
    }

    /// The same with bytes of the program.
    ///
    /// # Errors
    /// [`Error::NoMemory`].
    pub(super) fn copy(from: UserIn) -> Result<Message, Error> {
        from.with(Message::new)
    }

    /// The bytes, without a copy where there was an allocation.
    ///
    /// # Panics
    /// Where memory for the copy of a small one is out: as `Vec` does.
    pub fn into_vec(self) -> Vec<u8> {
        match self.body {
            Body::Small { len, bytes } => bytes[..usize::from(len)].to_vec(),
            Body::Large(bytes) => bytes,
        }
    }

    /// Copies the bytes into the program's memory, which has room for them.
    pub(super) fn write_to(&self, into: UserOut) {
        into.first(self.len())
            .with(|room| room.copy_from_slice(self));
    }
}

impl Deref for Message {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.body {
            Body::Small { len, bytes } => &bytes[..usize::from(*len)],
            Body::Large(bytes) => bytes,
        }
    }
}

impl AsRef<[u8]> for Message {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Message").field(&&**self).finish()
    }
}

impl Body {
    fn new(bytes: &[u8]) -> Result<Body, Error> {
        if bytes.len() <= SMALL {
            let mut small = [0; SMALL];
            small[..bytes.len()].copy_from_slice(bytes);
            return Ok(Body::Small {
                len: bytes.len() as u8,
                bytes: small,
            });
        }
        let mut large = Vec::new();
        large
            .try_reserve_exact(bytes.len())
            .map_err(|_| Error::NoMemory)?;
        large.extend_from_slice(bytes);
        Ok(Body::Large(large))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_kept_whatever_their_length() {
        for len in [0, 1, SMALL, SMALL + 1, 65_536] {
            let bytes: Vec<u8> = (0..len).map(|n| n as u8).collect();
            let message = Message::new(&bytes).unwrap();
            assert_eq!(*message, *bytes);
            assert_eq!(matches!(message.body, Body::Large(_)), len > SMALL);
            assert_eq!(message.into_vec(), bytes);
        }
        assert!(size_of::<Message>() <= 72);
    }
}
