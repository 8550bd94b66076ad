//! A channel: its queue, who waits at either side, and what may travel through it.
//!
//! Two things always hold. Receivers wait only while the queue is empty: what is sent then goes straight into the
//! memory of the first of them. Senders wait only while it is full: whoever makes room takes the message of the
//! first of them in. So nobody is overtaken, and nobody is woken in vain. For waiters in Rust a place in the queue, or a
//! message in it, counts as gone from when it is theirs (`native`).
//!
//! **No cycles.** Whoever has the receiving end has the queue with everything in it. If the receiving end of one
//! channel could wait in a second one, whose own receiving end waits in the first, nobody could ever free the two.
//! So a receiving end that waits in a message ("travels") takes no receiving ends, and one whose queue holds
//! receiving ends does not travel. This also keeps freeing one from going deeper than one more.

mod native;
mod source;

use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::task::Context;

use abi::Error;
use abi::handle::Handle;
use reactor::readiness::{Interest, Readiness};
use reactor::sync::Wakers;

use super::ChannelEnd;
use super::line::Line;
use super::message::Message;
use super::parcel;
use crate::failure::{Failure, Outcome};
use crate::object::Object;
use crate::task::Task;
use crate::user::{Place, Room, UserIn, UserList, UserOut};
use source::Source;

/// A message as its sender has it: still in the program's memory.
#[derive(Clone)]
pub(super) struct Offer {
    pub(super) task: Rc<Task>,
    pub(super) from: UserIn,
    pub(super) handles: Option<UserList<u64>>,
}

/// What a receiver has room for.
#[derive(Clone)]
pub(super) struct Wanted {
    pub(super) task: Rc<Task>,
    pub(super) into: UserOut,
    pub(super) read_out: Place<u64>,
    /// Where handles go, and their number; `None`: they are closed.
    pub(super) handles: Option<(Room<u64>, Place<u32>)>,
}

/// Who waits for a message.
#[derive(Clone)]
pub(super) enum Reader {
    /// A task of the program.
    Task(Wanted),
    /// Rust, which is promised one and takes it from the queue: so it is in no other's way, and let go with anything.
    Native,
}

/// Who waits for room.
#[derive(Clone)]
pub(super) enum Writer {
    /// A task of the program.
    Task(Offer),
    /// Rust, which wants a place to be kept.
    Native,
}

/// How a receiver's wait ended.
pub(super) enum Arrival {
    /// The bytes of a message are in its memory, the handles are its task's.
    Message { len: usize, handles: Vec<Handle> },
    /// There is a message of that length with so many handles, which does not fit.
    TooLong { len: usize, handles: usize },
    /// There is none.
    Failed(Failure),
}

/// A channel, shared by its ends and by those who wait.
pub(super) struct Channel(RefCell<State>);

pub(super) struct State {
    queue: VecDeque<Message>,
    capacity: usize,
    /// Places that are kept for senders in Rust.
    kept: usize,
    /// Messages that are promised to receivers in Rust.
    promised: usize,
    pub(super) receivers: Line<Reader, Arrival>,
    pub(super) senders: Line<Writer, Outcome>,
    /// Who polls for a message, or for room.
    readers: Wakers,
    writers: Wakers,
    can_send: bool,
    can_receive: bool,
    /// The receiving end is Rust's, which has no use for handles.
    pub(super) refuses_handles: bool,
    /// The receiving end is in a message.
    pub(super) travels: bool,
    /// How many receiving ends are in the queue's messages.
    pub(super) carried: usize,
    /// Objects that a receiver did not want, dropped once nothing is borrowed.
    unwanted: Vec<Object>,
}

impl Channel {
    pub(super) fn new(capacity: usize) -> Rc<Channel> {
        Channel::with_receiver(capacity, false)
    }

    /// A channel whose receiving end is Rust's, or not.
    pub(super) fn with_receiver(capacity: usize, is_native: bool) -> Rc<Channel> {
        Rc::new(Channel(RefCell::new(State {
            queue: VecDeque::new(),
            capacity,
            kept: 0,
            promised: 0,
            receivers: Line::default(),
            senders: Line::default(),
            readers: Wakers::new(),
            writers: Wakers::new(),
            can_send: true,
            can_receive: true,
            refuses_handles: is_native,
            travels: false,
            carried: 0,
            unwanted: Vec::new(),
        })))
    }

