//! Waits for a message or for room. Dropping one leaves the line, and loses no message.

use alloc::rc::Rc;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use abi::Error;

use super::line::Ticket;
use super::state::{Arrival, Channel, Offer, Reader, Wanted, Writer};
use crate::failure::Outcome;

/// A wait for a message.
pub(crate) struct Receiving {
    channel: Rc<Channel>,
    /// `None` once the outcome was given.
    ticket: Option<Ticket>,
}

impl Receiving {
    /// Joins the line.
    ///
    /// # Errors
    /// [`Error::NoMemory`].
    #[inline]
    pub(super) fn new(channel: Rc<Channel>, wanted: Wanted) -> Result<Receiving, Error> {
        let ticket = Some(channel.read_later(Reader::Task(wanted))?);
        Ok(Receiving { channel, ticket })
    }
}

impl Future for Receiving {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let this = self.get_mut();
        let tell = |reader: &Reader, arrival: &Arrival| match reader {
            Reader::Task(wanted) => wanted.tell(arrival),
            Reader::Native => Ok(()),
        };
        this.channel.poll_reader(&mut this.ticket, cx, tell)
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        let Some(ticket) = &self.ticket else {
            return;
        };
        self.channel.with(|state| {
            let left = state.receivers.leave(ticket);
            if let Some((Reader::Task(wanted), Arrival::Message { len, handles })) = left {
                state.put_back(&wanted, len, &handles);
            }
        });
    }
}

/// A wait of Rust's for the promise of a message, which is to be taken at once when this is ready.
pub(super) struct Promised<'a> {
    channel: &'a Channel,
    /// `None` once the outcome was given.
    ticket: Option<Ticket>,
}

impl<'a> Promised<'a> {
    /// Joins the line.
    ///
    /// # Errors
    /// [`Error::NoMemory`].
    pub(super) fn new(channel: &'a Channel) -> Result<Promised<'a>, Error> {
        let ticket = Some(channel.read_later(Reader::Native)?);
        Ok(Promised { channel, ticket })
    }
}

impl Future for Promised<'_> {
    type Output = Result<(), Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let this = self.get_mut();
        let tell = |_: &Reader, arrival: &Arrival| match arrival {
            Arrival::Failed(failure) => Err(failure.error),
            Arrival::Message { .. } | Arrival::TooLong { .. } => Ok(()),
        };
        this.channel.poll_reader(&mut this.ticket, cx, tell)
    }
}

impl Drop for Promised<'_> {
    fn drop(&mut self) {
        let Some(ticket) = &self.ticket else {
            return;
        };
        self.channel.with(|state| {
            if let Some((_, Arrival::Message { .. })) = state.receivers.leave(ticket) {
                state.leave_promised();
            }
        });
    }
}

/// A wait for room. A message that was taken from it is sent, whether or not the wait goes on.
pub(crate) struct Sending {
    channel: Rc<Channel>,
    /// `None` once the outcome was given.
    ticket: Option<Ticket>,
}

impl Sending {
    /// Joins the line.
    ///
    /// # Errors
    /// [`Error::NoMemory`].
    #[inline]
    pub(super) fn new(channel: Rc<Channel>, offer: Offer) -> Result<Sending, Error> {
        let ticket = Some(channel.write_later(Writer::Task(offer))?);
        Ok(Sending { channel, ticket })
    }
}

impl Future for Sending {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let this = self.get_mut();
        this.channel.poll_writer(&mut this.ticket, cx)
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        if let Some(ticket) = &self.ticket {
            self.channel.with(|state| state.senders.leave(ticket));
        }
    }
}

/// A wait of Rust's for a place in the queue, which is to be filled at once when this is ready.
pub(super) struct Reserving<'a> {
    channel: &'a Channel,
    /// `None` once the outcome was given.
    ticket: Option<Ticket>,
}

impl<'a> Reserving<'a> {
    /// Joins the line.
    ///
    /// # Errors
    /// [`Error::NoMemory`].
    pub(super) fn new(channel: &'a Channel) -> Result<Reserving<'a>, Error> {
        let ticket = Some(channel.write_later(Writer::Native)?);
        Ok(Reserving { channel, ticket })
    }
}

impl Future for Reserving<'_> {
    type Output = Result<(), Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let this = self.get_mut();
        this.channel
            .poll_writer(&mut this.ticket, cx)
            .map(|outcome| outcome.map_err(|failure| failure.error))
    }
}

impl Drop for Reserving<'_> {
    fn drop(&mut self) {
        let Some(ticket) = &self.ticket else {
            return;
        };
        self.channel.with(|state| {
            if let Some((_, Ok(()))) = state.senders.leave(ticket) {
                state.give_up_place();
            }
        });
    }
}

impl Channel {
    #[inline]
    fn read_later(&self, reader: Reader) -> Result<Ticket, Error> {
        let ticket = self.look(|state| state.receivers.join(reader));
        ticket.ok_or(Error::NoMemory)
    }

    fn write_later(&self, writer: Writer) -> Result<Ticket, Error> {
        let ticket = self.look(|state| state.senders.join(writer));
        ticket.ok_or(Error::NoMemory)
    }

    /// The outcome of a wait for a message, once.
    #[inline]
    fn poll_reader<T>(
        &self,
        ticket: &mut Option<Ticket>,
        cx: &Context<'_>,
        tell: impl FnOnce(&Reader, &Arrival) -> T,
    ) -> Poll<T> {
        let Some(waiting) = ticket else {
            return Poll::Pending;
        };
        let polled = self.look(|state| state.receivers.poll(waiting, cx, tell));
        if polled.is_ready() {
            *ticket = None;
        }
        polled
    }

    /// The outcome of a wait for room, once.
    fn poll_writer(&self, ticket: &mut Option<Ticket>, cx: &Context<'_>) -> Poll<Outcome> {
        let Some(waiting) = ticket else {
            return Poll::Pending;
        };
        let tell = |_: &Writer, outcome: &Outcome| *outcome;
        let polled = self.look(|state| state.senders.poll(waiting, cx, tell));
        if polled.is_ready() {
            *ticket = None;
        }
        polled
    }
}
