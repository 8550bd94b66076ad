//! The sending half of a network device: a pool of buffers, each one frame. Used by `net.rs`
//! alone.

use alloc::vec::Vec;
use core::num::{NonZeroU16, NonZeroUsize};

use smoltcp::phy::{self, PacketMeta};

use super::{BULK_BUFFER, ETHERNET_HEADER, MAX_FRAME, NetMonitor, checksum, header};
use crate::InitError;
use crate::virtio::{Buffer, Fault, Features, Queue, Segment};

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
    /// The same of buffers for segments that the device cuts; where it cuts none, there may be none.
    bulk: Vec<Buffer>,
    bulk_made: u16,
    bulk_capacity: u16,
    /// The device completes checksums.
    offload: bool,
    /// Somebody wanted a buffer when there was none.
    waiting: bool,
    monitor: NetMonitor,
}

impl Transmitter {
    /// Room for `capacity` frames of up to `mtu` bytes behind the Ethernet header, up to `bulk` of them
    /// to be cut by a device with these features. One buffer of each kind is made now, so that
    /// there is always one to wait for; the others when they are needed.
    pub(super) fn new(
        features: Features,
        mtu: usize,
        capacity: u16,
        bulk: u16,
        monitor: NetMonitor,
    ) -> Result<Transmitter, InitError> {
        let buffer_len = (header::LEN + ETHERNET_HEADER + mtu).next_multiple_of(64);
        let free = pool(capacity, Buffer::zeroed(buffer_len))?;
        let cuts = features.contains(Features::NET_HOST_TSO4);
        // The ring has room for all.
        let bulk_capacity = if cuts { bulk.min(capacity / 2) } else { 0 };
        let bulk = match bulk_capacity {
            0 => Vec::new(),
            _ => pool(bulk_capacity, unwritten(BULK_BUFFER))?,
        };
        Ok(Transmitter {
            free,
            made: 1,
            capacity: capacity - bulk_capacity,
            buffer_len,
            bulk_made: bulk.len() as u16,
            bulk,
            bulk_capacity,
            offload: features.contains(Features::NET_CSUM),
            waiting: false,
            monitor,
        })
    }

    /// Most buffers that there may be.
    pub(super) fn capacity(&self) -> u16 {
        self.capacity + self.bulk_capacity
    }

    /// Bytes of the largest frame that the device cuts into segments, if it cuts any.
    pub(super) fn largest_segmented(&self) -> Option<NonZeroUsize> {
        NonZeroUsize::new(MAX_FRAME).filter(|_| self.bulk_capacity > 0)
    }

    /// Whether a frame of any length can be made now.
    pub(super) fn has_room(&self) -> bool {
        !self.free.is_empty() && (!self.bulk.is_empty() || self.bulk_capacity == 0)
    }

    /// Whether somebody was refused a buffer and none has come back since.
    pub(super) fn waiting(&self) -> bool {
        self.waiting
    }

    /// Takes back what the device has sent, once no buffer of a kind is left, or else makes one more. Until
    /// then there is no reason to touch the ring.
    pub(super) fn make_room(&mut self, queue: &mut Queue) -> Result<(), Fault> {
        if self.has_room() {
            return Ok(());
        }
        // At most as many as there are buffers.
        let (free, bulk, small) = (&mut self.free, &mut self.bulk, self.buffer_len);
        let mut sort = |buffer: Buffer| match buffer.len() > small {
            true => bulk.push(buffer),
            false => free.push(buffer),
        };
        while queue.pop(&mut sort)?.is_some() {}
        if self.free.is_empty() && self.made < self.capacity {
            self.free.extend(Buffer::zeroed(self.buffer_len));
            self.made += self.free.len() as u16;
        }
        if self.bulk.is_empty() && self.bulk_made < self.bulk_capacity {
            self.bulk.extend(unwritten(BULK_BUFFER));
            self.bulk_made += self.bulk.len() as u16;
        }
        self.waiting = !self.has_room();
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
            segment: None,
        }
    }

    /// Lets `fill` write a frame of `len` bytes and gives it to the device, which cuts it into segments of
    /// `segment` bytes.
    fn send<R>(
        &mut self,
        queue: &mut Queue,
        len: usize,
        segment: Option<NonZeroU16>,
        fill: impl FnOnce(&mut [u8]) -> R,
    ) -> R {
        let end = header::LEN + len;
        let Some(mut buffer) = self.take(end, segment) else {
            return self.discard(len, fill);
        };
        let result = fill(&mut buffer.bytes_mut()[header::LEN..end]);
        self.submit(queue, buffer, end, segment);
        result
    }

    /// A buffer for a packet that ends there.
    fn take(&mut self, end: usize, segment: Option<NonZeroU16>) -> Option<Buffer> {
        if end <= self.buffer_len {
            return self.free.pop();
        }
        if end > BULK_BUFFER || segment.is_none() {
            return None; // nobody would cut it
        }
        let buffer = self.bulk.pop()?;
        if end <= buffer.len() {
            return Some(buffer);
        }
        let mut bytes = buffer.into_vec();
        bytes.resize(end, 0); // within its capacity
        Some(Buffer::from(bytes))
    }

    // Not with each kind of frame that there is to fill.
    #[inline(never)]
    fn submit(
        &mut self,
        queue: &mut Queue,
        mut buffer: Buffer,
        end: usize,
        segment: Option<NonZeroU16>,
    ) {
        let (head, rest) = buffer
            .bytes_mut()
            .split_first_chunk_mut()
            .expect("buffers are longer than the header");
        let frame = &mut rest[..end - header::LEN];
        let partial = if self.offload {
            checksum::prepare(frame)
        } else {
            checksum::complete(frame);
            None
        };
        header::write(head, partial);
        if let (Some(size), Some((start, _))) = (segment, partial) {
            let headers = start + checksum::tcp_header_len(frame, start);
            header::write_segmentation(head, headers, size.get());
        }
        let count = self.monitor.count();
        count.tx_frames.add(1);
        count.tx_bytes.add((end - header::LEN) as u64);
        // The ring has an entry for each buffer, so there is room; only a device that failed
        // meanwhile gets nothing more, and the buffer is freed.
        let _ = queue.submit_one(Segment::ToDevice(buffer, end as u32));
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
    segment: Option<NonZeroU16>,
}

/// A buffer of `capacity` bytes that are made when they are written: those that nobody writes cost no
/// more than the room.
fn unwritten(capacity: usize) -> Option<Buffer> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(capacity).ok()?;
    Some(Buffer::from(bytes))
}

/// A list of up to `capacity` buffers with the first one in it.
fn pool(capacity: u16, first: Option<Buffer>) -> Result<Vec<Buffer>, InitError> {
    let mut buffers = Vec::new();
    let reserved = buffers.try_reserve_exact(capacity.into());
    let first = first.filter(|_| reserved.is_ok());
    buffers.push(first.ok_or(InitError::OutOfMemory)?);
    Ok(buffers)
}

impl phy::TxToken for TxToken<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        self.transmitter.send(self.queue, len, self.segment, f)
    }

    fn set_meta(&mut self, meta: PacketMeta) {
        self.segment = meta.segmentation_offload_size;
    }
}
