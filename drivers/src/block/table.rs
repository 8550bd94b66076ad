//! The requests between a disk's handles and its runner. Handles put requests in and take results
//! out; the runner moves them to the device and back. Shared within one thread, borrowed only for
//! the length of a call.
//!
//! A request's life: waiting to be admitted (first in, first out) → queued → submitted → done. A
//! future that is dropped while the device has its request leaves the slot orphaned, and the
//! runner frees it when the device is done.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::mem;
use core::task::{Context, Poll, Waker};

use reactor::sync::{Permit, Semaphore};

use super::DiskError;
use crate::virtio::Buffer;

/// Requests of one disk that are queued or with the device. Whoever comes when there are as many
/// waits, first come first served, and costs nothing until then.
pub const MAX_REQUESTS: usize = 256;

/// What a disk has done since it was brought up, and what it is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskStats {
    /// Read requests that the device completed without error.
    pub reads: u64,
    /// Write requests that the device completed without error.
    pub writes: u64,
    /// Flush requests that the device completed without error.
    pub flushes: u64,
    /// Bytes of those reads.
    pub read_bytes: u64,
    /// Bytes of those writes.
    pub written_bytes: u64,
    /// Requests that failed at the device.
    pub errors: u64,
    /// Requests that wait for the runner now.
    pub queued: usize,
    /// Requests that the device has now.
    pub in_flight: usize,
    /// Register writes that told the device about new requests.
    pub notifications: u64,
    /// Interrupts that woke the runner.
    pub interrupts: u64,
}

/// What the device is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Read,
    Write,
    Flush,
}

/// A request's data, in order. One buffer is the usual case and needs no list.
#[derive(Debug, Default)]
pub(super) enum Data {
    #[default]
    None,
    One(Buffer),
    Many(Vec<Buffer>),
}

/// A request on its way to the device.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) operation: Operation,
    pub(super) sector: u64,
    pub(super) data: Data,
}

/// How a request ended, and its buffers, unless a failed device keeps them.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) result: Result<(), DiskError>,
    pub(super) data: Data,
}

impl Outcome {
    /// The device was given up and keeps the buffers.
    pub(super) fn failed() -> Outcome {
        Outcome {
            result: Err(DiskError::DeviceFailed),
            data: Data::None,
        }
    }
}

/// Names a slot between `insert` and `finish` or `abandon`.
pub(super) type SlotId = u16;

#[derive(Debug)]
enum State {
    Free,
    Queued(Request),
    Submitted,
    Done(Outcome),
}

#[derive(Debug)]
struct Slot {
    state: State,
    /// Who awaits the outcome. Whether anybody does is `orphaned`.
    waker: Option<Waker>,
    orphaned: bool,
}

/// The table as its handles and its runner share it.
#[derive(Debug)]
pub(super) struct SharedTable {
    table: RefCell<Table>,
    admission: Semaphore,
}

impl SharedTable {
    /// An empty table.
    pub(super) fn new() -> SharedTable {
        SharedTable {
            table: RefCell::default(),
            admission: Semaphore::new(MAX_REQUESTS),
        }
    }

    /// Waits until one more request is allowed. It is as long as the permit lives.
    pub(super) async fn admit(&self) -> Result<Permit<'_>, DiskError> {
        self.admission
            .acquire(1)
            .await
            .map_err(|_| DiskError::DeviceFailed)
    }

    /// Calls `f` with the table, then wakes whom it decided to wake. In this order: waking, or
    /// dropping a waker, can drop a task, and the requests in that task need the table.
    pub(super) fn with<R>(&self, f: impl FnOnce(&mut Table) -> R) -> R {
        let result = f(&mut self.table.borrow_mut());
        while let Some(waker) = self.next_due() {
            waker.wake();
        }
        result
    }

    /// Runner: every request that is not done fails, and so will every later one.
    pub(super) fn fail(&self) {
        self.with(Table::fail);
        self.admission.close();
    }

    fn next_due(&self) -> Option<Waker> {
        self.table.borrow_mut().due.pop_front()
    }
}

/// All requests of one disk.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// As many as were ever in use at once, and reused: the requests admitted, and orphans, which
    /// are at most as many as the device's queue holds.
    slots: Vec<Slot>,
    free: Vec<SlotId>,
    queue: VecDeque<SlotId>,
    runner: Option<Waker>,
    /// To be woken, or only dropped, once the table is no longer borrowed.
    due: VecDeque<Waker>,
    failed: bool,
    pub(super) stats: DiskStats,
}

impl Table {
    /// Puts an admitted request in and wakes the runner.
    ///
    /// # Errors
    /// The device has failed, or memory is short. The data comes back.
    pub(super) fn insert(&mut self, request: Request) -> Result<SlotId, Outcome> {
        let error = match self.free.pop() {
            _ if self.failed => DiskError::DeviceFailed,
            Some(id) => return Ok(self.enqueue(id, request)),
            None if self.slots.try_reserve(1).is_err() => DiskError::OutOfMemory,
            None => {
                let id = self.slots.len() as SlotId; // see `slots`
                self.slots.push(Slot {
                    state: State::Free,
                    waker: None,
                    orphaned: false,
                });
                return Ok(self.enqueue(id, request));
            }
        };
        Err(Outcome {
            result: Err(error),
            data: request.data,
        })
    }

