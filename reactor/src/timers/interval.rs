//! Ticks at a fixed period.

use core::fmt;

use crate::clock::Clock;
use crate::time::{Duration, Instant};

/// What an [`Interval`] does when its task comes too late for one or more ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissedTicks {
    /// The missed ticks are left out; the next one is at the next multiple of the period. The
    /// default: after a machine was stopped for an hour, nobody wants 3600 ticks at once.
    #[default]
    Skip,
    /// The next tick is one period after the late one.
    Delay,
    /// The missed ticks follow at once, one for each poll, until the schedule is caught up with.
    Burst,
}

/// Ticks at a fixed period; from [`Clock::interval`](crate::Clock::interval).
///
/// Needs no pinning and no allocation: each [`tick`](Interval::tick) has a timer of its own on its
/// stack.
///
/// ```
/// use reactor::{Reactor, testing::VirtualClock, time::{Duration, Instant}};
/// let reactor = Reactor::new(VirtualClock::new());
/// let clock = reactor.clock();
/// reactor.block_on(async {
///     let mut interval = clock.interval(Duration::from_secs(1));
///     assert_eq!(interval.tick().await, Instant::ZERO);
///     assert_eq!(interval.tick().await, Instant::ZERO + Duration::from_secs(1));
/// });
/// ```
pub struct Interval {
    clock: Clock,
    next: Instant,
    period: Duration,
    missed: MissedTicks,
}

impl Interval {
    pub(crate) fn new(clock: Clock, first: Instant, period: Duration) -> Interval {
        let period = period.max(Duration::from_nanos(1)); // a period of zero would divide by it
        Interval {
            clock,
            next: first,
            period,
            missed: MissedTicks::default(),
        }
    }

    /// Sets what happens to ticks that come too late.
    pub fn missed_ticks(mut self, missed: MissedTicks) -> Interval {
        self.missed = missed;
        self
    }

    /// The time between ticks.
    pub fn period(&self) -> Duration {
        self.period
    }

    /// Waits for the next tick and gives the instant it was planned for. Dropping the future loses
    /// nothing: the tick is waited for again by the next call.
    pub async fn tick(&mut self) -> Instant {
        let planned = self.next;
        self.clock.sleep_until(planned).await;
        self.next = self.after(planned, self.clock.now());
        planned
    }

    /// Plans the next tick from one minus the first period on; does not tick at once.
    pub fn reset(&mut self) {
        self.next = self.clock.now() + self.period;
    }

    fn after(&self, planned: Instant, now: Instant) -> Instant {
        let next = planned + self.period;
        if next > now {
            return next;
        }
        match self.missed {
            MissedTicks::Burst => next,
            MissedTicks::Delay => now + self.period,
            MissedTicks::Skip => next_multiple(planned, self.period, now),
        }
    }
}

/// The first of `start`, `start + period`, … that is after `now`.
fn next_multiple(start: Instant, period: Duration, now: Instant) -> Instant {
    let period = crate::time::saturating_nanos(period);
    let periods = (now.as_nanos() - start.as_nanos()) / period + 1;
    Instant::from_nanos(
        start
            .as_nanos()
            .saturating_add(periods.saturating_mul(period)),
    )
}

impl fmt::Debug for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interval")
            .field("next", &self.next)
            .field("period", &self.period)
            .field("missed", &self.missed)
            .finish()
    }
}
