//! A channel with Rust at one end.
//!
//! Who waits there is not handed a message, but a promise of one that stays in the queue until it is polled; and it does
//! not leave its message there, but is let go with a place that is kept for it. So a future that is dropped before it is
//! ready has received and sent nothing, which is what Rust calls cancel-safe. Where the receiving end is Rust's, so are
//! all that receive.

use abi::Error;

use super::State;
use super::source::Source;
use crate::channel::message::Message;

impl State {
    /// Sends a message of Rust's. `None`: it is full, and nothing has happened.
    pub(in crate::channel) fn send_native(&mut self, bytes: &[u8]) -> Option<Result<(), Error>> {
        if !self.can_receive {
            return Some(Err(Error::Closed));
        }
        (!self.is_full()).then(|| self.put_native(bytes))
    }

    /// Fills the place that a sender was let go with.
    pub(in crate::channel) fn fill_place(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.kept -= 1;
        let outcome = match self.can_receive {
            true => self.put_native(bytes),
            false => Err(Error::Closed),
        };
        self.take_in(); // there is room where a receiver waited, or it failed
        outcome
    }

    /// Gives up the place that a sender was let go with.
    pub(in crate::channel) fn give_up_place(&mut self) {
        self.kept -= 1;
        self.take_in();
    }

    /// Takes the first message as it is. `None`: there is none that nobody was promised.
    pub(in crate::channel) fn receive_whole(&mut self) -> Option<Result<Message, Error>> {
        match self.pop_unpromised() {
            Some(message) => Some(Ok(message)),
            None => (!self.can_send).then_some(Err(Error::Closed)),
        }
    }

    /// Takes a message that was promised, or hears that there will be none.
    pub(in crate::channel) fn take_promised(&mut self) -> Option<Message> {
        self.promised -= 1;
        self.pop_unpromised()
    }

    /// Leaves a message that was promised to others.
    pub(in crate::channel) fn leave_promised(&mut self) {
        self.promised -= 1;
        self.serve();
    }

    fn pop_unpromised(&mut self) -> Option<Message> {
        if !self.has_message() {
            return None;
        }
        let message = self.queue.pop_front();
        self.take_in();
        message
    }

    /// Takes a message: to the first receiver it fits, else to the queue, which has room.
    fn put_native(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if self.give(Source::Native(bytes)) {
            return Ok(());
        }
        let message = Message::new(bytes)?;
        self.queue.try_reserve(1).map_err(|_| Error::NoMemory)?;
        self.queue.push_back(message);
        self.serve();
        Ok(())
    }
}
