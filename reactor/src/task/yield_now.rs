//! A future that lets others run once.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

/// Lets every other ready task, and every device, have its turn before the caller goes on.
///
/// The caller runs again in the next turn, so a task in a loop of yields runs once a turn. Does not
/// sleep: a program that only yields keeps the processor busy.
///
/// ```
/// use reactor::{Reactor, task::yield_now, testing::VirtualClock};
/// let reactor = Reactor::new(VirtualClock::new());
/// reactor.block_on(async { for _ in 0..3 { yield_now().await } });
/// assert_eq!(reactor.stats().turns, 4);
/// ```
pub fn yield_now() -> YieldNow {
    YieldNow { yielded: false }
}

/// The future of [`yield_now`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct YieldNow {
    yielded: bool,
}

impl Future for YieldNow {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.yielded {
            return Poll::Ready(());
        }
        self.yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
