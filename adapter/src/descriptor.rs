//! One descriptor: who waits for it, what epoll watches it for, and what was found.
//!
//! Behind every handle of a kernel that Linux is asked about. Belongs to the kernel's context. It never reads or
//! writes.
#![allow(
    unsafe_code,
    reason = "uses descriptors that the program owns, by their numbers"
)]

use std::cell::{Cell, RefCell};
use std::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::task::Context;

use reactor::readiness::{Interest, Readiness};
use reactor::sync::Wakers;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::fstat;
use rustix::io::{self, Errno};

use crate::descriptors::{Descriptors, readiness_of_poll};

/// Whose it is.
#[derive(Debug)]
pub(crate) enum Owner {
    /// The kernel's, which nobody else knows. Closed with its handle.
    Kernel(OwnedFd),
    /// The program's, which may use it, close it, and get its number for something else.
    Program(RawFd),
}

impl Owner {
    /// Its number in the process.
    pub(crate) fn raw(&self) -> RawFd {
        match self {
            Owner::Kernel(fd) => fd.as_raw_fd(),
            Owner::Program(fd) => *fd,
        }
    }
}

/// A descriptor.
pub(crate) struct Descriptor {
    descriptors: Rc<Descriptors>,
    owner: Owner,
    /// Its place in `descriptors`.
    number: Cell<u64>,
    /// It is the program's, and closed with its handle.
    given: Cell<bool>,
    /// Which regular file it is: device and number there.
    file: Cell<Option<(u64, u64)>>,
    /// What epoll watches it for.
    armed: Cell<Armed>,
    /// The last look whose findings cannot have had what it is armed for now.
    armed_in: Cell<u64>,
    readers: RefCell<Wakers>,
    writers: RefCell<Wakers>,
    /// What was found, and in which look.
    found: Cell<(u64, Readiness)>,
    /// Nobody has been told yet.
    is_news: Cell<bool>,
    /// The number is not the descriptor's any more, or epoll has given it up.
    is_lost: Cell<bool>,
}

/// How it stands with epoll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Armed {
    /// It cannot be watched, being a regular file: always ready.
    Never,
    /// Not registered.
    Out,
    /// Registered, for these.
    For(Interest),
}

impl Descriptor {
    /// A descriptor of the kernel's own, such as a socket. Registered when somebody waits for it.
    pub(crate) fn own(descriptors: &Rc<Descriptors>, fd: OwnedFd) -> Rc<Descriptor> {
        Descriptor::new(descriptors, Owner::Kernel(fd))
    }

    /// A descriptor that the program has opened, registered for reading at once: most are read first.
    ///
    /// # Errors
    /// [`Errno::BADF`]: it is not open; [`Errno::EXIST`]: it has been adopted already; [`Errno::NOMEM`] and the like.
    pub(crate) fn adopt(descriptors: &Rc<Descriptors>, owner: Owner) -> io::Result<Rc<Descriptor>> {
        let adopted = Descriptor::new(descriptors, owner);
        match adopted.register(Interest::READABLE) {
            Ok(()) => adopted.armed.set(Armed::For(Interest::READABLE)),
            Err(Errno::PERM) => {
                let known = fstat(&*adopted)?;
                adopted.file.set(Some((known.st_dev, known.st_ino)));
                adopted.armed.set(Armed::Never);
            }
            Err(error) => return Err(error),
        }
        Ok(adopted)
    }

    fn new(descriptors: &Rc<Descriptors>, owner: Owner) -> Rc<Descriptor> {
        let descriptor = Rc::new(Descriptor {
            descriptors: Rc::clone(descriptors),
            owner,
            number: Cell::new(0),
            given: Cell::new(false),
            file: Cell::new(None),
            armed: Cell::new(Armed::Out),
            armed_in: Cell::new(descriptors.looks()),
            readers: RefCell::default(),
            writers: RefCell::default(),
            found: Cell::new((0, Readiness::EMPTY)),
            is_news: Cell::new(false),
            is_lost: Cell::new(false),
        });
        descriptor.number.set(descriptors.insert(&descriptor));
        descriptor
    }

    /// Its number in the process.
    pub(crate) fn raw(&self) -> RawFd {
        self.owner.raw()
    }

    /// Whether nobody but the kernel uses it.
    pub(crate) fn is_own(&self) -> bool {
        matches!(self.owner, Owner::Kernel(_))
    }

    /// Whether its number belongs to something else.
    pub(crate) fn is_lost(&self) -> bool {
        self.is_lost.get()
    }

