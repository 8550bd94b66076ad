//! Points in time as nanoseconds since boot.
//!
//! Owns the [`Instant`] type that every deadline is made of. Only a
//! [`Platform`](crate::platform::Platform) makes instants from a clock; everything else computes
//! with them. Arithmetic saturates, so that no deadline that a peer or a program asks for can
//! overflow.

pub use core::time::Duration;

use core::ops::{Add, AddAssign, Sub, SubAssign};

/// Nanoseconds since boot; reaches 584 years.
///
/// ```
/// use reactor::time::{Duration, Instant};
/// let deadline = Instant::ZERO + Duration::from_millis(5);
/// assert_eq!(deadline.as_nanos(), 5_000_000);
/// assert_eq!(Instant::ZERO.duration_since(deadline), Duration::ZERO);
/// assert_eq!(deadline + Duration::MAX, Instant::FAR_FUTURE);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// Boot.
    pub const ZERO: Instant = Instant(0);

    /// The last instant there is; where additions saturate. A timer set to it never fires in
    /// practice.
    pub const FAR_FUTURE: Instant = Instant(u64::MAX);

    /// The instant `nanos` nanoseconds after boot.
    pub const fn from_nanos(nanos: u64) -> Instant {
        Instant(nanos)
    }

    /// Nanoseconds since boot.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero if it is not after it.
    pub const fn duration_since(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.nanos_since(earlier))
    }

    /// As [`Instant::duration_since`], without the division that makes a `Duration`.
    pub(crate) const fn nanos_since(self, earlier: Instant) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A span in nanoseconds, saturated at what an [`Instant`] can hold.
pub(crate) const fn saturating_nanos(span: Duration) -> u64 {
    span.as_secs()
        .saturating_mul(1_000_000_000)
        .saturating_add(span.subsec_nanos() as u64)
}

impl Add<Duration> for Instant {
    type Output = Instant;
    /// Saturates at [`Instant::FAR_FUTURE`].
    fn add(self, span: Duration) -> Instant {
        Instant(self.0.saturating_add(saturating_nanos(span)))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, span: Duration) {
        *self = *self + span;
    }
}

impl Sub<Duration> for Instant {
    type Output = Instant;
    /// Saturates at [`Instant::ZERO`].
    fn sub(self, span: Duration) -> Instant {
        Instant(self.0.saturating_sub(saturating_nanos(span)))
    }
}

impl SubAssign<Duration> for Instant {
    fn sub_assign(&mut self, span: Duration) {
        *self = *self - span;
    }
}

impl Sub for Instant {
    type Output = Duration;
    /// As [`Instant::duration_since`]: zero if `earlier` is later.
    fn sub(self, earlier: Instant) -> Duration {
        self.duration_since(earlier)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn additions_saturate_at_both_ends() {
        let late = Instant::from_nanos(u64::MAX - 1);
        assert_eq!(late + Duration::from_nanos(5), Instant::FAR_FUTURE);
        assert_eq!(
            Instant::from_nanos(3) - Duration::from_nanos(5),
            Instant::ZERO
        );
        assert_eq!(Instant::from_nanos(7) + Duration::MAX, Instant::FAR_FUTURE);
    }

    #[test]
    fn spans_beyond_64_bits_saturate() {
        assert_eq!(saturating_nanos(Duration::MAX), u64::MAX);
        assert_eq!(
            saturating_nanos(Duration::new(18_446_744_073, 709_551_615)),
            u64::MAX
        );
        assert_eq!(saturating_nanos(Duration::new(2, 5)), 2_000_000_005);
    }

    #[test]
    fn differences_do_not_go_negative() {
        let (a, b) = (Instant::from_nanos(10), Instant::from_nanos(25));
        assert_eq!(b - a, Duration::from_nanos(15));
        assert_eq!(a - b, Duration::ZERO);
    }
}
