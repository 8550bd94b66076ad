//! A split virtqueue (virtio 1.2 §2.7): lends buffers to a device and takes them back in whatever
//! order the device finishes with them. The device drivers of this crate use it, from task
//! context; it never waits, and after construction never allocates.
//!
//! The device is not trusted. The driver keeps its own copy of every link, length and owner, and
//! reads back from shared memory only the used ring, each element once and checked. A wrong
//! element poisons the queue: what the device holds stays with it (nobody reuses memory that a
//! broken device may still write) and every later call reports the [`Fault`].
//!
//! Interrupts and notifications follow §2.7.7 and §2.7.10: with `EVENT_IDX` both sides say at which
//! index they want to hear from the other, without it they have one flag each.

mod ledger;
mod ring;
mod segment;
#[cfg(test)]
mod tests;

use core::fmt;
use core::sync::atomic::Ordering::{Acquire, Release, SeqCst};
use core::sync::atomic::fence;

use super::Buffer;
use ledger::Ledger;
use ring::Ring;
pub use segment::Segment;
use segment::describe_table;

/// Largest ring that is taken from a device, whatever it offers (§2.7 allows 32768).
pub const MAX_SIZE: u16 = 1024;

/// Descriptors in one indirect table: a request's header, status, and six pieces of data.
const INDIRECT_TABLE: u16 = 8;

/// Flag in the available ring: the driver wants no interrupts (§2.7.6).
const AVAILABLE_NO_INTERRUPT: u16 = 1;
/// Flag in the used ring: the device wants no notifications (§2.7.8).
const USED_NO_NOTIFY: u16 = 1;

/// Names a request while the device has it. Tokens are reused once a request is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(u16);

impl Token {
    /// The token as an index below the queue's size, for tables beside the queue.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A request that the device is done with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Used {
    /// What [`Queue::submit`] returned for it.
    pub token: Token,
    /// Bytes that the device says it wrote, counted over the request's writable segments in
    /// order. Never more than they hold.
    pub written: u32,
}

/// How a device broke the rules of the used ring. Final for the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The used index moved past everything that was outstanding.
    UsedIndex,
    /// A used element names no request that is outstanding: out of range, or used twice.
    UsedId,
    /// A used element claims more bytes than the request could take.
    UsedLength,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UsedIndex => "used index ahead of what was offered",
            Self::UsedId => "used element names no outstanding request",
            Self::UsedLength => "used element longer than the request",
        })
    }
}

/// A virtqueue and the buffers in it.
///
/// Dropping it frees the ring and every buffer in it: only after the device was reset, which is
/// what [`Device`](super::Device) sees to.
#[derive(Debug)]
pub struct Queue {
    index: u16,
    ring: Ring,
    ledger: Ledger,
    event_idx: bool,
    /// Segments a request may have; what has several goes into a table where `indirect`.
    max_segments: u16,
    indirect: bool,
    available_index: u16,
    notified_index: u16,
    used_index: u16,
    fault: Option<Fault>,
}

impl Queue {
    /// Makes queue number `index` of a device with `size` entries, a power of two up to
    /// [`MAX_SIZE`]. `event_idx` and `indirect` say what was negotiated. `None`: out of memory.
    ///
    /// # Panics
    /// If `size` is not a power of two.
    pub fn new(index: u16, size: u16, event_idx: bool, indirect: bool) -> Option<Queue> {
        let per_table = if indirect { INDIRECT_TABLE } else { 0 };
        Some(Queue {
            index,
            ring: Ring::new(size, per_table)?,
            ledger: Ledger::new(size, per_table.max(1))?,
            event_idx,
            max_segments: if indirect { INDIRECT_TABLE } else { size },
            indirect,
            available_index: 0,
            notified_index: 0,
            used_index: 0,
            fault: None,
        })
    }

    /// The number by which the device knows the queue.
    pub fn index(&self) -> u16 {
        self.index
    }

    /// Number of entries, which bounds the requests outstanding.
    pub fn size(&self) -> u16 {
        self.ring.size()
    }

