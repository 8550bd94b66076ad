//! Waits for a message or for room. Dropping one leaves the line, and loses no message.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use abi::Error;

use super::line::Ticket;
use super::message::Message;
use super::state::{Arrival, Channel, Offer, Reader, Wanted, Writer};
use crate::failure::Outcome;

/// A wait for a message.
pub(super) struct Receiving<'a> {
    channel: &'a Channel,
    wanted: Wanted,
    /// `None` once the outcome was given.
    ticket: Option<Ticket>,
}

impl<'a> Receiving<'a> {
    /// Joins the line.
    ///
    /// # Errors
    /// [`Error::NoMemory`].
    pub(super) fn new(channel: &'a Channel, wanted: Wanted) -> Result<Receiving<'a>, Error> {
        let ticket = channel.read_later(Reader::Task(wanted.clone()))?;
        Ok(Receiving {
            channel,
            wanted,
            ticket: Some(ticket),
        })
    }
}

impl Future for Receiving<'_> {
    type Output = Arrival;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Arrival> {
        let this = self.get_mut();
        this.channel.poll_reader(&mut this.ticket, cx)
    }
}

impl Drop for Receiving<'_> {
    fn drop(&mut self) {
        let Some(ticket) = &self.ticket else {
            return;
        };
        self.channel.with(|state| {
            let arrival = state.receivers.leave(ticket);
            if let Some(Arrival::Message { len, handles }) = arrival {
                state.put_back(&self.wanted, len, &handles);
            }
        });
    }
}

/// A wait of Rust's for a message.
pub(super) struct ReceivingWhole<'a> {
    channel: &'a Channel,
    /// `None` once the outcome was given.
    ticket: Option<Ticket>,
}

impl<'a> ReceivingWhole<'a> {
    /// Joins the line.
    ///
    /// # Errors
    /// [`Error::NoMemory`].
    pub(super) fn new(channel: &'a Channel) -> Result<ReceivingWhole<'a>, Error> {
        let ticket = Some(channel.read_later(Reader::Native)?);
        Ok(ReceivingWhole { channel, ticket })
    }
}

impl Future for ReceivingWhole<'_> {
    type Output = Result<Message, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Message, Error>> {
        let this = self.get_mut();
        this.channel
            .poll_reader(&mut this.ticket, cx)
            .map(|arrival| match arrival {
                Arrival::Whole(message) => Ok(message),
                // The sending end was closed: nothing else is told to who takes any message.
                _ => Err(Error::Closed),
            })
    }
}

impl Drop for ReceivingWhole<'_> {
    fn drop(&mut self) {
        let Some(ticket) = &self.ticket else {
            return;
        };
        self.channel.with(|state| {
            if let Some(Arrival::Whole(message)) = state.receivers.leave(ticket) {
                state.put_back_whole(message);
            }
        });
    }
}

/// A wait for room. A message that was taken from it is sent, whether or not the wait goes on.
pub(super) struct Sending<'a> {
    channel: &'a Channel,
    /// `None` once the outcome was given.
    ticket: Option<Ticket>,
}

impl<'a> Sending<'a> {
    /// Joins the line.
    ///
    /// # Errors
    /// [`Error::NoMemory`].
    pub(super) fn new(channel: &'a Channel, offer: Offer) -> Result<Sending<'a>, Error> {
        let ticket = Some(channel.write_later(Writer::Task(offer))?);
        Ok(Sending { channel, ticket })
    }
}

impl Future for Sending<'_> {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let this = self.get_mut();
        this.channel.poll_writer(&mut this.ticket, cx)
    }
}

impl Drop for Sending<'_> {
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
            if let Some(Ok(())) = state.senders.leave(ticket) {
                state.give_up_place();
            }
        });
    }
}

impl Channel {
    fn read_later(&self, reader: Reader) -> Result<Ticket, Error> {
        let ticket = self.look(|state| state.receivers.join(reader));
        ticket.ok_or(Error::NoMemory)
    }

    fn write_later(&self, writer: Writer) -> Result<Ticket, Error> {
        let ticket = self.look(|state| state.senders.join(writer));
        ticket.ok_or(Error::NoMemory)
    }

    /// The outcome of a wait for a message, once.
    fn poll_reader(&self, ticket: &mut Option<Ticket>, cx: &Context<'_>) -> Poll<Arrival> {
        let Some(waiting) = ticket else {
            return Poll::Pending;
        };
        let polled = self.look(|state| state.receivers.poll(waiting, cx));
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
        let polled = self.look(|state| state.senders.poll(waiting, cx));
        if polled.is_ready() {
            *ticket = None;
        }
        polled
    }
}