    /// Whether a state is this channel's.
    pub(super) fn has(&self, state: &State) -> bool {
        core::ptr::eq(self.0.as_ptr(), state)
    }

    /// Calls `f` with the state. What is to be dropped is dropped afterwards: it may be an end of this very channel.
    pub(super) fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.0.borrow_mut();
        let output = f(&mut state);
        let unwanted = core::mem::take(&mut state.unwanted);
        drop(state);
        drop(unwanted);
        output
    }

    /// The same for what leaves nothing to be dropped.
    pub(super) fn look<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        f(&mut self.0.borrow_mut())
    }

    /// Nobody sends or receives through a handle any more that is closed or has gone into a message.
    pub(super) fn expel(&self, end: &ChannelEnd) {
        self.with(|state| {
            if end.receives {
                state.receivers.release_all(|| Arrival::Failed(closed()));
            }
            if end.sends {
                state.senders.release_all(|| Err(closed()));
            }
        });
    }

    /// Closes an end for good.
    pub(super) fn close(&self, end: &ChannelEnd) {
        self.expel(end);
        let queue = self.with(|state| state.close(end));
        drop(queue);
    }
}

/// What a receiver in Rust is let go with: its message is in the queue.
const PROMISE: Arrival = Arrival::Message {
    len: 0,
    handles: Vec::new(),
};

fn closed() -> Failure {
    Failure::from(Error::Closed)
}

impl State {
    /// Sends a message. `None`: it is full, and nothing has happened.
    pub(super) fn send(&mut self, offer: &Offer) -> Option<Outcome> {
        if !self.can_receive {
            return Some(Err(closed()));
        }
        if self.is_full() {
            return None;
        }
        Some(self.put(offer))
    }

    /// Whether there is a message that nobody was promised.
    fn has_message(&self) -> bool {
        self.queue.len() > self.promised
    }

    /// Receives the first message. `None`: there is none yet.
    pub(super) fn receive(&mut self, wanted: &Wanted) -> Option<Arrival> {
        let arrival = self.hand_over(wanted);
        if arrival.is_some() {
            self.take_in();
        }
        arrival.or_else(|| (!self.can_send).then(|| Arrival::Failed(closed())))
    }

    /// Puts back what a receiver got and cannot take. Its bytes are still where they were put.
    pub(super) fn put_back(&mut self, wanted: &Wanted, len: usize, handles: &[Handle]) {
        let mut objects = Vec::new();
        if parcel::reserve(&mut objects, handles.len()).is_ok() {
            parcel::pack(&wanted.task, handles, &mut objects);
        } // else they are closed with the task
        if !self.can_receive {
            self.unwanted = objects;
            return;
        }
        let copied = wanted.into.first(len).with(|bytes| Message::new(bytes));
        let room = self.queue.try_reserve(1).is_ok() && objects.len() == handles.len();
        // Anything may have become of the ends among them meanwhile.
        let possible = room && objects.iter().all(|object| self.may_take(object));
        let Some(mut message) = copied.ok().filter(|_| possible) else {
            log::warn!("ipc: message of a cancelled receiver lost len={len}");
            self.unwanted = objects;
            return;
        };
        self.carried += parcel::depart(&objects);
        message.objects = objects;
        self.queue.push_front(message);
        self.serve();
    }

    /// For how many messages the queue has room without an allocation.
    #[cfg(test)]
    pub(super) fn room_allocated(&self) -> usize {
        self.queue.capacity()
    }

    /// Whether an object may come back into the queue.
    fn may_take(&self, object: &Object) -> bool {
        let own = matches!(object, Object::Channel(end) if end.channel.has(self));
        !own && parcel::may_travel(self, object)
    }

    /// What the end is ready for; the waker of `cx` is kept for what it is not.
    pub(super) fn readiness(
        &mut self,
        end: &ChannelEnd,
        interest: Interest,
        cx: &Context<'_>,
    ) -> Readiness {
        let mut ready = Readiness::EMPTY;
        if end.receives && (self.has_message() || !self.can_send) {
            ready |= Readiness::READABLE;
        }
        if end.sends && (!self.is_full() || !self.can_receive) {
            ready |= Readiness::WRITABLE;
        }
        if !(self.can_send && self.can_receive) {
            ready |= Readiness::HANGUP;
        }
        if !ready.answers(interest) {
            self.register(end, interest, cx);
        }
        ready
    }

