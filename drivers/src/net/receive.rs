//! The receiving half of a network device: which frame comes next, whether it is one, and putting
//! its buffers back. Used by `net.rs` alone.

use alloc::vec::Vec;

use smoltcp::phy;

use super::checksum::{self, Verdict};
use super::header::{self, Received};
use super::{BULK_BUFFER, ETHERNET_HEADER, MAX_FRAME, MIN_RX_BUFFERS, NetMonitor};
use crate::InitError;
use crate::virtio::{Buffer, Fault, Features, Queue, Segment};

/// Bytes of a receive buffer: a header and the largest frame of an ordinary link.
const BUFFER: usize = 2048;

/// Small buffers that one packet may make room for larger ones.
const MAX_ENLARGED: u16 = 4;

/// Buffers made in one turn, once the first [`MIN_RX_BUFFERS`] are there.
const GROWTH: u16 = 8;

/// State beside the receive queue.
#[derive(Debug)]
pub(super) struct Receiver {
    /// Bytes of each buffer.
    buffer_len: usize,
    /// A packet may span buffers.
    mergeable: bool,
    /// The device may vouch for checksums.
    checksums_vouched: bool,
    /// Where a packet that spans buffers is put together. Its capacity is never exceeded.
    scratch: Vec<u8>,
    /// Buffers made so far, and how many there are to be.
    made: u16,
    wanted: u16,
    /// Buffers for merged segments among them, and how many there may be. None: nothing is merged.
    bulk_made: u16,
    bulk: u16,
    monitor: NetMonitor,
}

/// What [`Receiver::next`] found.
#[derive(Debug)]
pub(super) enum Arrival {
    /// A frame, checked.
    Frame(Frame),
    /// A packet that was dropped and counted; there may be more.
    Dropped,
    /// The used ring is empty.
    Nothing,
}

/// Where a received frame lies.
#[derive(Debug)]
pub(super) enum Frame {
    /// In one of the device's buffers, behind the header, up to this length.
    Buffer(Buffer, usize),
    /// In the scratch memory.
    Scratch,
}

impl Receiver {
    /// State for a device with these features that receives packets of up to `mtu` bytes into
    /// `wanted` buffers, up to `bulk` of them large. Makes none of them yet.
    pub(super) fn new(
        features: Features,
        mtu: usize,
        wanted: u16,
        bulk: u16,
        monitor: NetMonitor,
    ) -> Result<Receiver, InitError> {
        let mergeable = features.contains(Features::NET_MRG_RXBUF);
        let frame = mtu + ETHERNET_HEADER;
        let merges = features.contains(Features::NET_GUEST_TSO4)
            || features.contains(Features::NET_GUEST_TSO6);
        let bulk = if merges { bulk.min(wanted) } else { 0 };
        let whole = (frame + header::LEN).next_multiple_of(64);
        let mut scratch = Vec::new();
        if mergeable {
            scratch
                .try_reserve_exact(if merges { MAX_FRAME } else { frame })
                .map_err(|_| InitError::OutOfMemory)?;
        }
        Ok(Receiver {
            // Without merging, each buffer must take the largest packet (§5.1.6.3.1).
            buffer_len: if mergeable { BUFFER } else { whole.max(BUFFER) },
            mergeable,
            checksums_vouched: features.contains(Features::NET_GUEST_CSUM),
            scratch,
            made: 0,
            wanted,
            bulk_made: 0,
            bulk,
            monitor,
        })
    }

    /// Makes more buffers for the device as long as it has fewer than it should: at first what
    /// every hypervisor needs to deliver anything, then a few with each call, so that neither the
    /// boot nor any turn pays for all of them. When memory is short, the next call tries again.
    pub(super) fn grow(&mut self, queue: &mut Queue) {
        let goal = self.wanted.min((self.made + GROWTH).max(MIN_RX_BUFFERS));
        while self.made < goal {
            let Some(buffer) = Buffer::zeroed(self.buffer_len) else {
                return;
            };
            post(queue, buffer);
            self.made += 1;
        }
    }

    /// Takes the next packet from the ring and decides what it is. Its buffer, unless the frame
    /// lies in it, is back with the device when this returns.
    pub(super) fn next(&mut self, queue: &mut Queue) -> Result<Arrival, Fault> {
        let Some((buffer, written)) = take(queue)? else {
            return Ok(Arrival::Nothing);
        };
        let Some(head) = read_header(&buffer, written) else {
            post(queue, buffer);
            return Ok(self.malformed());
        };
        let frame = if self.mergeable && head.buffers != 1 {
            match self.join(queue, buffer, written, head.buffers)? {
                Some(frame) => frame,
                None => return Ok(self.malformed()),
            }
        } else {
            Frame::Buffer(buffer, written)
        };
        Ok(self.judge(queue, frame, head))
    }

    /// Makes the token that hands `frame` to the stack.
    pub(super) fn token<'a>(&'a self, queue: &'a mut Queue, frame: Frame) -> RxToken<'a> {
        RxToken {
            receiver: self,
            queue,
            frame: Some(frame),
        }
    }

