//! A program's access to time.

use alloc::rc::Rc;
use alloc::sync::Arc;
use core::fmt;
use core::future::Future;

use crate::executor::Core;
use crate::shared::Shared;
use crate::time::{Duration, Instant};
use crate::timers::{Interval, Sleep, Timeout};

/// Tells the time and makes timers; from [`Reactor::clock`](crate::Reactor::clock).
///
/// Cheap to clone, not `Send`. Timers never fire early; they fire in the first turn at or after
/// their deadline, or a few turns later when thousands are due at once.
///
/// ```
/// use reactor::{Reactor, testing::VirtualClock, time::{Duration, Instant}, timers::Elapsed};
/// let reactor = Reactor::new(VirtualClock::new());
/// let clock = reactor.clock();
/// reactor.block_on(async {
///     clock.sleep(Duration::from_millis(3)).await;
///     assert_eq!(clock.now(), Instant::from_nanos(3_000_000));
///     let never = core::future::pending::<()>();
///     assert_eq!(clock.timeout(Duration::from_secs(1), never).await, Err(Elapsed));
/// });
/// ```
#[derive(Clone)]
pub struct Clock {
    core: Rc<Core>,
}

impl Clock {
    pub(crate) fn new(core: Rc<Core>) -> Clock {
        Clock { core }
    }

    /// Time since boot, read from the platform now.
    pub fn now(&self) -> Instant {
        self.core.shared.platform().now()
    }

    /// Time since boot as the run loop saw it last: when the poll began that makes this call. Costs less
    /// than [`now`](Clock::now), and is behind it by what the poll has taken so far.
    pub fn recent(&self) -> Instant {
        self.core.now()
    }

    /// Has the platform look for what has happened outside ([`Platform::look`](crate::platform::Platform::look)): `true`
    /// where the caller should give the others a turn and look again. Does not wait.
    pub fn look(&self) -> bool {
        self.core.shared.platform().look()
    }

    /// What stamps the time: for who stamps often, and looks at the stamps seldom.
    pub fn stamper(&self) -> Stamper {
        Stamper(self.core.shared.clone())
    }

    /// Waits for a span, counted from this call.
    pub fn sleep(&self, span: Duration) -> Sleep {
        self.sleep_until(self.now() + span)
    }

    /// Waits until an instant.
    pub fn sleep_until(&self, deadline: Instant) -> Sleep {
        Sleep::new(self.core.clone(), deadline)
    }

    /// Gives `future` a span to finish, counted from this call.
    pub fn timeout<F: Future>(&self, span: Duration, future: F) -> Timeout<F> {
        Timeout::new(future, self.sleep(span))
    }

    /// Gives `future` until an instant to finish.
    pub fn timeout_at<F: Future>(&self, deadline: Instant, future: F) -> Timeout<F> {
        Timeout::new(future, self.sleep_until(deadline))
    }

    /// Ticks every `period`, the first time at once. A period of zero ticks every turn.
    pub fn interval(&self, period: Duration) -> Interval {
        self.interval_at(self.now(), period)
    }

    /// Ticks every `period`, the first time at `first`.
    pub fn interval_at(&self, first: Instant, period: Duration) -> Interval {
        Interval::new(self.clone(), first, period)
    }
}

/// Stamps the time, which costs less than reading it; from [`Clock::stamper`]. May be kept in a static and sent to other
/// threads, and outlives its reactor harmlessly.
///
/// ```
/// use reactor::{Reactor, testing::VirtualClock, time::Duration};
/// let clock = VirtualClock::new();
/// let stamper = Reactor::new(clock.clone()).clock().stamper();
/// let early = stamper.stamp();
/// clock.advance(Duration::from_nanos(700));
/// let stamps = stamper.stamps();
/// clock.advance(Duration::from_nanos(50));
/// let late = stamper.stamp();
/// assert_eq!((stamps.time_of(early).as_nanos(), stamps.time_of(late).as_nanos()), (0, 750));
/// ```
#[derive(Clone)]
pub struct Stamper(Arc<Shared>);

impl Stamper {
    /// A stamp of the time now. [`Stamper::stamps`] tells what time it was.
    #[inline]
    pub fn stamp(&self) -> u64 {
        self.0.platform().ticks()
    }

    /// What tells the time of stamps.
    pub fn stamps(&self) -> Stamps {
        Stamps {
            stamper: self.clone(),
            now: self.0.platform().now(),
            stamp: self.stamp(),
        }
    }
}

impl fmt::Debug for Stamper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Stamper").field(&self.stamp()).finish()
    }
}

/// Tells the time of [stamps](Stamper::stamp); from [`Stamper::stamps`].
///
/// One of these keeps the order of all stamps that it is asked about. Times of two differ by as much as the machine has
/// learned about its clock in between.
#[derive(Clone, Debug)]
pub struct Stamps {
    stamper: Stamper,
    /// A time and its stamp.
    now: Instant,
    stamp: u64,
}

impl Stamps {
    /// The time of a stamp.
    pub fn time_of(&self, stamp: u64) -> Instant {
        let platform = self.stamper.0.platform();
        let span = platform.nanos_of_ticks(stamp.abs_diff(self.stamp));
        let now = self.now.as_nanos();
        Instant::from_nanos(if stamp < self.stamp {
            now.saturating_sub(span)
        } else {
            now.saturating_add(span)
        })
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").field("now", &self.now()).finish()
    }
}
