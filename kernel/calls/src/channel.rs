//! The calls `ipc_*`: channels of messages, which keep their boundaries and their order.
//!
//! A channel is bounded: its senders wait while it is full. Closing the receiving end drops what waits in it; closing
//! the sending end lets the receivers have that first. Messages can take handles along.
//!
//! Either end may be Rust's: [`Sender`], [`Receiver`].

mod line;
mod message;
mod native;
mod offers;
mod parcel;
mod state;
mod waiting;

use alloc::rc::Rc;
use core::task::Context;

use abi::Error;
use abi::capability::Kind;
use abi::handle::{Handle, Tag};
use abi::number::IPC_NONBLOCK;
use reactor::readiness::{Interest, Pollable, Readiness};

use crate::failure::{Failure, Outcome};
use crate::object::Object;
use crate::task::Task;
use crate::user::{Place, Room, UserIn, UserList, UserOut};
use message::MAX_HANDLES;
pub use message::Message;
pub use native::{Receiver, Sender};
pub(crate) use offers::Offers;
use state::{Arrival, Channel, Offer, Wanted};
pub(crate) use waiting::{Receiving, Sending};

/// The most bytes of a message. Longer ones are [`Error::Invalid`].
pub(crate) const MAX_MESSAGE: usize = 65_536;
/// The most messages that a channel can be made for.
pub(crate) const MAX_CAPACITY: usize = 4096;
/// How many messages a channel holds for which no other number was asked.
const DEFAULT_CAPACITY: usize = 16;
/// Where the flags of a channel hold its capacity.
const CAPACITY_SHIFT: u32 = 16;

/// One end of a channel, or both. Dropping it closes it.
pub(crate) struct ChannelEnd {
    channel: Rc<Channel>,
    sends: bool,
    receives: bool,
}

impl ChannelEnd {
    fn new(channel: &Rc<Channel>, sends: bool, receives: bool) -> ChannelEnd {
        ChannelEnd {
            channel: Rc::clone(channel),
            sends,
            receives,
        }
    }
}

impl Drop for ChannelEnd {
    fn drop(&mut self) {
        self.channel.close(self);
    }
}

/// Readable: a message waits, or none will come. Writable: there is room, or nobody wants it. Hung up: the other end
/// is closed.
impl Pollable for ChannelEnd {
    fn poll_readiness(&self, interest: Interest, cx: &mut Context<'_>) -> Readiness {
        self.channel
            .look(|state| state.readiness(self, interest, cx))
    }
}

impl Task {
    /// `ipc_channel_create`: one handle for both ends.
    pub fn ipc_channel_create(&self, flags: u32) -> Outcome<Handle> {
        self.need(Kind::Ipc)?;
        let channel = Channel::new(capacity_of(flags)?);
        self.adopt_end(&channel, true, true)
    }

    /// `ipc_channel_pair`: the sending end and the receiving end.
    pub fn ipc_channel_pair(&self, flags: u32) -> Outcome<(Handle, Handle)> {
        self.need(Kind::Ipc)?;
        let channel = Channel::new(capacity_of(flags)?);
        let sender = self.adopt_end(&channel, true, false)?;
        match self.adopt_end(&channel, false, true) {
            Ok(receiver) => Ok((sender, receiver)),
            Err(failure) => {
                self.close(0, sender, &[Tag::Ipc])?;
                Err(failure)
            }
        }
    }

    /// `ipc_send`, and with handles `ipc_send_handles`.
    pub async fn ipc_send(
        self: &Rc<Task>,
        handle: Handle,
        from: UserIn,
        handles: Option<UserList<u64>>,
        flags: u32,
    ) -> Outcome {
        match self.begin_send(handle, from, handles, flags)? {
            Some(wait) => wait.await,
            None => Ok(()),
        }
    }

    /// The same, which is over already (`None`) unless there is something to wait for.
    pub(crate) fn begin_send(
        self: &Rc<Task>,
        handle: Handle,
        from: UserIn,
        handles: Option<UserList<u64>>,
        flags: u32,
    ) -> Outcome<Option<Sending>> {
        self.need(Kind::Ipc)?;
        let nonblocking = is_nonblocking(if handles.is_some() { 6 } else { 4 }, flags)?;
        if from.len() > MAX_MESSAGE {
            return Err(Failure::invalid(3, from.len() as u64));
        }
        if let Some(count) = handles.map(|handles| handles.len())
            && count as usize > MAX_HANDLES
        {
            return Err(Failure::invalid(5, count.into()));
        }
        let channel = self.channel_of(handle, |end| end.sends)?;
        self.program().leaves_enough(from.len())?;
        let task = Rc::clone(self);
        let offer = Offer {
            task,
            from,
            handles,
        };
        match channel.with(|state| state.send(&offer)) {
            Some(outcome) => outcome.map(|()| None),
            None if nonblocking => Err(Error::WouldBlock.into()),
            None => Ok(Some(Sending::new(channel, offer)?)),
        }
    }

