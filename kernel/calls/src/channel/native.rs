//! The ends of channels that Rust has: in the workload that runs the program, or in a process that it is linked into.
//!
//! Made by [`Program::channel_from`](crate::Program::channel_from) and
//! [`Program::channel_to`](crate::Program::channel_to). They belong to the reactor's context like everything here, and
//! have no capability: who has one may use it.

use alloc::rc::Rc;
use core::fmt;
use core::task::Context;

use abi::Error;
use reactor::readiness::{Interest, Pollable, Readiness};

use super::message::Message;
use super::state::Channel;
use super::waiting::{Promised, Reserving};
use super::{ChannelEnd, MAX_MESSAGE};

/// Sends messages to a program. Clones are the same end, which is closed when the last of them is dropped: the program
/// then receives what was sent before, and [`Error::Closed`].
///
/// ```
/// use abi::number::IPC_OPEN_RECEIVE;
/// use calls::{Error, testing::Host};
/// let host = Host::new();
/// let answers = host.program.channel_to("answers", 1)?;
/// answers.try_send(b"first")?;
/// assert_eq!(answers.try_send(b"second"), Err(Error::WouldBlock)); // nobody has received the first
/// host.run(async |task| {
///     let name = host.memory.bytes(b"answers");
///     let channel = task.ipc_open(name.input(), IPC_OPEN_RECEIVE).unwrap();
///     task.ipc_close(channel).unwrap();
/// });
/// assert_eq!(answers.try_send(b"second"), Err(Error::Closed));
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone)]
pub struct Sender(Rc<ChannelEnd>);

/// Receives messages from a program. Dropping it closes it: what waits is dropped, and the program's sends give
/// [`Error::Closed`].
///
/// ```
/// use abi::number::IPC_OPEN_SEND;
/// use calls::{Error, testing::Host};
/// let host = Host::new();
/// let requests = host.program.channel_from("requests", 16)?;
/// let memory = host.memory.clone();
/// host.spawn(async move |task| {
///     let (name, text) = (memory.bytes(b"requests"), memory.bytes(b"hello"));
///     let channel = task.ipc_open(name.input(), IPC_OPEN_SEND)?;
///     task.ipc_send(channel, text.input(), None, 0).await // and the task ends, which closes the channel
/// });
/// host.run(async |_| {
///     assert_eq!(*requests.recv().await?, *b"hello");
///     assert_eq!(requests.recv().await.err(), Some(Error::Closed));
///     Ok::<(), Error>(())
/// })?;
/// # Ok::<(), Error>(())
/// ```
pub struct Receiver(ChannelEnd);

impl Sender {
    pub(super) fn new(channel: &Rc<Channel>) -> Sender {
        Sender(Rc::new(ChannelEnd::new(channel, true, false)))
    }

    /// Sends a message of at most 65,536 bytes. Waits while the channel is full. Several may wait; they have their turn
    /// in the order they came, together with the program's own senders.
    ///
    /// Cancel-safe: a send that is dropped before it is ready has sent nothing.
    ///
    /// # Errors
    /// [`Error::Closed`]: the program has closed its end, or has ended; [`Error::Invalid`]: the message is longer;
    /// [`Error::NoMemory`].
    pub async fn send(&self, bytes: &[u8]) -> Result<(), Error> {
        match self.attempt(bytes) {
            Some(outcome) => outcome,
            None => {
                let channel = &*self.0.channel;
                Reserving::new(channel)?.await?;
                channel.with(|state| state.fill_place(bytes))
            }
        }
    }

    /// Sends a message if there is room.
    ///
    /// # Errors
    /// [`Error::WouldBlock`]: there is none; else as [`Sender::send`].
    pub fn try_send(&self, bytes: &[u8]) -> Result<(), Error> {
        self.attempt(bytes).unwrap_or(Err(Error::WouldBlock))
    }

    fn attempt(&self, bytes: &[u8]) -> Option<Result<(), Error>> {
        if bytes.len() > MAX_MESSAGE {
            return Some(Err(Error::Invalid));
        }
        self.0.channel.with(|state| state.send_native(bytes))
    }
}

impl Receiver {
    pub(super) fn new(channel: &Rc<Channel>) -> Receiver {
        Receiver(ChannelEnd::new(channel, false, true))
    }

    /// Receives the next message. Waits for one. Several may wait; they have their turn in the order they came.
    ///
    /// Cancel-safe: a message that was about to be received when this is dropped is the next one again.
    ///
    /// # Errors
    /// [`Error::Closed`]: the program has closed its end, or has ended, and no message waits; [`Error::NoMemory`].
    pub async fn recv(&self) -> Result<Message, Error> {
        let channel = &*self.0.channel;
        match channel.with(|state| state.receive_whole()) {
            Some(outcome) => outcome,
            None => {
                Promised::new(channel)?.await?;
                let message = channel.with(|state| state.take_promised());
                message.ok_or(Error::Closed)
            }
        }
    }

    /// Receives the next message if one waits.
    ///
    /// # Errors
    /// [`Error::WouldBlock`]: none does; else as [`Receiver::recv`].
    pub fn try_recv(&self) -> Result<Message, Error> {
        let received = self.0.channel.with(|state| state.receive_whole());
        received.unwrap_or(Err(Error::WouldBlock))
    }
}

/// Writable: there is room, or nobody will receive. Hung up: the program has closed its end.
impl Pollable for Sender {
    fn poll_readiness(&self, interest: Interest, cx: &mut Context<'_>) -> Readiness {
        self.0.poll_readiness(interest, cx)
    }
}

/// Readable: a message waits, or none will come. Hung up: the program has closed its end.
impl Pollable for Receiver {
    fn poll_readiness(&self, interest: Interest, cx: &mut Context<'_>) -> Readiness {
        self.0.poll_readiness(interest, cx)
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
