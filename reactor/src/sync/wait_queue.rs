//! Who waits, in the order they came; without an allocation for a wait.
//!
//! Owns the intrusive queue that semaphores, mutexes, channels and notifications wait in. The
//! entries are inside the pinned futures that wait. Single-context.
#![allow(unsafe_code, reason = "an intrusive list: no allocation for a wait")]

use core::cell::Cell;
use core::marker::PhantomPinned;
use core::pin::Pin;
use core::ptr::NonNull;
use core::task::{Context, Poll, Waker};

type Link = Cell<Option<NonNull<Waiter>>>;

/// How far a wait is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Not queued yet.
    New,
    /// In the queue.
    Queued,
    /// Let go, for the reason that the queue's owner gave.
    Released(Release),
}

/// Why a wait is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Release {
    /// This waiter got what it wanted; if it goes without taking it, somebody else should.
    Granted,
    /// Everybody was let go.
    All,
}

struct Waiter {
    next: Link,
    previous: Link,
    waker: Cell<Option<Waker>>,
    /// How much of the thing it waits for; the queue's owner gives it a meaning.
    wanted: usize,
    progress: Cell<Progress>,
    _pinned: PhantomPinned,
}

/// Waiters, first come, first served.
#[derive(Default)]
pub(crate) struct WaitQueue {
    first: Link,
    last: Link,
    len: Cell<usize>,
}

impl WaitQueue {
    pub(crate) const fn new() -> WaitQueue {
        WaitQueue {
            first: Cell::new(None),
            last: Cell::new(None),
            len: Cell::new(0),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len.get() == 0
    }

    /// What the first waiter wants.
    pub(crate) fn first_wants(&self) -> Option<usize> {
        // SAFETY: queued, so in place (`Wait::poll` pinned it, its `Drop` takes it out).
        self.first
            .get()
            .map(|first| unsafe { first.as_ref() }.wanted)
    }

    /// Lets the first waiter go and wakes it; false if there is none.
    pub(crate) fn release_first(&self, release: Release) -> bool {
        let Some(first) = self.first.get() else {
            return false;
        };
        // SAFETY: queued, so in place.
        let waiter = unsafe { first.as_ref() };
        self.remove(waiter);
        waiter.progress.set(Progress::Released(release));
        if let Some(waker) = waiter.waker.take() {
            waker.wake(); // may run any code: the waiter can be gone after this
        }
        true
    }

    /// Lets everybody go who waits now.
    pub(crate) fn release_all(&self) {
        // Counted before: who comes back while being woken waits for the next time.
        for _ in 0..self.len.get() {
            self.release_first(Release::All);
        }
    }

    fn push(&self, waiter: Pin<&Waiter>) {
        let this = NonNull::from(waiter.get_ref());
        let last = self.last.replace(Some(this));
        waiter.previous.set(last);
        match last {
            // SAFETY: queued, so in place.
            Some(last) => unsafe { last.as_ref() }.next.set(Some(this)),
            None => self.first.set(Some(this)),
        }
        self.len.set(self.len.get() + 1);
        waiter.progress.set(Progress::Queued);
    }

    fn remove(&self, waiter: &Waiter) {
        let (previous, next) = (waiter.previous.take(), waiter.next.take());
        match previous {
            // SAFETY: a queued waiter's neighbour, so queued and in place.
            Some(previous) => unsafe { previous.as_ref() }.next.set(next),
            None => self.first.set(next),
        }
        match next {
            // SAFETY: as above.
            Some(next) => unsafe { next.as_ref() }.previous.set(previous),
            None => self.last.set(previous),
        }
        self.len.set(self.len.get() - 1);
    }
}

/// One wait in a queue. Dropping it leaves the queue.
pub(crate) struct Wait<'a> {
    queue: &'a WaitQueue,
    waiter: Waiter,
}

impl<'a> Wait<'a> {
    pub(crate) fn new(queue: &'a WaitQueue, wanted: usize) -> Wait<'a> {
        let waiter = Waiter {
            next: Cell::new(None),
            previous: Cell::new(None),
            waker: Cell::new(None),
            wanted,
            progress: Cell::new(Progress::New),
            _pinned: PhantomPinned,
        };
        Wait { queue, waiter }
    }

    pub(crate) fn progress(&self) -> Progress {
        self.waiter.progress.get()
    }

    pub(crate) fn wanted(&self) -> usize {
        self.waiter.wanted
    }

    /// Ready when the queue's owner let this waiter go. Joins the queue's end the first time.
    pub(crate) fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Release> {
        let this = self.as_ref();
        if let Progress::Released(release) = this.progress() {
            return Poll::Ready(release);
        }
        let old = this.waiter.waker.take();
        let same = old.as_ref().is_some_and(|old| old.will_wake(cx.waker()));
        this.waiter
            .waker
            .set(if same { old } else { Some(cx.waker().clone()) });
        if this.progress() == Progress::New {
            // SAFETY: the waiter is pinned as its `Wait` is; nothing moves out of it.
            this.queue
                .push(unsafe { this.map_unchecked(|this| &this.waiter) });
        }
        Poll::Pending
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        if self.progress() == Progress::Queued {
            self.queue.remove(&self.waiter);
        }
    }
}
