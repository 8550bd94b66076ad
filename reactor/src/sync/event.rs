//! Something that happens once, for any number of waiters.

use core::cell::Cell;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::sync::wait_queue::{Wait, WaitQueue};

/// A flag that is set once and can be awaited: a request to stop, a configuration that is complete.
///
/// Waiting allocates nothing. Not `Send`.
///
/// ```
/// use reactor::{Reactor, sync::Event, testing::VirtualClock};
/// use std::rc::Rc;
/// let reactor = Reactor::new(VirtualClock::new());
/// let stop = Rc::new(Event::new());
/// let worker = reactor.spawner().spawn({
///     let stop = stop.clone();
///     async move { stop.wait().await }
/// });
/// stop.set();
/// assert_eq!(reactor.block_on(worker), Ok(()));
/// ```
#[derive(Default)]
pub struct Event {
    set: Cell<bool>,
    waiters: WaitQueue,
}

impl Event {
    /// Not set.
    pub const fn new() -> Event {
        Event {
            set: Cell::new(false),
            waiters: WaitQueue::new(),
        }
    }

    /// Sets it for good and wakes everybody who waits.
    pub fn set(&self) {
        self.set.set(true);
        self.waiters.release_all();
    }

    /// Whether it is set.
    pub fn is_set(&self) -> bool {
        self.set.get()
    }

    /// Waits until it is set; ready at once if it is.
    pub fn wait(&self) -> WaitEvent<'_> {
        WaitEvent {
            event: self,
            wait: Wait::new(&self.waiters, 0),
        }
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("set", &self.set.get())
            .finish()
    }
}

pin_project! {
    /// The future of [`Event::wait`].
    #[must_use = "futures do nothing unless awaited"]
    pub struct WaitEvent<'a> {
        event: &'a Event,
        #[pin]
        wait: Wait<'a>,
    }
}

impl Future for WaitEvent<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.event.is_set() {
            return Poll::Ready(());
        }
        self.project().wait.poll(cx).map(|_| ())
    }
}