    /// `ipc_recv`, and with room for handles `ipc_recv_handles`.
    pub async fn ipc_recv(
        self: &Rc<Task>,
        handle: Handle,
        into: UserOut,
        read_out: Place<u64>,
        handles: Option<(Room<u64>, Place<u32>)>,
        flags: u32,
    ) -> Outcome {
        match self.begin_recv(handle, into, read_out, handles, flags)? {
            Some(wait) => wait.await,
            None => Ok(()),
        }
    }

    /// The same, which is over already (`None`) unless there is something to wait for.
    pub(crate) fn begin_recv(
        self: &Rc<Task>,
        handle: Handle,
        into: UserOut,
        read_out: Place<u64>,
        handles: Option<(Room<u64>, Place<u32>)>,
        flags: u32,
    ) -> Outcome<Option<Receiving>> {
        self.need(Kind::Ipc)?;
        let nonblocking = is_nonblocking(if handles.is_some() { 8 } else { 5 }, flags)?;
        let channel = self.channel_of(handle, |end| end.receives)?;
        let wanted = Wanted {
            task: Rc::clone(self),
            into,
            read_out,
            handles,
        };
        match channel.with(|state| state.receive(&wanted)) {
            Some(arrival) => wanted.tell(&arrival).map(|()| None),
            None if nonblocking => Err(Error::WouldBlock.into()),
            None => Ok(Some(Receiving::new(channel, wanted)?)),
        }
    }

    /// `ipc_close`.
    pub fn ipc_close(&self, handle: Handle) -> Outcome {
        self.need(Kind::Ipc)?;
        self.close(1, handle, &[Tag::Ipc])
    }

    fn adopt_end(&self, channel: &Rc<Channel>, sends: bool, receives: bool) -> Outcome<Handle> {
        let end = ChannelEnd::new(channel, sends, receives);
        self.adopt(Object::Channel(Rc::new(end)))
    }

    /// The channel of a handle that may do something. Who waits holds on to the channel and not to the end, so that
    /// closing the handle closes the end at once.
    fn channel_of(
        &self,
        handle: Handle,
        may: impl Fn(&ChannelEnd) -> bool,
    ) -> Outcome<Rc<Channel>> {
        self.inspect(1, handle, Tag::Ipc, |object| match object {
            Object::Channel(end) if may(end) => Ok(Rc::clone(&end.channel)),
            Object::Channel(_) => Err(Failure::of(Error::Permission, 1, handle.to_bits())),
            _ => Err(Failure::invalid(1, handle.to_bits())),
        })
    }
}

impl Wanted {
    /// Writes what a receiver is told.
    fn tell(&self, arrival: &Arrival) -> Outcome {
        let (len, count) = match arrival {
            Arrival::Message { len, handles } => (*len, handles.len()),
            Arrival::TooLong { len, handles } => (*len, *handles),
            Arrival::Failed(failure) => return Err(*failure),
        };
        self.read_out.put(len as u64);
        if let Some((_, count_out)) = &self.handles {
            count_out.put(count as u32);
        }
        match (arrival, &self.handles) {
            (Arrival::Message { handles, .. }, Some((room, _))) => {
                for (index, handle) in (0..).zip(handles) {
                    room.put(index, handle.to_bits());
                }
                Ok(())
            }
            (Arrival::Message { .. }, None) => Ok(()),
            (_, Some((room, _))) if len <= self.into.len() => {
                Err(Failure::invalid(6, room.len().into()))
            }
            _ => Err(Failure::invalid(3, self.into.len() as u64)),
        }
    }
}

/// How many messages the flags of a new channel ask for.
fn capacity_of(flags: u32) -> Outcome<usize> {
    let capacity = (flags >> CAPACITY_SHIFT) as usize;
    if flags & !(u32::MAX << CAPACITY_SHIFT) != 0 || capacity > MAX_CAPACITY {
        return Err(Failure::invalid(1, flags.into()));
    }
    Ok(if capacity == 0 {
        DEFAULT_CAPACITY
    } else {
        capacity
    })
}

fn is_nonblocking(argument: u32, flags: u32) -> Outcome<bool> {
    if flags & !IPC_NONBLOCK != 0 {
        return Err(Failure::invalid(argument, flags.into()));
    }
    Ok(flags & IPC_NONBLOCK != 0)
}

#[cfg(test)]
mod tests;
