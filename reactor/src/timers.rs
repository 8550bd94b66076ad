//! Timers: futures over deadlines.
//!
//! Owns [`Sleep`], [`Timeout`] and [`Interval`], which a [`Clock`](crate::Clock) makes, and the
//! wheel that they are armed in. Times come from the platform through the run loop; nothing here
//! reads a clock but the `Clock`.

mod interval;
mod sleep;
mod timeout;
pub(crate) mod wheel;

pub use interval::{Interval, MissedTicks};
pub use sleep::Sleep;
pub use timeout::{Elapsed, Timeout};
