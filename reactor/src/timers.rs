//! Timers: futures over deadlines.
//!
//! Owns [`Sleep`], [`Timeout`] and [`Interval`], which a [`Clock`](crate::Clock) makes, and the
//! wheel that they are armed in. Times come from the platform through the run loop; nothing here
//! reads a clock but the `Clock`.
//!
//! ```
//! use reactor::{Reactor, testing::VirtualClock, time::{Duration, Instant}};
//! let reactor = Reactor::new(VirtualClock::new());
//! let clock = reactor.clock();
//! reactor.block_on(async {
//!     let mut idle = std::pin::pin!(clock.sleep(Duration::from_secs(30)));
//!     // Something happened: count from now again.
//!     idle.as_mut().reset(clock.now() + Duration::from_secs(45));
//!     idle.await;
//! });
//! assert_eq!(clock.now(), Instant::ZERO + Duration::from_secs(45));
//! ```

mod interval;
mod sleep;
mod timeout;
pub(crate) mod wheel;

pub use interval::{Interval, MissedTicks};
pub use sleep::Sleep;
pub use timeout::{Elapsed, Timeout};
