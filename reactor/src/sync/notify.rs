//! Wakes without data.

use core::cell::Cell;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::sync::wait_queue::{Progress, Release, Wait, WaitQueue};

/// Tells one waiter, or all of them, to look again.
///
/// A notification for one is never lost: if nobody waits it is kept (once) for the next who does,
/// and if the waiter that got it goes away, the next one gets it. Waiting allocates nothing. Not
/// `Send`.
///
/// ```
/// use reactor::{Reactor, sync::Notify, testing::VirtualClock};
/// let reactor = Reactor::new(VirtualClock::new());
/// let notify = Notify::new();
/// notify.notify_one();
/// reactor.block_on(notify.notified());
/// ```
#[derive(Default)]
pub struct Notify {
    /// A notification that nobody has got yet.
    kept: Cell<bool>,
    waiters: WaitQueue,
}

impl Notify {
    /// Without a kept notification.
    pub const fn new() -> Notify {
        Notify {
            kept: Cell::new(false),
            waiters: WaitQueue::new(),
        }
    }

    /// Lets the longest waiter go, or the next who comes if nobody waits.
    pub fn notify_one(&self) {
        if !self.waiters.release_first(Release::Granted) {
            self.kept.set(true);
        }
    }

    /// Lets everybody go who waits now (whose future was polled). Keeps nothing for later.
    pub fn notify_all(&self) {
        self.waiters.release_all();
    }

    /// Waits for a notification. Joins the queue at the first poll; dropping the future leaves it.
    pub fn notified(&self) -> Notified<'_> {
        Notified {
            notify: self,
            wait: Wait::new(&self.waiters, 0),
        }
    }
}

impl fmt::Debug for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notify")
            .field("kept", &self.kept.get())
            .finish()
    }
}

pin_project! {
    /// The future of [`Notify::notified`].
    #[must_use = "futures do nothing unless awaited"]
    pub struct Notified<'a> {
        notify: &'a Notify,
        #[pin]
        wait: Wait<'a>,
    }

    impl PinnedDrop for Notified<'_> {
        fn drop(this: Pin<&mut Self>) {
            if this.wait.progress() == Progress::Released(Release::Granted) {
                this.notify.notify_one();
            }
        }
    }
}

impl Future for Notified<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let kept = this.wait.progress() == Progress::New && this.notify.kept.replace(false);
        if kept || this.wait.as_mut().poll(cx).is_ready() {
            // Taken: nothing to pass on when this future is dropped.
            this.wait.set(Wait::new(&this.notify.waiters, 0));
            return Poll::Ready(());
        }
        Poll::Pending
    }
}