    /// Device addresses of descriptor table, available ring and used ring.
    pub fn addresses(&self) -> [u64; 3] {
        self.ring.addresses()
    }

    /// Requests that the device has.
    pub fn outstanding(&self) -> u16 {
        self.ledger.outstanding()
    }

    /// Most segments that one request may have.
    pub fn max_segments(&self) -> u16 {
        self.max_segments
    }

    /// Whether a request of so many segments can be submitted now.
    pub fn has_room(&self, segments: usize) -> bool {
        let needed = if self.indirect { 1 } else { segments };
        self.fault.is_none()
            && segments <= usize::from(self.max_segments)
            && needed <= usize::from(self.ledger.free())
    }

    /// What the device did wrong, if it did.
    pub fn fault(&self) -> Option<Fault> {
        self.fault
    }

    /// Lends a request to the device: what it reads first, then what it writes (§2.7.4.2). The
    /// device may begin at once; it need not look before [`Queue::needs_notification`] says so
    /// and it was told.
    ///
    /// # Errors
    /// Hands the segments back untouched if there is no room for them, or none at all in the
    /// request; see [`Queue::has_room`].
    pub fn submit<I>(&mut self, segments: I) -> Result<Token, I>
    where
        I: ExactSizeIterator<Item = Segment>,
    {
        let count = segments.len();
        if count == 0 || !self.has_room(count) {
            return Err(segments);
        }
        let in_table = self.indirect && count > 1;
        let head = self.ledger.take();
        let writable = if in_table {
            self.fill_table(head, segments)
        } else {
            self.fill_chain(head, segments)
        };
        Ok(self.publish(head, count as u16, in_table, writable))
    }

    /// As [`Queue::submit`] with a single segment, in fewer steps: what a network device does for
    /// every frame.
    ///
    /// # Errors
    /// As [`Queue::submit`].
    pub fn submit_one(&mut self, segment: Segment) -> Result<Token, Segment> {
        if !self.has_room(1) {
            return Err(segment);
        }
        let head = self.ledger.take();
        self.ring.write_descriptor(head, segment.describe(None));
        let writable = segment.writable();
        self.ledger.hold(head, 0, segment.into_buffer());
        Ok(self.publish(head, 1, false, writable))
    }

    /// Shows the device a request that is described from `head` on.
    #[inline(always)] // with every frame
    fn publish(&mut self, head: u16, count: u16, in_table: bool, writable: u32) -> Token {
        let token = self.ledger.open(head, count, in_table, writable);
        self.ring.set_available_entry(self.available_index, head);
        // §2.7.13.3.1: the device must find everything above before it finds the new index.
        fence(Release);
        self.available_index = self.available_index.wrapping_add(1);
        self.ring.set_available_index(self.available_index);
        token
    }

    /// Whether the device must be told about what was submitted since the last call. Call it once
    /// for everything submitted in a turn, and write the queue's number to the notify register if
    /// the answer is yes.
    pub fn needs_notification(&mut self) -> bool {
        let (old, new) = (self.notified_index, self.available_index);
        if old == new || self.fault.is_some() {
            return false;
        }
        self.notified_index = new;
        // §2.7.13.4.1: our index must be visible before we look at what the device wants, or both
        // sides can read the other's old value and the device sleeps on a full ring.
        fence(SeqCst);
        if self.event_idx {
            crossed(self.ring.available_event(), old, new)
        } else {
            self.ring.used_flags() & USED_NO_NOTIFY == 0
        }
    }

    /// Whether the device has put something into the used ring.
    pub fn has_used(&self) -> bool {
        self.fault.is_none() && self.ring.used_index() != self.used_index
    }