    fn enqueue(&mut self, id: SlotId, request: Request) -> SlotId {
        self.slots[usize::from(id)].state = State::Queued(request);
        self.queue.push_back(id);
        self.due.extend(self.runner.take());
        id
    }

    /// Takes the outcome of a request and frees its slot, or registers the waker.
    pub(super) fn poll_finish(&mut self, id: SlotId, cx: &mut Context<'_>) -> Poll<Outcome> {
        let slot = &mut self.slots[usize::from(id)];
        if !matches!(slot.state, State::Done(_)) {
            self.due.extend(set_waker(&mut slot.waker, cx));
            return Poll::Pending;
        }
        let State::Done(outcome) = mem::replace(&mut slot.state, State::Free) else {
            unreachable!("the state was looked at in the line above")
        };
        self.release(id);
        Poll::Ready(outcome)
    }

    /// Nobody awaits the request any more.
    pub(super) fn abandon(&mut self, id: SlotId) {
        let slot = &mut self.slots[usize::from(id)];
        self.due.extend(slot.waker.take());
        match slot.state {
            State::Submitted => slot.orphaned = true,
            State::Queued(_) => {
                self.queue.retain(|&queued| queued != id);
                self.release(id);
            }
            State::Done(_) => self.release(id),
            State::Free => unreachable!("a future abandons its own slot, once"),
        }
    }

    /// Runner: registers the task that takes requests out.
    pub(super) fn register_runner(&mut self, cx: &mut Context<'_>) {
        self.due.extend(set_waker(&mut self.runner, cx));
    }

    /// Runner: the number of data segments of the next request, if there is one.
    pub(super) fn next_segments(&self) -> Option<usize> {
        match &self.slots[usize::from(*self.queue.front()?)].state {
            State::Queued(request) => Some(request.data.segments()),
            _ => unreachable!("only queued requests are in the queue"),
        }
    }

    /// Runner: takes the next request, which is submitted now. Behind `next_segments`.
    pub(super) fn take_next(&mut self) -> Option<(SlotId, Request)> {
        let id = self.queue.pop_front()?;
        match mem::replace(&mut self.slots[usize::from(id)].state, State::Submitted) {
            State::Queued(request) => Some((id, request)),
            _ => unreachable!("only queued requests are in the queue"),
        }
    }

    /// Runner: a submitted request has ended.
    pub(super) fn complete(&mut self, id: SlotId, outcome: Outcome) {
        let slot = &mut self.slots[usize::from(id)];
        slot.state = State::Done(outcome);
        self.due.extend(slot.waker.take());
        if slot.orphaned {
            self.release(id);
        }
    }

    fn fail(&mut self) {
        self.failed = true;
        self.queue.clear();
        for id in 0..self.slots.len() {
            if matches!(self.slots[id].state, State::Queued(_) | State::Submitted) {
                self.complete(id as SlotId, Outcome::failed());
            }
        }
    }

    /// The figures now.
    pub(super) fn stats(&self) -> DiskStats {
        let in_use = self
            .slots
            .iter()
            .filter(|slot| matches!(slot.state, State::Submitted));
        DiskStats {
            queued: self.queue.len(),
            in_flight: in_use.count(),
            ..self.stats
        }
    }

    fn release(&mut self, id: SlotId) {
        let slot = &mut self.slots[usize::from(id)];
        slot.state = State::Free;
        slot.orphaned = false;
        self.free.push(id);
    }
}

impl Data {
    /// Number of buffers.
    pub(super) fn segments(&self) -> usize {
        match self {
            Self::None => 0,
            Self::One(_) => 1,
            Self::Many(buffers) => buffers.len(),
        }
    }

    /// Number of bytes in all buffers.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::None => 0,
            Self::One(buffer) => buffer.len(),
            Self::Many(buffers) => buffers.iter().map(Buffer::len).sum(),
        }
    }

    /// Hands each buffer over, in order.
    pub(super) fn for_each(self, mut give: impl FnMut(Buffer)) {
        match self {
            Self::None => {}
            Self::One(buffer) => give(buffer),
            Self::Many(buffers) => buffers.into_iter().for_each(give),
        }
    }

    /// Puts buffers that came back together again.
    pub(super) fn collect(mut buffers: impl ExactSizeIterator<Item = Buffer>) -> Data {
        match buffers.len() {
            0 => Self::None,
            1 => buffers.next().map_or(Self::None, Self::One),
            _ => Self::Many(buffers.collect()),
        }
    }
}

/// Keeps the newest waker of a task. Returns the one that it replaced, if that was another's:
/// waking it once more is harmless.
fn set_waker(slot: &mut Option<Waker>, cx: &mut Context<'_>) -> Option<Waker> {
    match slot {
        Some(waker) if waker.will_wake(cx.waker()) => None,
        _ => slot.replace(cx.waker().clone()),
    }
}
