//! A counter's frequency, as the two factors that convert between its ticks and nanoseconds.
//!
//! ```
//! use ukernel::clock::rate::Rate;
//!
//! let rate = Rate::from_hz(2_000_000_000);
//! assert_eq!(rate.nanos(2_000), 1_000);
//! assert_eq!(rate.ticks(1_000), 2_000);
//! ```

/// Nanoseconds in a second.
pub const NANOS_PER_SECOND: u64 = 1_000_000_000;
/// The slowest counter that is represented; with it, `nanos` covers 4 seconds a call.
pub const MIN_HZ: u64 = 1_000;
/// The fastest counter that is represented.
pub const MAX_HZ: u64 = 16_000_000_000;

/// Fraction bits of `nanos_per_tick`.
const NANOS_SHIFT: u32 = 32;
/// Fraction bits of `ticks_per_nano`: as many as fit with the fastest counter.
const TICKS_SHIFT: u32 = 30;

/// How fast a counter counts. Converting costs a multiplication and loses less than one part in
/// 200 million for counters of 20 MHz and more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    nanos_per_tick: u64,
    ticks_per_nano: u64,
}

impl Rate {
    /// The rate of a counter of `hz` ticks a second, taken into [`MIN_HZ`]`..=`[`MAX_HZ`].
    pub const fn from_hz(hz: u64) -> Rate {
        let hz = if hz < MIN_HZ {
            MIN_HZ
        } else if hz > MAX_HZ {
            MAX_HZ
        } else {
            hz
        };
        Rate {
            nanos_per_tick: (NANOS_PER_SECOND << NANOS_SHIFT) / hz,
            ticks_per_nano: (hz << TICKS_SHIFT) / NANOS_PER_SECOND,
        }
    }

    /// How many nanoseconds `ticks` take, rounded down; saturates.
    pub const fn nanos(self, ticks: u64) -> u64 {
        saturate((ticks as u128 * self.nanos_per_tick as u128) >> NANOS_SHIFT)
    }

    /// How many ticks there are in `nanos`, rounded down; saturates.
    pub const fn ticks(self, nanos: u64) -> u64 {
        saturate((nanos as u128 * self.ticks_per_nano as u128) >> TICKS_SHIFT)
    }

    /// The factor behind [`Rate::nanos`], with 32 fraction bits.
    pub const fn nanos_per_tick(self) -> u64 {
        self.nanos_per_tick
    }
}

/// The frequency of a counter that counted `ticks` in `nanos` nanoseconds, however long that was;
/// saturates.
pub const fn measured_hz(ticks: u64, nanos: u64) -> u64 {
    let nanos = if nanos == 0 { 1 } else { nanos };
    saturate(ticks as u128 * NANOS_PER_SECOND as u128 / nanos as u128)
}

const fn saturate(value: u128) -> u64 {
    if value > u64::MAX as u128 {
        u64::MAX
    } else {
        value as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn impossible_frequencies_are_taken_into_range() {
        assert_eq!(Rate::from_hz(0), Rate::from_hz(MIN_HZ));
        assert_eq!(Rate::from_hz(u64::MAX), Rate::from_hz(MAX_HZ));
        assert_eq!(Rate::from_hz(MIN_HZ).nanos(u64::MAX), u64::MAX);
        assert_eq!(Rate::from_hz(MAX_HZ).ticks(u64::MAX), u64::MAX);
    }

    /// A host may let a second pass, or a minute, between two instructions of a boot.
    #[test]
    fn a_measurement_may_take_any_time() {
        for seconds in [1, 20, 100_000] {
            let measured = measured_hz(seconds * MAX_HZ, seconds * NANOS_PER_SECOND);
            assert_eq!(measured, MAX_HZ);
        }
        assert_eq!(measured_hz(u64::MAX, 0), u64::MAX);
        assert_eq!(measured_hz(0, u64::MAX), 0);
    }

    proptest! {
        #![proptest_config(crate::property::cases(256))]

        #[test]
        fn converts_within_ten_parts_in_a_billion(hz in 20_000_000u64..MAX_HZ, ticks in 1_000_000_000u64..1 << 57) {
            let rate = Rate::from_hz(hz);
            let exact = ticks as f64 * 1e9 / hz as f64;
            let error = (rate.nanos(ticks) as f64 - exact).abs() / exact;
            prop_assert!(error < 10e-9, "{error}");
            let back = rate.ticks(rate.nanos(ticks)) as f64;
            prop_assert!((back - ticks as f64).abs() / (ticks as f64) < 60e-9);
        }
    }
}
