//! The sleep whose end is watched.

use core::time::Duration;

/// How long it is.
pub const SLEEP: Duration = Duration::from_millis(1);
/// How often it is slept.
pub const REPEATS: usize = 1000;
