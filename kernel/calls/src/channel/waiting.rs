//! Waits for a message or for room. Dropping one leaves the line, and loses no message.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use abi::Error;

use super::line::Ticket;
use super::state::{Arrival, Channel, Offer, Wanted};
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
        let ticket = channel.with(|state| state.receivers.join(wanted.clone()));
        Ok(Receiving {
            channel,
            wanted,
            ticket: Some(ticket.ok_or(Error::NoMemory)?),
        })
    }
}

impl Future for Receiving<'_> {
    type Output = Arrival;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Arrival> {
        let this = self.get_mut();
        let Some(ticket) = &this.ticket else {
            return Poll::Pending;
        };
        let polled = this.channel.with(|state| state.receivers.poll(ticket, cx));
        if polled.is_ready() {
            this.ticket = None;
        }
        polled
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
        let ticket = channel.with(|state| state.senders.join(offer));
        Ok(Sending {
            channel,
            ticket: Some(ticket.ok_or(Error::NoMemory)?),
        })
    }
}

impl Future for Sending<'_> {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let this = self.get_mut();
        let Some(ticket) = &this.ticket else {
            return Poll::Pending;
        };
        let polled = this.channel.with(|state| state.senders.poll(ticket, cx));
        if polled.is_ready() {
            this.ticket = None;
        }
        polled
    }
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = &self.ticket {
            self.channel.with(|state| state.senders.leave(ticket));
        }
    }
}
