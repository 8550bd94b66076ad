//! Handles: numbers that name an object of the kernel, or a capability.
//!
//! A handle is a tag in the top byte. For objects an index follows in 24 bits, and a generation in the
//! lowest 16; for capabilities a kind in the next byte, and a generation. All other bits are 0.
//!
//! ```
//! use abi::handle::{Handle, Tag};
//! let handle = Handle::object(Tag::Net, 7, 3);
//! assert_eq!(handle.to_bits(), 0x0400_0007_0000_0003);
//! assert_eq!(handle.as_object(), Some((Tag::Net, 7, 3)));
//! assert_eq!(Handle::from_bits(0x0400_0007_0001_0003).as_object(), None);
//! ```

use crate::capability::Kind;

/// The most objects that indices can tell apart.
pub const MAX_INDEX: u32 = 0x00ff_ffff;

/// What a handle names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Tag {
    /// A task.
    Task = 1,
    /// A file, a disk, a deadline, the request to stop.
    Io = 2,
    /// A channel's end.
    Ipc = 3,
    /// A socket.
    Net = 4,
    /// A capability.
    Capability = 5,
    /// A span of a trace.
    Span = 6,
    /// An interest set.
    Set = 7,
    /// Shared memory or an arena.
    Memory = 8,
}

impl Tag {
    /// All of them, in the order of their numbers.
    pub const ALL: [Tag; 8] = [
        Tag::Task,
        Tag::Io,
        Tag::Ipc,
        Tag::Net,
        Tag::Capability,
        Tag::Span,
        Tag::Set,
        Tag::Memory,
    ];

    fn from_bits(bits: u8) -> Option<Tag> {
        let index = usize::from(bits).checked_sub(1)?;
        Self::ALL.get(index).copied()
    }
}

/// Any number, which may be a handle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Handle(u64);

impl Handle {
    /// No handle.
    pub const NONE: Handle = Handle(0);

    /// The handle with these bits, whatever they are.
    pub const fn from_bits(bits: u64) -> Handle {
        Handle(bits)
    }

    /// The number that programs see.
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// The handle of an object. `index` is at most [`MAX_INDEX`]; what is above is lost.
    pub const fn object(tag: Tag, index: u32, generation: u16) -> Handle {
        Handle((tag as u64) << 56 | ((index & MAX_INDEX) as u64) << 32 | generation as u64)
    }

    /// The handle of a capability.
    pub const fn capability(kind: Kind, generation: u16) -> Handle {
        Handle((Tag::Capability as u64) << 56 | (kind as u64) << 48 | generation as u64)
    }

    /// The tag, if it is one.
    pub fn tag(self) -> Option<Tag> {
        Tag::from_bits((self.0 >> 56) as u8)
    }

    /// The index, if this is an object's handle; some number of the same range if not.
    pub const fn index(self) -> u32 {
        (self.0 >> 32) as u32 & MAX_INDEX
    }

    /// Tag, index and generation, if this can be an object's handle.
    pub fn as_object(self) -> Option<(Tag, u32, u16)> {
        let tag = self.tag().filter(|tag| *tag != Tag::Capability)?;
        let (index, generation) = (self.index(), self.0 as u16);
        (Handle::object(tag, index, generation) == self).then_some((tag, index, generation))
    }

    /// Kind and generation, if this can be a capability's handle.
    pub fn as_capability(self) -> Option<(Kind, u16)> {
        self.tag().filter(|tag| *tag == Tag::Capability)?;
        let kind = Kind::from_number((self.0 >> 48) as u32 & 0xff)?;
        let generation = self.0 as u16;
        (Handle::capability(kind, generation) == self).then_some((kind, generation))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_is_read_back() {
        for tag in Tag::ALL {
            let handle = Handle::object(tag, MAX_INDEX, u16::MAX);
            let object = (tag != Tag::Capability).then_some((tag, MAX_INDEX, u16::MAX));
            assert_eq!(handle.as_object(), object);
        }
        for kind in Kind::ALL {
            let handle = Handle::capability(kind, 9);
            assert_eq!(handle.as_capability(), Some((kind, 9)));
            assert_eq!(handle.as_object(), None);
        }
    }

    #[test]
    fn stray_bits_make_no_handle() {
        for handle in [
            Handle::object(Tag::Io, 1, 1),
            Handle::capability(Kind::Log, 1),
        ] {
            for bit in 16..32 {
                let stray = Handle::from_bits(handle.to_bits() | 1 << bit);
                assert_eq!((stray.as_object(), stray.as_capability()), (None, None));
            }
        }
        for number in [0, 1, u64::MAX, 0xff << 56, 9 << 56, 5 << 56, 0x0509 << 48] {
            let handle = Handle::from_bits(number);
            assert_eq!((handle.as_object(), handle.as_capability()), (None, None));
        }
    }
}