    /// Whether two that have one number are one regular file. All others epoll tells apart itself.
    pub(crate) fn is_same_file(&self, other: &Descriptor) -> bool {
        let both = [self, other].map(|descriptor| descriptor.file.get());
        both[0].is_some() && both[0] == both[1]
    }

    /// Closes the program's descriptor with its handle.
    pub(crate) fn give(&self) {
        self.given.set(true);
    }

    /// Its number belongs to something else now; who waits is told.
    pub(crate) fn lose(&self) {
        self.is_lost.set(true);
        self.readers.borrow_mut().wake_all();
        self.writers.borrow_mut().wake_all();
    }

    /// A look found that it is so.
    pub(crate) fn found(&self, readiness: Readiness) {
        let (readers, writers) = (&self.readers, &self.writers);
        let wanted = interest(!readers.borrow().is_empty(), !writers.borrow().is_empty());
        let told = Interest::from_bits(readiness.bits());
        if !wanted.contains(told) {
            self.disarm(wanted);
        }
        self.found.set((self.descriptors.looks(), readiness));
        self.is_news.set(true);
        let over = Readiness::HANGUP | Readiness::ERROR;
        if readiness.intersects(Readiness::READABLE | over) {
            readers.borrow_mut().wake_all();
        }
        if readiness.intersects(Readiness::WRITABLE | over) {
            writers.borrow_mut().wake_all();
        }
    }

    /// What it is known to be ready for. Where that is no answer, the waker is woken once there might be one.
    pub(crate) fn poll(&self, wanted: Interest, cx: &mut Context<'_>) -> Readiness {
        if self.is_lost.get() {
            return Readiness::ERROR | Readiness::HANGUP;
        }
        if self.armed.get() == Armed::Never {
            return Readiness::READABLE | Readiness::WRITABLE;
        }
        let known = self.known(wanted, cx);
        if !known.answers(wanted) {
            self.wait(wanted, cx);
        }
        known
    }

    fn known(&self, wanted: Interest, cx: &Context<'_>) -> Readiness {
        let (look, found) = self.found.get();
        if self.descriptors.is_fresh() {
            if look == self.descriptors.looks() {
                self.is_news.set(false);
                return found;
            }
            let watched = matches!(self.armed.get(), Armed::For(armed) if armed.contains(wanted));
            if watched && self.armed_in.get() < self.descriptors.looks() {
                return Readiness::EMPTY; // or it would have been found
            }
        }
        let only_looks = cx.waker().will_wake(Wakers::nobody());
        if only_looks || self.is_news.replace(false) {
            self.ask(wanted)
        } else {
            Readiness::EMPTY
        }
    }

