//! What handles name, and who is busy with it.

use alloc::rc::{Rc, Weak};
use core::cell::{Cell, Ref, RefCell};
use core::task::Context;

use abi::handle::Tag;
use reactor::readiness::{Interest, Pollable, Readiness};
use reactor::sync::Wakers;

use crate::channel::ChannelEnd;
use crate::files::OpenFile;
use crate::interest::Set;
use crate::memory::{Arena, Shared};
use crate::signal::Signal;
use crate::sockets::Socket;
use crate::task::Task;

/// Something that a handle names. Clones are the same thing.
#[derive(Clone)]
pub(crate) enum Object {
    Task(Rc<Task>),
    Signal(Rc<Signal>),
    File(Rc<OpenFile>),
    Channel(Rc<ChannelEnd>),
    Socket(Rc<Socket>),
    Set(Rc<Set>),
    Shared(Rc<Shared>),
    Arena(Rc<Arena>),
}

impl Object {
    pub(crate) fn tag(&self) -> Tag {
        match self {
            Object::Task(_) => Tag::Task,
            Object::Signal(_) | Object::File(_) => Tag::Io,
            Object::Channel(_) => Tag::Ipc,
            Object::Socket(_) => Tag::Net,
            Object::Set(_) => Tag::Set,
            Object::Shared(_) | Object::Arena(_) => Tag::Memory,
        }
    }

    /// What can be waited for; memory cannot.
    pub(crate) fn pollable(&self) -> Option<&dyn Pollable> {
        match self {
            Object::Task(task) => Some(&**task),
            Object::Signal(signal) => Some(&**signal),
            Object::File(file) => Some(&**file),
            Object::Channel(end) => Some(&**end),
            Object::Socket(socket) => Some(&**socket),
            Object::Set(set) => Some(&**set),
            Object::Shared(_) | Object::Arena(_) => None,
        }
    }
}

/// A direction of an object that one task at a time may wait in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Read,
    Write,
}

/// An object's place in the table. Those who wait for it hold on to this, and see when it is closed.
pub(crate) struct Entry {
    /// `None` once it is closed.
    object: RefCell<Option<Object>>,
    /// Who is to know when it is closed.
    waiters: RefCell<Wakers>,
    reading: Cell<bool>,
    writing: Cell<bool>,
    /// The task that it belongs to, if it is not in a message, and its place in that task's list.
    owner: RefCell<Option<(Weak<Task>, usize)>>,
}

impl Entry {
    pub(crate) fn new(object: Object) -> Entry {
        Entry {
            object: RefCell::new(Some(object)),
            waiters: RefCell::default(),
            reading: Cell::new(false),
            writing: Cell::new(false),
            owner: RefCell::default(),
        }
    }

    /// The object; `None` once it is closed.
    pub(crate) fn object(&self) -> Option<Object> {
        self.object.borrow().clone()
    }

    /// A look at the same, during which it cannot be closed.
    pub(crate) fn borrow(&self) -> Ref<'_, Option<Object>> {
        self.object.borrow()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.object.borrow().is_none()
    }

    /// Lets go of the object and tells everybody who waits for it.
    pub(crate) fn close(&self) -> Option<Object> {
        let object = self.object.take();
        self.waiters.borrow_mut().wake_all();
        object
    }

    /// Notes whose it is.
    pub(crate) fn belongs_to(&self, owner: &Weak<Task>, place: usize) {
        *self.owner.borrow_mut() = Some((Weak::clone(owner), place));
    }

    /// Whose it is, if there is such a task any more.
    pub(crate) fn owner(&self) -> Option<(Rc<Task>, usize)> {
        let owner = self.owner.borrow();
        let (task, place) = owner.as_ref()?;
        Some((task.upgrade()?, *place))
    }

    /// Has the waker woken when it is closed.
    pub(crate) fn on_close(&self, cx: &Context<'_>) {
        self.waiters.borrow_mut().register(cx.waker());
    }

    /// What it is ready for, of what is asked for; `None` where it cannot be waited for. A closed one is hung up.
    pub(crate) fn poll(&self, interest: Interest, cx: &mut Context<'_>) -> Option<Readiness> {
        let object = self.object.borrow();
        let Some(object) = &*object else {
            return Some(Readiness::HANGUP | Readiness::ERROR);
        };
        let ready = object.pollable()?.poll_readiness(interest, cx);
        if !ready.answers(interest) {
            self.on_close(cx);
        }
        Some(ready)
    }

    /// The same for who asks again and again: also whether the waker is woken when it is found ready, though it may be so
    /// now. A closed one, and what cannot be waited for, is never ready.
    pub(crate) fn poll_level(&self, interest: Interest, cx: &mut Context<'_>) -> (Readiness, bool) {
        let object = self.object.borrow();
        let Some(pollable) = object.as_ref().and_then(Object::pollable) else {
            return (Readiness::EMPTY, false);
        };
        let ready = pollable.poll_readiness(interest, cx);
        let is_told = !ready.answers(interest) || pollable.rearm(interest, cx);
        if is_told {
            self.on_close(cx);
        }
        (ready, is_told)
    }

    /// Keeps a direction for one waiter, until what is returned is dropped. `None`: somebody has it.
    pub(crate) fn occupy(self: &Rc<Entry>, direction: Direction) -> Option<Occupied> {
        let flag = self.flag(direction);
        (!flag.replace(true)).then(|| Occupied {
            entry: Rc::clone(self),
            direction,
        })
    }

    fn flag(&self, direction: Direction) -> &Cell<bool> {
        match direction {
            Direction::Read => &self.reading,
            Direction::Write => &self.writing,
        }
    }
}

/// A direction of an object, kept.
pub(crate) struct Occupied {
    entry: Rc<Entry>,
    direction: Direction,
}

impl Drop for Occupied {
    fn drop(&mut self) {
        self.entry.flag(self.direction).set(false);
    }
}

/// What is in a handle's place.
#[derive(Clone)]
pub(crate) struct Named {
    pub(crate) entry: Rc<Entry>,
}
