//! Channels with a name: Rust keeps one end, the program opens the other.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;

use abi::Error;
use abi::capability::Kind;
use abi::handle::Handle;
use abi::number::{IPC_OPEN_RECEIVE, IPC_OPEN_SEND};

use super::state::Channel;
use super::{ChannelEnd, MAX_CAPACITY, Receiver, Sender};
use crate::failure::{Failure, Outcome};
use crate::object::Object;
use crate::program::Program;
use crate::task::Task;
use crate::user::UserIn;

/// The most ends that are offered to a program. Beyond, there is no room: [`Error::NoMemory`].
const MAX_OFFERS: usize = 256;
/// The most bytes of a name.
const MAX_NAME: usize = 255;

/// The ends that a program may open, and those that it has.
#[derive(Default)]
pub(crate) struct Offers(RefCell<Vec<Offered>>);

/// An end with a name. There may be another of the same name for the other direction.
struct Offered {
    name: Box<str>,
    /// What the program does with it: [`IPC_OPEN_SEND`] or [`IPC_OPEN_RECEIVE`].
    direction: u32,
    /// `None` once the program has opened it.
    end: Option<Rc<ChannelEnd>>,
}

impl Offers {
    fn add(&self, name: &str, direction: u32, end: ChannelEnd) -> Result<(), Error> {
        let mut offers = self.0.borrow_mut();
        if offers
            .iter()
            .any(|offered| offered.is(name.as_bytes(), direction))
        {
            return Err(Error::Busy);
        }
        if offers.len() >= MAX_OFFERS {
            return Err(Error::NoMemory);
        }
        offers.push(Offered {
            name: name.into(),
            direction,
            end: Some(Rc::new(end)),
        });
        Ok(())
    }
}

impl Offered {
    fn is(&self, name: &[u8], direction: u32) -> bool {
        self.direction == direction && self.name.as_bytes() == name
    }
}

impl Program {
    /// A channel from this program, whose tasks may open the sending end by this name, once: `ipc_open` with
    /// `IPC_OPEN_SEND`. It holds so many messages, 1 to 4,096. Handles are not sent to Rust: they are refused, with
    /// [`Error::Unsupported`] for the task that sends.
    ///
    /// While the program has not opened it, there is somebody who might send.
    ///
    /// # Errors
    /// [`Error::Invalid`]: no such capacity, or a name that is empty or longer than 255 bytes; [`Error::Busy`]: there is
    /// a channel from the program of this name; [`Error::NoMemory`]: there are 256 names.
    pub fn channel_from(&self, name: &str, capacity: usize) -> Result<Receiver, Error> {
        let channel = Channel::with_receiver(checked(name, capacity)?, true);
        let end = ChannelEnd::new(&channel, true, false);
        self.offers.add(name, IPC_OPEN_SEND, end)?;
        Ok(Receiver::new(&channel))
    }

    /// A channel to this program, whose tasks may open the receiving end by this name, once: `ipc_open` with
    /// `IPC_OPEN_RECEIVE`. The name may be that of a channel from the program, too. What is sent before the program opens it
    /// waits there.
    ///
    /// # Errors
    /// As [`Program::channel_from`].
    pub fn channel_to(&self, name: &str, capacity: usize) -> Result<Sender, Error> {
        let channel = Channel::with_receiver(checked(name, capacity)?, false);
        let end = ChannelEnd::new(&channel, false, true);
        self.offers.add(name, IPC_OPEN_RECEIVE, end)?;
        Ok(Sender::new(&channel))
    }

    /// Closes every end that the program has not opened, and forgets all names. To be called when it has ended, so that
    /// whoever waits at the other ends is told.
    pub fn withdraw_channels(&self) {
        // Closing one wakes tasks and may drop anything, so nothing is borrowed then.
        let offers = self.offers.0.take();
        drop(offers);
    }
}

fn checked(name: &str, capacity: usize) -> Result<usize, Error> {
    let good = (1..=MAX_NAME).contains(&name.len()) && (1..=MAX_CAPACITY).contains(&capacity);
    good.then_some(capacity).ok_or(Error::Invalid)
}

impl Task {
    /// `ipc_open`.
    pub fn ipc_open(&self, name: UserIn, flags: u32) -> Outcome<Handle> {
        self.need(Kind::Ipc)?;
        if flags != IPC_OPEN_SEND && flags != IPC_OPEN_RECEIVE {
            return Err(Failure::invalid(3, flags.into()));
        }
        let offers = &self.program().offers.0;
        let (at, end) = {
            let offers = offers.borrow();
            let at = name.with(|name| offers.iter().position(|offered| offered.is(name, flags)));
            let at = at.ok_or(Failure::of(Error::NoEntry, 1, 0))?;
            let end = offers[at].end.clone();
            (at, end.ok_or(Failure::of(Error::Busy, 1, 0))?)
        };
        let handle = self.adopt(Object::Channel(end))?;
        offers.borrow_mut()[at].end = None;
        Ok(handle)
    }
}
