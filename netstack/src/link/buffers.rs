//! The memory of packets that have to wait: for the device, for a neighbour, for the loopback.
//!
//! The link writes each such packet into a buffer from here and gives the buffer back when the packet
//! is out. Nothing here may fail a turn for want of memory: then the packet is lost, as on a full wire.

use alloc::vec;
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
    /// somewhere to know what it has sent.
    scratch: Vec<u8>,
}

impl Buffers {
    /// For packets of up to `largest` bytes.
    pub(super) fn new(largest: usize) -> Buffers {
        Buffers {
            spare: Vec::with_capacity(MAX_SPARE),
            scratch: vec![0; largest],
        }
    }

    /// Has `fill` write a packet of `len` bytes. `None`: there was no memory, and the packet is lost.
    ///
    /// # Panics
    /// Where `len` is larger than `largest`, and memory short.
    pub(super) fn build<R>(
        &mut self,
        len: usize,
        fill: impl FnOnce(&mut [u8]) -> R,
    ) -> (Option<Vec<u8>>, R) {
        let mut buffer = self.spare.pop().unwrap_or_default();
        buffer.clear();
        if buffer.try_reserve_exact(len).is_err() {
            return (None, self.lose(len, fill));
        }
        buffer.resize(len, 0);
        let result = fill(&mut buffer);
        (Some(buffer), result)
    }

    fn lose<R>(&mut self, len: usize, fill: impl FnOnce(&mut [u8]) -> R) -> R {
        let packet = &mut self.scratch[..len];
        packet.fill(0);
        fill(packet)
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
        let (packet, ()) = buffers.build(10, |bytes| bytes.fill(7));
        let address = packet.as_ref().map(|packet| packet.as_ptr());
        buffers.recycle(packet.unwrap());
        let (packet, ()) = buffers.build(5, |bytes| assert_eq!(bytes, [0; 5]));
        assert_eq!(packet.map(|packet| packet.as_ptr()), address);
    }

    #[test]
    fn a_lost_packet_is_written_and_leaves_no_trace() {
        let mut buffers = Buffers::new(100);
        let written = buffers.lose(100, |bytes| {
            bytes.fill(9);
            bytes.len()
        });
        assert_eq!(written, 100);
        buffers.lose(5, |bytes| assert_eq!(bytes, [0; 5]));
    }
}
