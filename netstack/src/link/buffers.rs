//! The memory of packets that have to wait: for the device, for a neighbour, for the loopback.
//!
//! The link writes each such packet into a buffer from here and gives the buffer back when the packet
//! is out. Nothing here may fail a turn for want of memory: then the packet is lost, as on a full wire.

use alloc::vec::Vec;

/// Buffers kept for reuse, so that the loopback allocates nothing in the long run.
const MAX_SPARE: usize = 32;
/// A larger buffer is freed after use.
const MAX_SPARE_BYTES: usize = 16 * 1024;

/// Buffers for packets.
#[derive(Debug)]
pub(super) struct Buffers {
    spare: Vec<Vec<u8>>,
    /// Where a packet is written for which there is no memory: whoever sends one has to write it
    /// somewhere to know what it has sent. Its capacity is never exceeded.
    scratch: Vec<u8>,
}

/// A buffer that is being written.
pub(super) struct Buffer {
    pub(super) bytes: Vec<u8>,
    lost: bool,
}

impl Buffers {
    /// For packets of up to `largest` bytes.
    pub(super) fn new(largest: usize) -> Buffers {
        Buffers {
            spare: Vec::with_capacity(MAX_SPARE),
            // Not filled: a boot has better things to do.
            scratch: Vec::with_capacity(largest),
        }
    }

    /// A buffer of `len` zeroed bytes; where there is no memory, one for a packet that is lost.
    ///
    /// # Panics
    /// Where `len` is larger than `largest`, and memory short.
    pub(super) fn take(&mut self, len: usize) -> Buffer {
        let mut bytes = self.spare.pop().unwrap_or_default();
        bytes.clear();
        if bytes.try_reserve_exact(len).is_err() {
            return self.take_scratch(len);
        }
        bytes.resize(len, 0);
        Buffer { bytes, lost: false }
    }

    fn take_scratch(&mut self, len: usize) -> Buffer {
        let mut bytes = core::mem::take(&mut self.scratch);
        assert!(len <= bytes.capacity(), "larger than any packet");
        bytes.clear();
        bytes.resize(len, 0);
        Buffer { bytes, lost: true }
    }

    /// The packet that was written; `None` where it is lost. Only one buffer is out at a time.
    pub(super) fn written(&mut self, buffer: Buffer) -> Option<Vec<u8>> {
        if buffer.lost {
            self.scratch = buffer.bytes;
            return None;
        }
        Some(buffer.bytes)
    }

    /// Keeps a buffer for the next packet.
    pub(super) fn recycle(&mut self, buffer: Vec<u8>) {
        if self.spare.len() < MAX_SPARE && buffer.capacity() <= MAX_SPARE_BYTES {
            self.spare.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_serves_again_and_shows_nothing_of_the_packet_before() {
        let mut buffers = Buffers::new(100);
        let mut buffer = buffers.take(10);
        buffer.bytes.fill(7);
        let packet = buffers.written(buffer).unwrap();
        let address = packet.as_ptr();
        buffers.recycle(packet);
        let buffer = buffers.take(5);
        assert_eq!(
            (buffer.bytes.as_ptr(), &buffer.bytes[..]),
            (address, &[0; 5][..])
        );
    }

    #[test]
    fn a_lost_packet_is_written_and_leaves_no_trace() {
        let mut buffers = Buffers::new(100);
        let mut buffer = buffers.take_scratch(100);
        buffer.bytes.fill(9);
        assert_eq!(buffers.written(buffer), None);
        assert_eq!(buffers.take_scratch(5).bytes, [0; 5]);
    }
}
