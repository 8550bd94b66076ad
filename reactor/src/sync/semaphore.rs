//! Counted permits, given out in the order they were asked for.

use alloc::rc::Rc;
use core::cell::Cell;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::sync::wait_queue::{Progress, Release, Wait, WaitQueue};

/// The semaphore was closed: there will be no permits any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("semaphore is closed")
    }
}

impl core::error::Error for Closed {}

/// Limits how many may do something at once.
///
/// Fair: permits go to whoever waits longest, and nobody overtakes a waiter that wants many.
/// Waiting allocates nothing. For the tasks of one reactor: not `Send`.
///
/// ```
/// use reactor::{Reactor, sync::Semaphore, testing::VirtualClock};
/// let reactor = Reactor::new(VirtualClock::new());
/// reactor.block_on(async {
///     let connections = Semaphore::new(2);
///     let first = connections.acquire(1).await.unwrap();
///     let second = connections.acquire(1).await.unwrap();
///     assert!(connections.try_acquire(1).is_none());
///     drop(first);
///     assert!(connections.try_acquire(1).is_some());
/// });
/// ```
pub struct Semaphore {
    permits: Cell<usize>,
    closed: Cell<bool>,
    waiters: WaitQueue,
}

impl Semaphore {
    /// A semaphore with some permits.
    pub const fn new(permits: usize) -> Semaphore {
        Semaphore {
            permits: Cell::new(permits),
            closed: Cell::new(false),
            waiters: WaitQueue::new(),
        }
    }

    /// Waits for `count` permits at once. Dropping the future leaves the queue, or gives the
    /// permits back if they had been granted meanwhile.
    pub fn acquire(&self, count: usize) -> Acquire<'_> {
        Acquire {
            semaphore: self,
            wait: Wait::new(&self.waiters, count),
        }
    }

    /// As [`acquire`](Semaphore::acquire), for a permit that a spawned task can keep.
    pub async fn acquire_owned(self: Rc<Self>, count: usize) -> Result<OwnedPermit, Closed> {
        self.acquire(count).await?.forget();
        Ok(OwnedPermit {
            semaphore: self,
            count,
        })
    }

    /// Takes `count` permits if they are there and nobody waits before.
    pub fn try_acquire(&self, count: usize) -> Option<Permit<'_>> {
        // Lazily: a permit that is made is given back when dropped.
        self.take(count).then(|| Permit {
            semaphore: self,
            count,
        })
    }

    /// As [`try_acquire`](Semaphore::try_acquire), for a permit that a spawned task can keep.
    pub fn try_acquire_owned(self: Rc<Self>, count: usize) -> Option<OwnedPermit> {
        // Lazily: a permit that is made is given back when dropped.
        self.take(count).then(|| OwnedPermit {
            semaphore: self,
            count,
        })
    }

    /// Adds permits, and passes them to who waits.
    pub fn release(&self, count: usize) {
        self.permits.set(self.permits.get().saturating_add(count));
        self.pass_on();
    }

    /// How many permits are there to be taken.
    pub fn available(&self) -> usize {
        self.permits.get()
    }

    /// Ends all waits, now and later, with [`Closed`]. Permits that were given stay valid.
    pub fn close(&self) {
        self.closed.set(true);
        self.waiters.release_all();
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.closed.get()
    }

    fn take(&self, count: usize) -> bool {
        let free = !self.closed.get() && self.waiters.is_empty() && self.permits.get() >= count;
        if free {
            self.permits.set(self.permits.get() - count);
        }
        free
    }

    /// Grants the first waiters what they want, as far as it goes.
    fn pass_on(&self) {
        while let Some(wanted) = self.waiters.first_wants()
            && wanted <= self.permits.get()
        {
            self.permits.set(self.permits.get() - wanted);
            self.waiters.release_first(Release::Granted);
        }
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore")
            .field("available", &self.permits.get())
            .field("closed", &self.closed.get())
            .finish()
    }
}

pin_project! {
    /// The future of [`Semaphore::acquire`]. Gives its permit once; polled after that, it waits for
    /// more.
    #[must_use = "futures do nothing unless awaited"]
    pub struct Acquire<'a> {
        semaphore: &'a Semaphore,
        #[pin]
        wait: Wait<'a>,
    }

    impl PinnedDrop for Acquire<'_> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let (semaphore, wanted) = (*this.semaphore, this.wait.wanted());
            match this.wait.progress() {
                Progress::New => {}
                Progress::Released(Release::Granted) => semaphore.release(wanted),
                Progress::Released(Release::All) => {}
                Progress::Queued => {
                    this.wait.set(Wait::new(&semaphore.waiters, wanted));
                    semaphore.pass_on(); // those behind may want less
                }
            }
        }
    }
}

impl<'a> Future for Acquire<'a> {
    type Output = Result<Permit<'a>, Closed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let (semaphore, count) = (*this.semaphore, this.wait.wanted());
        match this.wait.progress() {
            Progress::New if semaphore.is_closed() => return Poll::Ready(Err(Closed)),
            Progress::New if semaphore.take(count) => {}
            Progress::New | Progress::Queued => {
                let _ = this.wait.poll(cx);
                return Poll::Pending;
            }
            Progress::Released(Release::All) => return Poll::Ready(Err(Closed)),
            Progress::Released(Release::Granted) => {
                this.wait.set(Wait::new(&semaphore.waiters, count)); // the permit has left the future
            }
        }
        Poll::Ready(Ok(Permit { semaphore, count }))
    }
}

/// Some permits of a [`Semaphore`]; dropping it gives them back.
#[must_use = "dropping a permit gives it back at once"]
#[derive(Debug)]
pub struct Permit<'a> {
    semaphore: &'a Semaphore,
    count: usize,
}

impl Permit<'_> {
    /// Takes the permits out of circulation for good.
    pub fn forget(mut self) {
        self.count = 0;
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.count > 0 {
            self.semaphore.release(self.count);
        }
    }
}

/// Some permits that keep their [`Semaphore`] alive; dropping it gives them back.
#[must_use = "dropping a permit gives it back at once"]
#[derive(Debug)]
pub struct OwnedPermit {
    semaphore: Rc<Semaphore>,
    count: usize,
}

impl Drop for OwnedPermit {
    fn drop(&mut self) {
        self.semaphore.release(self.count);
    }
}