    fn register(&mut self, end: &ChannelEnd, interest: Interest, cx: &Context<'_>) {
        // An end of one direction always waits there: for the other side to hang up.
        if end.receives && (!end.sends || interest.contains(Interest::READABLE)) {
            self.readers.register(cx.waker());
        }
        if end.sends && (!end.receives || interest.contains(Interest::WRITABLE)) {
            self.writers.register(cx.waker());
        }
    }

    fn is_full(&self) -> bool {
        self.queue.len() + self.kept >= self.capacity
    }

    fn close(&mut self, end: &ChannelEnd) -> VecDeque<Message> {
        if end.sends {
            self.can_send = false;
            // They wait because there is no message, and there will be none.
            self.receivers.release_all(|| Arrival::Failed(closed()));
            self.readers.wake_all();
        }
        if !end.receives {
            return VecDeque::new();
        }
        self.can_receive = false;
        self.senders.release_all(|| Err(closed()));
        self.writers.wake_all();
        self.carried = 0;
        core::mem::take(&mut self.queue)
    }

    /// Takes a message from its sender: to the first receiver it fits, else to the queue, which has room.
    fn put(&mut self, offer: &Offer) -> Outcome {
        let handles = parcel::check(self, offer)?;
        if handles.is_empty() && self.give(Source::Program(offer.from)) {
            return Ok(());
        }
        let mut message = Message::copy(offer.from)?;
        parcel::reserve(&mut message.objects, handles.len())?;
        self.queue.try_reserve(1).map_err(|_| Error::NoMemory)?;
        parcel::pack(&offer.task, &handles, &mut message.objects);
        self.carried += parcel::depart(&message.objects);
        self.queue.push_back(message);
        self.serve();
        Ok(())
    }

    /// Hands bytes to the first receiver of the program, if one waits and they fit.
    fn give(&mut self, from: Source<'_>) -> bool {
        let Some(Reader::Task(wanted)) = self.receivers.first() else {
            return false;
        };
        if wanted.into.len() < from.len() {
            return false;
        }
        let len = from.copy_to(wanted.into);
        let handles = Vec::new();
        self.receivers
            .release_first(Arrival::Message { len, handles });
        true
    }

    /// Hands the first message to who waits for one; tells those whom it does not fit.
    fn serve(&mut self) {
        while let Some(reader) = self.receivers.first().cloned()
            && let Some(arrival) = self.arrival_for(&reader)
        {
            self.receivers.release_first(arrival);
        }
        if self.has_message() {
            self.readers.wake_all();
        }
    }

    fn arrival_for(&mut self, reader: &Reader) -> Option<Arrival> {
        match reader {
            Reader::Task(wanted) => self.hand_over(wanted),
            Reader::Native => self.has_message().then(|| {
                self.promised += 1;
                PROMISE
            }),
        }
    }

    /// Gives the first message to a receiver; where that cannot be, it stays and the receiver is told why.
    fn hand_over(&mut self, wanted: &Wanted) -> Option<Arrival> {
        let message = self.queue.front()?;
        let (len, count) = (message.len(), message.objects.len());
        let room = wanted.handles.as_ref();
        let room = room.map_or(usize::MAX, |(room, _)| room.len() as usize);
        if len > wanted.into.len() || count > room {
            let handles = count;
            return Some(Arrival::TooLong { len, handles });
        }
        let mut handles = Vec::new();
        if wanted.handles.is_some() {
            match parcel::unpack(&wanted.task, &message.objects) {
                Ok(unpacked) => handles = unpacked,
                Err(failure) => return Some(Arrival::Failed(failure)),
            }
        }
        message.write_to(wanted.into);
        let message = self.queue.pop_front()?;
        self.carried -= parcel::arrive(&message.objects);
        self.unwanted = message.objects;
        Some(Arrival::Message { len, handles })
    }

    /// Fills the room in the queue with what the first senders wait with, and tells who polls for room.
    fn take_in(&mut self) {
        while !self.is_full()
            && let Some(writer) = self.senders.first().cloned()
        {
            let outcome = match writer {
                Writer::Task(offer) => self.put(&offer),
                Writer::Native => {
                    self.kept += 1;
                    Ok(())
                }
            };
            self.senders.release_first(outcome);
        }
        if !self.is_full() {
            self.writers.wake_all();
        }
    }
}
