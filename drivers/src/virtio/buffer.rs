//! Memory that a device may read or write: a `Buffer` is owned by the driver, moves into a queue
//! when it is lent to the device, and comes back when the device is done. Nobody can reach its
//! bytes in between, which is what makes dropping a future harmless.
#![allow(
    unsafe_code,
    reason = "a lent buffer is addressed by the device, so it is held by a raw pointer"
)]

use alloc::vec::Vec;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;
use core::slice;

/// A stretch of heap memory under its device address. Never empty when it is in a queue.
///
/// Dropping one frees the memory, so a queue keeps those that a device may still write.
#[derive(Debug)]
pub struct Buffer {
    // A vector's parts rather than the vector: a `&mut Vec<u8>` in flight would claim that nobody
    // else writes its memory.
    pointer: NonNull<u8>,
    len: usize,
    capacity: usize,
}

// SAFETY: a Buffer owns its memory as the vector it came from did, and vectors of bytes are Send.
unsafe impl Send for Buffer {}

impl Buffer {
    /// Allocates `len` zeroed bytes; `None` when memory is short.
    pub fn zeroed(len: usize) -> Option<Buffer> {
        let mut bytes = Vec::<u8>::new();
        bytes.try_reserve_exact(len).ok()?;
        // Not `resize`, which Miri runs byte by byte: it spent most of its time here.
        // SAFETY: there is room for `len` bytes, and they are zeroed before they count.
        unsafe {
            bytes.as_mut_ptr().write_bytes(0, len);
            bytes.set_len(len);
        }
        Some(Buffer::from(bytes))
    }

    /// Number of bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no byte in it.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes. Available only while no queue holds the buffer.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: `from` took these parts from a vector: `len` initialised bytes that only this
        // Buffer owns. No device writes them now: lending moves the Buffer into a Queue.
        unsafe { slice::from_raw_parts(self.pointer.as_ptr(), self.len) }
    }

    /// The bytes, to be changed. Available only while no queue holds the buffer.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`, and `&mut self` makes this the only reference.
        unsafe { slice::from_raw_parts_mut(self.pointer.as_ptr(), self.len) }
    }

    /// Gives the memory back as a vector of the same length.
    pub fn into_vec(self) -> Vec<u8> {
        let this = ManuallyDrop::new(self);
        // SAFETY: the parts are those of the vector that `from` took apart, unchanged, and
        // `ManuallyDrop` gives up this Buffer's ownership of them.
        unsafe { Vec::from_raw_parts(this.pointer.as_ptr(), this.len, this.capacity) }
    }

    /// The address by which the device knows the memory. The kernel's heap is identity-mapped
    /// (promised to `Transport::new`), so it is the pointer.
    pub(crate) fn device_address(&self) -> u64 {
        self.pointer.as_ptr().expose_provenance() as u64
    }
}

impl From<Vec<u8>> for Buffer {
    fn from(bytes: Vec<u8>) -> Buffer {
        let mut bytes = ManuallyDrop::new(bytes);
        let (len, capacity) = (bytes.len(), bytes.capacity());
        let pointer = NonNull::new(bytes.as_mut_ptr()).expect("a vector's pointer is never null");
        Buffer {
            pointer,
            len,
            capacity,
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: as in `into_vec`; `drop` runs once and ends this Buffer's ownership.
        drop(unsafe { Vec::from_raw_parts(self.pointer.as_ptr(), self.len, self.capacity) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_vector_it_came_from() {
        let mut bytes = Vec::with_capacity(10);
        bytes.extend_from_slice(b"abc");
        let address = bytes.as_ptr();
        let mut buffer = Buffer::from(bytes);
        buffer.bytes_mut()[0] = b'x';
        assert_eq!(buffer.bytes(), b"xbc");
        let back = buffer.into_vec();
        assert_eq!(
            (back.as_slice(), back.as_ptr(), back.capacity()),
            (&b"xbc"[..], address, 10)
        );
    }

    #[test]
    fn starts_zeroed_and_may_be_empty() {
        assert_eq!(Buffer::zeroed(5).unwrap().bytes(), [0; 5]);
        assert!(Buffer::zeroed(0).unwrap().is_empty());
        assert!(Buffer::zeroed(usize::MAX).is_none());
    }
}