    /// Takes back the next request that the device is done with, its buffers in the order in
    /// which they were submitted. `None`: the used ring is empty.
    ///
    /// # Errors
    /// The device broke the rules, now or before. It keeps all buffers that it has.
    pub fn pop(&mut self, take: impl FnMut(Buffer)) -> Result<Option<Used>, Fault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        self.check_next()
            .inspect_err(|&fault| self.fault = Some(fault))
            .map(|used| {
                let used = used?;
                self.used_index = self.used_index.wrapping_add(1);
                self.ledger.close(used.token, take);
                Some(used)
            })
    }

    /// Asks for an interrupt at the next used element. Returns whether one is there already; then
    /// the interrupt may never come, and the caller must look at the ring again.
    pub fn enable_interrupts(&mut self) -> bool {
        self.enable_interrupts_after(0)
    }

    /// Asks for an interrupt when `count` more elements have been used, where the device
    /// negotiated `EVENT_IDX`; else at the next one. Returns whether they are there already.
    pub fn enable_interrupts_after(&mut self, count: u16) -> bool {
        let count = if self.event_idx { count } else { 0 };
        if self.event_idx {
            self.ring
                .set_used_event(self.used_index.wrapping_add(count));
        } else {
            self.ring.set_available_flags(0);
        }
        // §2.7.7.1: the wish must be visible before the last look, or an element that arrives in
        // between raises no interrupt and is not seen either.
        fence(SeqCst);
        self.has_used() && self.ring.used_index().wrapping_sub(self.used_index) > count
    }

    /// Asks for no interrupts, as long as the driver looks at the ring by itself. The device may
    /// still raise one (§2.7.7: the wish is a hint).
    pub fn disable_interrupts(&mut self) {
        if self.event_idx {
            // The index farthest ahead; each call moves it on with the ring.
            self.ring.set_used_event(self.used_index.wrapping_sub(1));
        } else {
            self.ring.set_available_flags(AVAILABLE_NO_INTERRUPT);
        }
    }

    /// Reads and checks one element of the used ring, changing nothing.
    fn check_next(&self) -> Result<Option<Used>, Fault> {
        let ahead = self.ring.used_index().wrapping_sub(self.used_index);
        if ahead == 0 {
            return Ok(None);
        }
        if ahead > self.outstanding() {
            return Err(Fault::UsedIndex);
        }
        // Pairs with the device's barrier between the element and the index (§2.7.8.2).
        fence(Acquire);
        let (id, written) = self.ring.used_entry(self.used_index);
        let token = self.ledger.check(id, written)?;
        Ok(Some(Used { token, written }))
    }

    /// Describes the segments in the ring's own descriptors, `head` and as many free ones as it
    /// takes. Returns the bytes that the device may write.
    fn fill_chain(&mut self, head: u16, segments: impl ExactSizeIterator<Item = Segment>) -> u32 {
        let (mut writable, mut left, mut index) = (0_u32, segments.len(), head);
        for segment in segments {
            left -= 1;
            let next = (left > 0).then(|| self.ledger.take());
            self.ring.write_descriptor(index, segment.describe(next));
            writable = writable.saturating_add(segment.writable());
            self.ledger.hold(index, 0, segment.into_buffer());
            if let Some(next) = next {
                self.ledger.link(index, next);
                index = next;
            }
        }
        writable
    }

    /// Describes the segments in the indirect table that belongs to `head` (§2.7.5.3).
    fn fill_table(&mut self, head: u16, segments: impl ExactSizeIterator<Item = Segment>) -> u32 {
        let (mut writable, count) = (0_u32, segments.len() as u16);
        for (position, segment) in (0..count).zip(segments) {
            let next = (position + 1 < count).then_some(position + 1);
            self.ring
                .write_indirect(head, position, segment.describe(next));
            writable = writable.saturating_add(segment.writable());
            self.ledger.hold(head, position, segment.into_buffer());
        }
        let table = describe_table(self.ring.table_address(head), count);
        self.ring.write_descriptor(head, table);
        writable
    }
}

/// Whether moving an index from `old` to `new` passed the index `event` (§2.7.7.2).
fn crossed(event: u16, old: u16, new: u16) -> bool {
    new.wrapping_sub(event).wrapping_sub(1) < new.wrapping_sub(old)
}
