//! How far a timer is set that counts down 32 bits.
//!
//! ```
//! use ukernel::clock::one_shot::OneShot;
//!
//! let timer = OneShot { hz: 62_500_000, exact: true };
//! assert_eq!(timer.count_for(1_600), (101, 1_616)); // a step more than too early
//! ```

use super::rate::Rate;

/// How much earlier a timer stops whose rate is only measured: one part in so many.
const CAUTION: u64 = 16;

/// Such a timer.
#[derive(Clone, Copy, Debug)]
pub struct OneShot {
    /// Steps in a second.
    pub hz: u64,
    /// Whether that is known exactly.
    pub exact: bool,
}

impl OneShot {
    /// The count to start from in order to wait `nanos` nanoseconds, or as many as the counter holds,
    /// and how many those are. With a rate that was only measured it stops a little early, to be set
    /// again, rather than late.
    pub fn count_for(self, nanos: u64) -> (u32, u64) {
        let rate = Rate::from_hz(self.hz);
        let cautious = if self.exact {
            nanos
        } else {
            nanos - nanos / CAUTION
        };
        let steps = rate.ticks(cautious).saturating_add(1);
        let steps = u32::try_from(steps).unwrap_or(u32::MAX);
        (steps, rate.nanos(steps.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps of 16 ns, as the local controller's at 1 GHz.
    const LOCAL: OneShot = OneShot {
        hz: 62_500_000,
        exact: true,
    };

    #[test]
    fn is_never_early_and_at_most_two_steps_late_within_its_reach() {
        for nanos in [0, 1, 15, 16, 17, 1_000_000, 60_000_000_000] {
            let (steps, covered) = LOCAL.count_for(nanos);
            assert!(
                (nanos..=nanos + 32).contains(&covered),
                "{nanos}: {covered}"
            );
            assert_eq!(u64::from(steps) * 16, covered, "{nanos}");
        }
    }

    #[test]
    fn reaches_as_far_as_it_counts_and_says_so() {
        let reach = u64::from(u32::MAX) * 16;
        for nanos in [reach + 1, 1 << 60, u64::MAX] {
            assert_eq!(LOCAL.count_for(nanos), (u32::MAX, reach));
        }
    }

    #[test]
    fn stops_early_where_the_rate_is_a_guess() {
        let guessed = OneShot {
            exact: false,
            ..LOCAL
        };
        let (_, covered) = guessed.count_for(1_600_000);
        assert!((1_500_000..1_500_032).contains(&covered), "{covered}");
    }
}
