//! The requests between a disk's handles and its runner. Handles put requests in and take results
//! out; the runner moves them to the device and back. Shared within one thread, borrowed only for
//! the length of a call.
//!
//! A request's life: waiting for a slot (first in, first out) → queued → submitted → done. A
//! future that is dropped on the way leaves its slot orphaned, and the runner frees it when it
//! meets it.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::mem;
use core::task::{Context, Poll, Waker};

use super::DiskError;
use crate::virtio::Buffer;

/// Requests of one disk that are queued or with the device. Whoever comes when there are as many
/// waits, in order, before anything is stored for it but a waker.
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
#[derive(Debug, Default)]
pub(super) struct SharedTable(RefCell<Table>);

impl SharedTable {
    /// Calls `f` with the table, then wakes whom it decided to wake. In this order: waking, or
    /// dropping a waker, can drop a task, and the requests in that task need the table.
    pub(super) fn with<R>(&self, f: impl FnOnce(&mut Table) -> R) -> R {
        let result = f(&mut self.0.borrow_mut());
        while let Some(waker) = self.next_due() {
            waker.wake();
        }
        result
    }

    fn next_due(&self) -> Option<Waker> {
        self.0.borrow_mut().due.pop_front()
    }
}

/// All requests of one disk.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Grows to [`MAX_REQUESTS`] and is then reused.
    slots: Vec<Slot>,
    free: Vec<SlotId>,
    queue: VecDeque<SlotId>,
    /// Those who wait for a slot, with their tickets, oldest first.
    waiting: VecDeque<(u64, Waker)>,
    next_ticket: u64,
    runner: Option<Waker>,
    /// To be woken, or only dropped, once the table is no longer borrowed.
    due: VecDeque<Waker>,
    failed: bool,
    pub(super) stats: DiskStats,
}

/// A place in the line for a slot.
#[derive(Debug)]
pub(super) struct Ticket(u64);

impl Table {
    /// Puts a request in once it is its turn. Until then `ticket` holds the place in the line;
    /// pass the same one again, or [`Table::leave_line`].
    pub(super) fn poll_insert(
        &mut self,
        request: &mut Option<Request>,
        ticket: &mut Option<Ticket>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<SlotId, DiskError>> {
        if self.failed {
            self.leave_line(ticket);
            return Poll::Ready(Err(DiskError::DeviceFailed));
        }
        let place = ticket.as_ref().and_then(|ticket| self.place(ticket));
        if place.unwrap_or(self.waiting.len()) >= self.free_slots() {
            self.stand_in_line(ticket, cx);
            return Poll::Pending;
        }
        // Who stands behind moves up by one and finds one slot less: nobody new can go.
        *ticket = None;
        let place = place.and_then(|place| self.waiting.remove(place));
        self.due.extend(place.map(|(_, waker)| waker));
        let Some(request) = request.take() else {
            return Poll::Pending;
        };
        Poll::Ready(self.insert(request).ok_or(DiskError::OutOfMemory))
    }

    /// Gives up a place in the line, if there is one.
    pub(super) fn leave_line(&mut self, ticket: &mut Option<Ticket>) {
        let Some(place) = ticket.take().and_then(|ticket| self.place(&ticket)) else {
            return;
        };
        self.due
            .extend(self.waiting.remove(place).map(|(_, waker)| waker));
        if place < self.free_slots() {
            self.call_last();
        }
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
            State::Done(_) => self.release(id),
            State::Queued(_) | State::Submitted => slot.orphaned = true,
            State::Free => unreachable!("a future abandons its own slot, once"),
        }
    }

    /// Runner: registers the task that takes requests out.
    pub(super) fn register_runner(&mut self, cx: &mut Context<'_>) {
        self.due.extend(set_waker(&mut self.runner, cx));
    }

    /// Runner: the number of data segments of the next request, if there is one. Frees the
    /// orphans before it.
    pub(super) fn next_segments(&mut self) -> Option<usize> {
        while let Some(&id) = self.queue.front() {
            match &self.slots[usize::from(id)] {
                Slot {
                    state: State::Queued(request),
                    orphaned: false,
                    ..
                } => {
                    return Some(request.data.segments());
                }
                _ => {
                    self.queue.pop_front();
                    self.release(id);
                }
            }
        }
        None
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

    /// Runner: every request that is not done fails, and so will every later one.
    pub(super) fn fail(&mut self) {
        self.failed = true;
        self.queue.clear();
        for id in 0..self.slots.len() {
            if matches!(self.slots[id].state, State::Queued(_) | State::Submitted) {
                self.complete(id as SlotId, Outcome::failed());
            }
        }
        self.due
            .extend(self.waiting.drain(..).map(|(_, waker)| waker));
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

    fn insert(&mut self, request: Request) -> Option<SlotId> {
        let slot = Slot {
            state: State::Queued(request),
            waker: None,
            orphaned: false,
        };
        let id = match self.free.pop() {
            Some(id) => {
                self.slots[usize::from(id)] = slot;
                id
            }
            None => {
                self.slots.try_reserve(1).ok()?;
                self.slots.push(slot);
                (self.slots.len() - 1) as SlotId // below MAX_REQUESTS
            }
        };
        self.queue.push_back(id);
        self.due.extend(self.runner.take());
        Some(id)
    }

    fn release(&mut self, id: SlotId) {
        self.slots[usize::from(id)].state = State::Free;
        self.free.push(id);
        self.call_last();
    }

    fn free_slots(&self) -> usize {
        self.free.len() + (MAX_REQUESTS - self.slots.len())
    }

    /// How many stand before the holder of this ticket.
    fn place(&self, ticket: &Ticket) -> Option<usize> {
        self.waiting
            .binary_search_by_key(&ticket.0, |&(number, _)| number)
            .ok()
    }

    fn stand_in_line(&mut self, ticket: &mut Option<Ticket>, cx: &mut Context<'_>) {
        let number = ticket.get_or_insert_with(|| {
            self.next_ticket += 1;
            Ticket(self.next_ticket)
        });
        let number = number.0;
        let place = self
            .waiting
            .binary_search_by_key(&number, |&(number, _)| number);
        match place.ok().and_then(|place| self.waiting.get_mut(place)) {
            Some((_, waker)) if waker.will_wake(cx.waker()) => {}
            Some((_, waker)) => self.due.push_back(mem::replace(waker, cx.waker().clone())),
            None => self.waiting.push_back((number, cx.waker().clone())),
        }
    }

    /// Wakes the last in the line for whom there is a slot. Those before it were woken already, so
    /// they come first.
    fn call_last(&mut self) {
        let last = self
            .free_slots()
            .checked_sub(1)
            .and_then(|last| self.waiting.get(last));
        if let Some((_, waker)) = last {
            self.due.push_back(waker.clone());
        }
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
