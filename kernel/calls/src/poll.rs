//! The calls `io_poll` and `io_wait`: looking at every handle that was named, each time.

use core::task::{Context, Poll};

use abi::Error;
use abi::capability::Kind;
use abi::handle::{Handle, Tag};
use abi::layout::IoEvent;
use reactor::readiness::{Interest, Readiness};

use crate::failure::{Failure, Outcome};
use crate::task::Task;
use crate::user::{Room, UserList};
use crate::wait::{no_wait, within};

/// The most handles of one call. More are [`Error::Invalid`]: an interest set is for them.
pub(crate) const MAX_POLLED: u32 = 65_536;
/// What a handle costs while it is waited for, about: a place among those to wake of the object, and of its entry.
const BYTES_OF_A_WAIT: usize = 64;

impl Task {
    /// `io_poll`: how many events were written. Allocates nothing: the list is read anew at each look.
    pub async fn io_poll(
        &self,
        handles: &UserList<u64>,
        timeout: u64,
        events: &Room<IoEvent>,
    ) -> Outcome<u32> {
        self.need(Kind::Io)?;
        let count = handles.len();
        if count > MAX_POLLED {
            return Err(Failure::invalid(2, count.into()));
        }
        if timeout > 0 {
            let wakers = count as usize * BYTES_OF_A_WAIT;
            self.program().leaves_enough(wakers)?;
        }
        let mut first_look = true;
        within(&self.program().machine.clock, timeout, |cx| {
            // Nearly always the wait is over when it is woken, and all but one of the handles know its waker still.
            let mut ready = Ok(0);
            if !first_look {
                ready = self.look(handles, events, false, &mut no_wait());
            }
            if let Ok(0) = ready {
                ready = self.look(handles, events, first_look, cx);
            }
            first_look = false;
            match ready {
                Ok(0) => Poll::Pending,
                other => Poll::Ready(other),
            }
        })
        .await
    }

    /// Looks at all handles once. One that was there at the first look and is not now was closed meanwhile.
    fn look(
        &self,
        handles: &UserList<u64>,
        events: &Room<IoEvent>,
        first_look: bool,
        cx: &mut Context<'_>,
    ) -> Outcome<u32> {
        const BOTH: u32 = Interest::READABLE.bits() | Interest::WRITABLE.bits();
        let interest = Interest::from_bits(BOTH);
        let mut ready = 0;
        // Objects that are looked at wake tasks at most, and open and close nothing.
        let table = self.program().handles.borrow();
        for number in handles.iter() {
            let entry = table.get(Handle::from_bits(number));
            let readiness = match entry.and_then(|entry| entry.poll(interest, cx)) {
                None if first_look => return Err(Failure::invalid(1, number)),
                None => Readiness::HANGUP | Readiness::ERROR,
                Some(readiness) => asked_for(readiness, interest),
            };
            if readiness.is_empty() {
                continue;
            }
            let event = IoEvent {
                handle: number,
                events: readiness.bits(),
                reserved: 0,
            };
            events.put(ready, event);
            ready += 1;
        }
        Ok(ready)
    }

    /// `io_wait`.
    pub async fn io_wait(&self, handle: Handle, interest: u32, timeout: u64) -> Outcome<u32> {
        self.need(Kind::Io)?;
        let wanted = interest_of(2, interest)?;
        let named = self.named(1, handle)?;
        within(&self.program().machine.clock, timeout, |cx| {
            if named.entry.is_closed() {
                return Poll::Ready(Err(Error::Closed.into()));
            }
            let readiness = named.entry.poll(wanted, cx);
            match readiness.map(|readiness| asked_for(readiness, wanted)) {
                None => Poll::Ready(Err(Failure::invalid(1, handle.to_bits()))),
                Some(ready) if ready.is_empty() => Poll::Pending,
                Some(ready) => Poll::Ready(Ok(ready.bits())),
            }
        })
        .await
    }

    /// `io_close`.
    pub fn io_close(&self, handle: Handle) -> Outcome {
        self.need(Kind::Io)?;
        self.close(1, handle, &[Tag::Io, Tag::Set])
    }

    /// `handle_close`, for every kind of object.
    pub fn handle_close(&self, handle: Handle) -> Outcome {
        let closable = [
            Tag::Task,
            Tag::Io,
            Tag::Ipc,
            Tag::Net,
            Tag::Set,
            Tag::Memory,
        ];
        match handle.tag() {
            Some(Tag::Span) => self.trace_span_drop(handle),
            _ => self.close(1, handle, &closable),
        }
    }
}

/// The part of a readiness that somebody with this interest is told.
pub(crate) fn asked_for(readiness: Readiness, interest: Interest) -> Readiness {
    let always = Readiness::HANGUP | Readiness::ERROR;
    Readiness::from_bits(readiness.bits() & (interest.bits() | always.bits()))
}

/// The interest that a program names.
pub(crate) fn interest_of(argument: u32, bits: u32) -> Outcome<Interest> {
    let interest = Interest::from_bits(bits);
    if interest.bits() == bits {
        Ok(interest)
    } else {
        Err(Failure::invalid(argument, bits.into()))
    }
}
