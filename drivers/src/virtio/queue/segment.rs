//! The pieces of a request, and how a device sees them.

use super::ring::Descriptor;
use crate::virtio::Buffer;

/// Descriptor flags (virtio 1.2 §2.7.5).
const NEXT: u16 = 1;
const WRITE: u16 = 2;
const INDIRECT: u16 = 4;

/// One piece of a request: a whole or a leading part of a buffer, and who may write it.
#[derive(Debug)]
pub enum Segment {
    /// The device reads the first so many bytes, all of them if there are fewer.
    ToDevice(Buffer, u32),
    /// The device may write all bytes.
    FromDevice(Buffer),
}

impl Segment {
    /// The device's view of the segment, with another behind it or not.
    pub(super) fn describe(&self, next: Option<u16>) -> Descriptor {
        let (buffer, len, write) = match self {
            Self::ToDevice(buffer, len) => (buffer, (*len).min(len_u32(buffer)), 0),
            Self::FromDevice(buffer) => (buffer, len_u32(buffer), WRITE),
        };
        let link = if next.is_some() { NEXT } else { 0 };
        let next = next.unwrap_or(0);
        Descriptor {
            address: buffer.device_address(),
            len,
            flags: write | link,
            next,
        }
    }

    /// Bytes that the device may write.
    pub(super) fn writable(&self) -> u32 {
        match self {
            Self::ToDevice(..) => 0,
            Self::FromDevice(buffer) => len_u32(buffer),
        }
    }

    /// The memory, without its direction.
    pub(super) fn into_buffer(self) -> Buffer {
        match self {
            Self::ToDevice(buffer, _) | Self::FromDevice(buffer) => buffer,
        }
    }
}

/// The device's view of a request whose `count` descriptors are in a table at `address`.
pub(super) fn describe_table(address: u64, count: u16) -> Descriptor {
    let len = u32::from(count) * size_of::<Descriptor>() as u32;
    Descriptor {
        address,
        len,
        flags: INDIRECT,
        next: 0,
    }
}

/// A descriptor's length field has 32 bits; a longer buffer is lent in part.
fn len_u32(buffer: &Buffer) -> u32 {
    u32::try_from(buffer.len()).unwrap_or(u32::MAX)
}