    /// Asks Linux.
    pub(crate) fn ask(&self, wanted: Interest) -> Readiness {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::IN, wanted.contains(Interest::READABLE));
        flags.set(PollFlags::OUT, wanted.contains(Interest::WRITABLE));
        flags.set(
            PollFlags::RDHUP,
            self.is_own() && wanted.contains(Interest::READABLE),
        );
        let mut asked = [PollFd::from_borrowed_fd(self.as_fd(), flags)];
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        match poll(&mut asked, Some(&now)) {
            Ok(1..) => readiness_of_poll(asked[0].revents()),
            _ => Readiness::EMPTY,
        }
    }

    /// Has the waker woken once it might be ready.
    pub(crate) fn wait(&self, wanted: Interest, cx: &mut Context<'_>) {
        if cx.waker().will_wake(Wakers::nobody()) {
            return;
        }
        // Who waits for neither hears of the end.
        if wanted.contains(Interest::READABLE) || wanted.is_empty() {
            self.readers.borrow_mut().register(cx.waker());
        }
        if wanted.contains(Interest::WRITABLE) {
            self.writers.borrow_mut().register(cx.waker());
        }
        self.arm(wanted);
        if self.is_lost.get() {
            cx.waker().wake_by_ref();
        }
    }

    /// Has the waker woken by the next look that finds it ready, as it may be now. Not where epoll says nothing of it.
    pub(crate) fn rearm(&self, wanted: Interest, cx: &mut Context<'_>) -> bool {
        let is_watched = self.armed.get() != Armed::Never;
        if is_watched {
            self.wait(wanted, cx);
        }
        is_watched
    }

    /// Has epoll watch it for this too.
    fn arm(&self, wanted: Interest) {
        let watched = match self.armed.get() {
            Armed::For(armed) if armed.contains(wanted) => return,
            Armed::For(armed) => armed,
            Armed::Out => Interest::EMPTY,
            Armed::Never => return,
        };
        self.armed_in.set(self.descriptors.looks());
        self.watch(watched | wanted);
    }

    /// Has epoll watch it for what somebody waits for, and nothing else.
    fn disarm(&self, wanted: Interest) {
        match self.armed.get() {
            Armed::For(_) if wanted.is_empty() && self.is_own() => {
                self.unregister();
                self.armed.set(Armed::Out);
            }
            Armed::For(armed) if armed != wanted => self.watch(wanted),
            _ => {}
        }
    }

    fn watch(&self, interest: Interest) {
        let changed = match self.armed.get() {
            Armed::Out => self.register(interest),
            _ => self.with_event(interest, |epoll, data, flags| {
                epoll::modify(epoll, self.as_fd(), data, flags)
            }),
        };
        match changed {
            Ok(()) => self.armed.set(Armed::For(interest)),
            Err(Errno::PERM) => self.armed.set(Armed::Never),
            Err(_) => self.lose(),
        }
    }

    fn register(&self, interest: Interest) -> io::Result<()> {
        self.with_event(interest, |epoll, data, flags| {
            epoll::add(epoll, self.as_fd(), data, flags)
        })
    }

    /// Registers it with an epoll instance that knows nothing yet.
    pub(crate) fn register_anew(&self) {
        if let Armed::For(interest) = self.armed.get()
            && !self.is_lost.get()
        {
            self.armed.set(Armed::Out);
            self.watch(interest);
        }
    }

    fn unregister(&self) {
        let platform = self.descriptors.platform();
        // Closed already, perhaps: then there is nothing to take out.
        let _ = platform.with_epoll(|epoll| epoll::delete(epoll, self.as_fd()));
    }

    fn with_event<R>(
        &self,
        interest: Interest,
        change: impl FnOnce(BorrowedFd<'_>, EventData, EventFlags) -> R,
    ) -> R {
        let data = EventData::new_u64(self.number.get());
        let flags = self.flags(interest);
        let platform = self.descriptors.platform();
        platform.with_epoll(|epoll| change(epoll, data, flags))
    }

    fn flags(&self, interest: Interest) -> EventFlags {
        let mut flags = EventFlags::empty();
        let reads = interest.contains(Interest::READABLE);
        flags.set(EventFlags::IN, reads);
        flags.set(EventFlags::OUT, interest.contains(Interest::WRITABLE));
        // Of what is the program's, other loops tell no half-closed streams, and who only writes would turn in
        // circles.
        flags.set(EventFlags::RDHUP, reads && self.is_own());
        // Nobody waits: hang-up and error, which epoll always tells, are told once, not again and again. It stays
        // registered because that is how a number that was given to something else is noticed.
        flags.set(EventFlags::ONESHOT, interest.is_empty());
        flags
    }
}

/// Closes a descriptor by its number.
pub(crate) fn close(fd: RawFd) {
    // SAFETY: of a kernel that a process inherited and gives up; nobody uses the number here any more.
    drop(unsafe { OwnedFd::from_raw_fd(fd) });
}

fn interest(reads: bool, writes: bool) -> Interest {
    let is = |wanted, interest| if wanted { interest } else { Interest::EMPTY };
    is(reads, Interest::READABLE) | is(writes, Interest::WRITABLE)
}

impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.owner {
            Owner::Kernel(fd) => fd.as_fd(),
            // SAFETY: the program may close it at any time and get another under its number, which `BorrowedFd` does
            // not want; but what is done with it here are system calls, each of which finds whatever is open then, or
            // gives an error. Nobody relies on what it is.
            Owner::Program(fd) => unsafe { BorrowedFd::borrow_raw(*fd) },
        }
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        if matches!(self.armed.get(), Armed::For(_)) && !self.is_lost.get() {
            self.unregister();
        }
        if !self.is_own() {
            self.descriptors.disown(self);
        }
        if let Owner::Program(fd) = self.owner
            && self.given.get()
            && !self.is_lost.get()
        {
            // SAFETY: the program gave it away with `io_from_fd`, whose contract in the header is that it does not
            // close it itself then.
            drop(unsafe { OwnedFd::from_raw_fd(fd) });
        }
        self.descriptors.remove(self.number.get());
    }
}

impl fmt::Debug for Descriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Descriptor")
            .field("fd", &self.raw())
            .field("armed", &self.armed.get())
            .finish_non_exhaustive()
    }
}
