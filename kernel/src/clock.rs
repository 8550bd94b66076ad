//! Time: nanoseconds since boot from the best counter there is, and the date where somebody tells it.
//!
//! The arithmetic is here and tested on a host; `arch::time` finds out which counters a machine has
//! and reads them with it. Time never goes back.

pub mod alarm;
pub mod calibration;
pub mod one_shot;
pub mod pvclock;
pub mod rate;
pub mod rtc;

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use rate::Rate;

/// A counter whose rate may be corrected as it becomes better known, without a jump in time: at a
/// correction the time so far is kept, and only its further course changes.
#[derive(Debug, Default)]
pub struct CounterClock {
    base_ticks: AtomicU64,
    base_nanos: AtomicU64,
    /// Nanoseconds per tick, with 32 fraction bits.
    factor: AtomicU64,
}

impl CounterClock {
    /// A clock that stands at zero.
    pub const fn new() -> CounterClock {
        CounterClock {
            base_ticks: AtomicU64::new(0),
            base_nanos: AtomicU64::new(0),
            factor: AtomicU64::new(0),
        }
    }

    /// Starts it: time is zero when the counter shows `zero`.
    pub fn start(&self, zero: u64, rate: Rate) {
        self.base_ticks.store(zero, Relaxed);
        self.base_nanos.store(0, Relaxed);
        self.factor.store(rate.nanos_per_tick(), Relaxed);
    }

    /// From now on, when the counter shows `ticks`, it counts at `rate`. The three fields change one by
    /// one: the caller keeps interrupt handlers that read the clock away.
    pub fn correct(&self, ticks: u64, rate: Rate) {
        let nanos = self.nanos(ticks);
        self.base_ticks.store(ticks, Relaxed);
        self.base_nanos.store(nanos, Relaxed);
        self.factor.store(rate.nanos_per_tick(), Relaxed);
    }

    /// Nanoseconds since the start, when the counter shows `ticks`.
    pub fn nanos(&self, ticks: u64) -> u64 {
        let elapsed = ticks.saturating_sub(self.base_ticks.load(Relaxed));
        let product = u128::from(elapsed) * u128::from(self.factor.load(Relaxed));
        let nanos = (product >> 32).try_into().unwrap_or(u64::MAX);
        self.base_nanos.load(Relaxed).saturating_add(nanos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn stands_still_until_it_is_started() {
        let clock = CounterClock::new();
        assert_eq!(clock.nanos(1 << 60), 0);
        clock.start(1_000, Rate::from_hz(2_000_000_000));
        assert_eq!(clock.nanos(1_000), 0);
        assert_eq!(clock.nanos(3_000), 1_000);
        assert_eq!(clock.nanos(0), 0);
    }

    proptest! {
        #![proptest_config(crate::property::cases(256))]

        /// Corrections neither turn time back nor make it jump.
        #[test]
        fn time_goes_on_through_corrections(steps in prop::collection::vec((1u64..1 << 40, 400_000_000u64..8_000_000_000), 1..20)) {
            let clock = CounterClock::new();
            clock.start(0, Rate::from_hz(1_000_000_000));
            let (mut ticks, mut last) = (0, 0);
            for (step, hz) in steps {
                ticks += step;
                let before = clock.nanos(ticks);
                prop_assert!(before >= last);
                clock.correct(ticks, Rate::from_hz(hz));
                prop_assert_eq!(clock.nanos(ticks), before);
                last = before;
            }
        }
    }
}
