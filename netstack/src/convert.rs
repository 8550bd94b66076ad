//! Time between the reactor and smoltcp, which counts microseconds.

use core::time::Duration;
use reactor::time::Instant;

/// Rounds down, so that a deadline read back is never taken for due too early by smoltcp itself.
pub(crate) fn to_smoltcp(at: Instant) -> smoltcp::time::Instant {
    smoltcp::time::Instant::from_micros((at.as_nanos() / 1000) as i64)
}

/// A time before the boot, which smoltcp uses for "at once", becomes the boot.
pub(crate) fn from_smoltcp(at: smoltcp::time::Instant) -> Instant {
    Instant::from_nanos((at.total_micros().max(0) as u64).saturating_mul(1000))
}

/// At most a year: beyond it smoltcp's own sums would overflow.
pub(crate) fn to_smoltcp_duration(duration: Duration) -> smoltcp::time::Duration {
    const YEAR: Duration = Duration::from_secs(366 * 24 * 60 * 60);
    smoltcp::time::Duration::from_micros(duration.min(YEAR).as_micros() as u64)
}
