//! What the kernel watches: every descriptor behind a handle, and what is known of it.
//!
//! Owns the table of [`Descriptor`]s, and the task that passes on what a look of the [`Linux`] platform found.
//! Belongs to the kernel's context.
//!
//! # How readiness is known
//!
//! A descriptor is registered with epoll, level-triggered, for what somebody waits for, and a look tells everything
//! that is so. What it told is true until code of the program runs, which may read what was there. From then on
//!
//! * somebody who is told nothing since is to hear the news: the descriptor is asked by itself, with `poll`;
//! * to everybody else it is *not known to be ready*: they wait, and the next look tells them again, if it is still so.
//!
//! So who waits in a loop, as event loops do, costs one `epoll_wait` a wait, whatever is ready.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::os::fd::RawFd;
use std::ptr;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use reactor::irq::IrqEvent;
use reactor::readiness::Readiness;
use rustix::event::PollFlags;
use rustix::event::epoll::EventFlags;
use rustix::io::{self, Errno};

use crate::descriptor::{Descriptor, Owner};
use crate::platform::Linux;

/// All descriptors of a kernel.
pub(crate) struct Descriptors {
    platform: Arc<Linux>,
    slots: RefCell<Slots>,
    /// Looks whose findings were passed on.
    looks: Cell<u64>,
    /// How often code of the program had run when the last of them was taken.
    looked_in: Cell<u64>,
    /// Those that the program owns, by their numbers in the process.
    adopted: RefCell<HashMap<RawFd, Weak<Descriptor>>>,
}

#[derive(Default)]
struct Slots {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

#[derive(Default)]
struct Slot {
    generation: u32,
    descriptor: Weak<Descriptor>,
}

impl Descriptors {
    /// None yet.
    pub(crate) fn new(platform: Arc<Linux>) -> Rc<Descriptors> {
        Rc::new(Descriptors {
            platform,
            slots: RefCell::default(),
            looks: Cell::new(1),
            looked_in: Cell::new(0),
            adopted: RefCell::default(),
        })
    }

    /// The machine.
    pub(crate) fn platform(&self) -> &Arc<Linux> {
        &self.platform
    }

    /// The number of the last look.
    pub(crate) fn looks(&self) -> u64 {
        self.looks.get()
    }

    /// Whether what the last look found is still so: nothing of the program ran since.
    pub(crate) fn is_fresh(&self) -> bool {
        self.looked_in.get() == self.platform.runs()
    }

    /// Gives a descriptor its number, which no other had before.
    pub(crate) fn insert(&self, descriptor: &Rc<Descriptor>) -> u64 {
        let mut table = self.slots.borrow_mut();
        let index = table.free.pop().unwrap_or_else(|| {
            table.slots.push(Slot::default());
            (table.slots.len() - 1) as u32
        });
        let slot = &mut table.slots[index as usize];
        slot.descriptor = Rc::downgrade(descriptor);
        u64::from(slot.generation) << 32 | u64::from(index)
    }

    /// The descriptor of that number is gone.
    pub(crate) fn remove(&self, number: u64) {
        let mut table = self.slots.borrow_mut();
        let index = number as u32;
        let slot = &mut table.slots[index as usize];
        slot.descriptor = Weak::new();
        // The last generation would be the one of `Linux`'s own.
        slot.generation += 1;
        if slot.generation < u32::MAX {
            table.free.push(index);
        }
    }

    /// Adopts a descriptor of the program. One that had its number before is closed, then, whatever its handle is
    /// told.
    ///
    /// # Errors
    /// [`Errno::EXIST`]: it has a handle already; [`Errno::BADF`]: it is not open; and what registering it may give.
    pub(crate) fn adopt(self: &Rc<Descriptors>, owner: Owner) -> io::Result<Rc<Descriptor>> {
        let raw = owner.raw();
        let before = self.adopted.borrow().get(&raw).and_then(Weak::upgrade);
        let adopted = Descriptor::adopt(self, owner)?;
        if let Some(before) = before.filter(|before| !before.is_lost()) {
            if adopted.is_same_file(&before) {
                return Err(Errno::EXIST);
            }
            before.lose();
        }
        let mut all = self.adopted.borrow_mut();
        all.insert(raw, Rc::downgrade(&adopted));
        Ok(adopted)
    }

    /// One that was adopted is gone.
    pub(crate) fn disown(&self, descriptor: &Descriptor) {
        let mut all = self.adopted.borrow_mut();
        let raw = descriptor.raw();
        // The number may be another's by now.
        if all
            .get(&raw)
            .is_some_and(|it| ptr::eq(it.as_ptr(), descriptor))
        {
            all.remove(&raw);
        }
    }

    fn find(&self, number: u64) -> Option<Rc<Descriptor>> {
        let table = self.slots.borrow();
        let slot = table.slots.get(number as u32 as usize)?;
        let is_it = slot.generation == (number >> 32) as u32;
        slot.descriptor.upgrade().filter(|_| is_it)
    }

    /// All there are.
    pub(crate) fn all(&self) -> Vec<Rc<Descriptor>> {
        let table = self.slots.borrow();
        let slots = table.slots.iter();
        slots.filter_map(|slot| slot.descriptor.upgrade()).collect()
    }

    /// Passes on what a look found.
    pub(crate) fn tell(&self) {
        self.looks.set(self.looks.get() + 1);
        let mut strays = false;
        let tell = |number, flags| match self.find(number) {
            Some(descriptor) => descriptor.found(readiness(flags)),
            None => strays = true,
        };
        self.platform
            .take_found(|runs| self.looked_in.set(runs), tell);
        if strays {
            self.start_over();
        }
    }

    /// A descriptor that is closed, while a duplicate of it lives elsewhere, stays registered, and nobody can take it
    /// out any more (epoll(7), "Questions and answers", 6): so all the others go to a new instance.
    #[cold]
    fn start_over(&self) {
        if self.platform.forget_everything().is_ok() {
            for descriptor in self.all() {
                descriptor.register_anew();
            }
        }
    }
}

/// Passes on what is found, for ever. The task that runs this has to come before all that it wakes.
pub(crate) async fn pass_on(descriptors: Rc<Descriptors>, found: IrqEvent) {
    loop {
        found.raised().await;
        descriptors.tell();
    }
}

fn readiness(flags: EventFlags) -> Readiness {
    let is = |flag, readiness| {
        if flags.intersects(flag) {
            readiness
        } else {
            Readiness::EMPTY
        }
    };
    is(EventFlags::IN | EventFlags::PRI, Readiness::READABLE)
        | is(EventFlags::OUT, Readiness::WRITABLE)
        | is(EventFlags::RDHUP, Readiness::READABLE | Readiness::HANGUP)
        // A read gives the end, or the error, at once.
        | is(EventFlags::HUP, Readiness::READABLE | Readiness::HANGUP)
        | is(EventFlags::ERR, Readiness::READABLE | Readiness::ERROR)
}

/// The same for what `poll` says.
pub(crate) fn readiness_of_poll(flags: PollFlags) -> Readiness {
    readiness(EventFlags::from_bits_retain(u32::from(flags.bits())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn poll_and_epoll_have_the_same_bits() {
        for (poll, epoll) in [
            (PollFlags::IN, EventFlags::IN),
            (PollFlags::OUT, EventFlags::OUT),
            (PollFlags::HUP, EventFlags::HUP),
            (PollFlags::ERR, EventFlags::ERR),
            (PollFlags::RDHUP, EventFlags::RDHUP),
        ] {
            assert_eq!(readiness_of_poll(poll), readiness(epoll));
            assert!(!readiness(epoll).is_empty());
        }
    }
}