    /// Puts a packet that spans `count` buffers together in the scratch memory and returns the
    /// buffers to the device. `None`: there are not as many, or they hold too much.
    fn join(
        &mut self,
        queue: &mut Queue,
        first: Buffer,
        written: usize,
        count: u16,
    ) -> Result<Option<Frame>, Fault> {
        self.scratch.clear();
        let mut fits = count <= queue.size() && self.append(&first.bytes()[header::LEN..written]);
        let mut enlarged = 0;
        self.recycle_small(queue, first, &mut enlarged);
        // A device completes all buffers of a packet at once, so one that is missing is a lie.
        // What follows a lie may be lost with it; Linux does the same.
        for _ in 1..count.min(queue.size()) {
            let Some((buffer, written)) = take(queue)? else {
                return Ok(None);
            };
            fits = fits && self.append(&buffer.bytes()[..written]);
            self.recycle_small(queue, buffer, &mut enlarged);
        }
        Ok((fits && count > 0).then_some(Frame::Scratch))
    }

    /// Gives a buffer of a packet that did not fit into one back to the device. Where segments are
    /// merged, such packets are to fit, so a large one takes its place, and once there are enough of
    /// those, none: in the end a bulk transfer is read where the device wrote it.
    fn recycle_small(&mut self, queue: &mut Queue, buffer: Buffer, enlarged: &mut u16) {
        if self.bulk == 0 || buffer.len() > BUFFER {
            return post(queue, buffer);
        }
        if self.bulk_made == self.bulk {
            self.made -= 1;
            self.wanted -= 1;
            return;
        }
        let large = Some(BULK_BUFFER).filter(|_| *enlarged < MAX_ENLARGED);
        match large.and_then(Buffer::zeroed) {
            Some(large) => {
                self.bulk_made += 1;
                *enlarged += 1;
                post(queue, large);
            }
            None => post(queue, buffer),
        }
    }

    /// Adds bytes to the scratch memory, if they fit.
    fn append(&mut self, bytes: &[u8]) -> bool {
        let fits = bytes.len() <= self.scratch.capacity() - self.scratch.len();
        if fits {
            self.scratch.extend_from_slice(bytes);
        }
        fits
    }

    /// Lets a frame pass, or drops it.
    fn judge(&mut self, queue: &mut Queue, frame: Frame, head: Received) -> Arrival {
        let bytes = self.bytes(&frame);
        let vouched =
            self.checksums_vouched && head.flags & (header::NEEDS_CSUM | header::DATA_VALID) != 0;
        let len = bytes.len();
        let agreed = match head.gso_type {
            header::GSO_NONE => true,
            header::GSO_TCPV4 | header::GSO_TCPV6 => self.bulk > 0,
            _ => false,
        };
        let good_size = len >= ETHERNET_HEADER && agreed;
        if good_size && (vouched || checksum::verify(bytes) != Verdict::Bad) {
            let count = self.monitor.count();
            count.rx_frames.add(1);
            count.rx_bytes.add(len as u64);
            return Arrival::Frame(frame);
        }
        recycle(queue, frame);
        if good_size {
            self.monitor.count().rx_bad_checksum.add(1);
            return Arrival::Dropped;
        }
        self.malformed()
    }

    fn malformed(&self) -> Arrival {
        self.monitor.count().rx_malformed.add(1);
        Arrival::Dropped
    }

    fn bytes<'a>(&'a self, frame: &'a Frame) -> &'a [u8] {
        match frame {
            Frame::Buffer(buffer, end) => &buffer.bytes()[header::LEN..*end],
            Frame::Scratch => &self.scratch,
        }
    }
}

/// One received frame. Dropping it unread returns its buffer to the device just the same.
#[derive(Debug)]
pub struct RxToken<'a> {
    receiver: &'a Receiver,
    queue: &'a mut Queue,
    frame: Option<Frame>,
}

impl phy::RxToken for RxToken<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        let frame = self
            .frame
            .as_ref()
            .expect("only dropping the token takes its frame");
        f(self.receiver.bytes(frame))
    }
}

impl Drop for RxToken<'_> {
    fn drop(&mut self) {
        if let Some(frame) = self.frame.take() {
            recycle(self.queue, frame);
        }
    }
}

/// The header of a packet, if the device wrote one and at least a byte of frame.
fn read_header(buffer: &Buffer, written: usize) -> Option<Received> {
    let (head, frame) = buffer.bytes().get(..written)?.split_first_chunk()?;
    (!frame.is_empty()).then(|| header::read(head))
}

/// Takes one buffer from the used ring, with the bytes written to it.
fn take(queue: &mut Queue) -> Result<Option<(Buffer, usize)>, Fault> {
    let mut taken = None;
    let used = queue.pop(|buffer| taken = Some(buffer))?;
    Ok(taken.zip(used.map(|used| used.written as usize)))
}

fn recycle(queue: &mut Queue, frame: Frame) {
    if let Frame::Buffer(buffer, _) = frame {
        post(queue, buffer);
    }
}

/// Gives a buffer to the device. It came from the ring, or the ring was made for it, so there is
/// room; only a device that has failed meanwhile gets nothing more, and the buffer is freed.
fn post(queue: &mut Queue, buffer: Buffer) {
    let _ = queue.submit_one(Segment::FromDevice(buffer));
}
