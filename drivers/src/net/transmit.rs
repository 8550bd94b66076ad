//! The sending half of a network device: a pool of buffers, each one frame. Used by `net.rs`
//! alone.

use alloc::vec::Vec;

use smoltcp::phy;

use super::{ETHERNET_HEADER, NetMonitor, checksum, header};
use crate::InitError;
use crate::virtio::{Buffer, Fault, Queue, Segment};

/// State beside the transmit queue.
#[derive(Debug)]
pub(super) struct Transmitter {
    /// Buffers that the device does not have.
    free: Vec<Buffer>,
    /// Buffers made so far, and how many there may be.
    made: u16,
    capacity: u16,
    /// Bytes of each.
    buffer_len: usize,
    /// The device completes checksums.
    offload: bool,
    /// Somebody wanted a buffer when there was none.
    waiting: bool,
    monitor: NetMonitor,
}

impl Transmitter {
    /// Room for `capacity` frames of up to `mtu` bytes behind the Ethernet header. One buffer is
    /// made now, so that there is always one to wait for; the others when they are needed.
    pub(super) fn new(
        capacity: u16,
        mtu: usize,
        offload: bool,
        monitor: NetMonitor,
    ) -> Result<Transmitter, InitError> {
        let mut free = Vec::new();
        free.try_reserve_exact(capacity.into())
            .map_err(|_| InitError::OutOfMemory)?;
        let buffer_len = (header::LEN + ETHERNET_HEADER + mtu).next_multiple_of(64);
        free.push(Buffer::zeroed(buffer_len).ok_or(InitError::OutOfMemory)?);
        Ok(Transmitter {
            free,
            made: 1,
            capacity,
            buffer_len,
            offload,
            waiting: false,
            monitor,
        })
    }

    /// Most buffers that there may be.
    pub(super) fn capacity(&self) -> u16 {
        self.capacity
    }

    /// Whether a frame can be made now.
    pub(super) fn has_room(&self) -> bool {
        !self.free.is_empty()
    }

    /// Whether somebody was refused a buffer and none has come back since.
    pub(super) fn waiting(&self) -> bool {
        self.waiting
    }

    /// Takes back what the device has sent, once no buffer is left, or else makes one more. Until
    /// then there is no reason to touch the ring.
    pub(super) fn make_room(&mut self, queue: &mut Queue) -> Result<(), Fault> {
        if self.has_room() {
            return Ok(());
        }
        // At most as many as there are buffers.
        let free = &mut self.free;
        while queue.pop(|buffer| free.push(buffer))?.is_some() {}
        if self.free.is_empty() && self.made < self.capacity {
            self.free.extend(Buffer::zeroed(self.buffer_len));
            self.made += self.free.len() as u16;
        }
        self.waiting = self.free.is_empty();
        if self.waiting {
            self.monitor.count().tx_full.add(1);
        }
        Ok(())
    }

    /// Makes the token for one frame. Only while [`Transmitter::has_room`].
    pub(super) fn token<'a>(&'a mut self, queue: &'a mut Queue) -> TxToken<'a> {
        TxToken {
            transmitter: self,
            queue,
        }
    }

    /// Lets `fill` write a frame of `len` bytes and gives it to the device.
    fn send<R>(&mut self, queue: &mut Queue, len: usize, fill: impl FnOnce(&mut [u8]) -> R) -> R {
        let end = header::LEN + len;
        match self.free.pop() {
            Some(buffer) if end <= buffer.len() => self.submit(queue, buffer, end, fill),
            unfit => {
                self.free.extend(unfit);
                self.discard(len, fill)
            }
        }
    }

    fn submit<R>(
        &mut self,
        queue: &mut Queue,
        mut buffer: Buffer,
        end: usize,
        fill: impl FnOnce(&mut [u8]) -> R,
    ) -> R {
        let (head, rest) = buffer
            .bytes_mut()
            .split_first_chunk_mut()
            .expect("buffers are longer than the header");
        let frame = &mut rest[..end - header::LEN];
        let result = fill(frame);
        let partial = if self.offload {
            checksum::prepare(frame)
        } else {
            checksum::complete(frame);
            None
        };
        header::write(head, partial);
        let count = self.monitor.count();
        count.tx_frames.add(1);
        count.tx_bytes.add((end - header::LEN) as u64);
        // The ring has an entry for each buffer, so there is room; only a device that failed
        // meanwhile gets nothing more, and the buffer is freed.
        let _ = queue.submit_one(Segment::ToDevice(buffer, end as u32));
        result
    }

    /// The stack must be able to write its frame somewhere, even one that cannot be sent.
    fn discard<R>(&mut self, len: usize, fill: impl FnOnce(&mut [u8]) -> R) -> R {
        self.monitor.count().tx_oversized.add(1);
        fill(&mut alloc::vec![0; len])
    }
}

/// Room for one frame. Dropping it sends nothing.
#[derive(Debug)]
pub struct TxToken<'a> {
    transmitter: &'a mut Transmitter,
    queue: &'a mut Queue,
}

impl phy::TxToken for TxToken<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        self.transmitter.send(self.queue, len, f)
    }
}
