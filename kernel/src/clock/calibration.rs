//! Finds the cycle counter's frequency by comparing it, now and then, with a timer of known
//! frequency: the PIT. Nothing waits for it. The comparison begins at boot, and each later one covers more time
//! and so is more exact; after a second the error is far below 500 parts in a million.
//!
//! The PIT counts to 65,536 and begins again, 18 times a second. How often it did is worked out from what
//! is known so far, as long as that leaves no doubt; where it does, the comparison begins anew.

use super::rate::NANOS_PER_SECOND;
use core::time::Duration;

/// Ticks of the PIT in a second (the quotient of historical crystals: 14.31818 MHz / 12).
pub const PIT_HZ: u64 = 1_193_182;
/// Ticks until the PIT begins again.
const WRAP: u64 = 1 << 16;
/// The error in parts per million below which the frequency is taken as known.
const GOAL_PPM: u64 = 100;
/// The least time between the first and the last comparison.
const GOAL_TICKS: u64 = PIT_HZ;
/// No processor's counter is slower; two readings fewer cycles apart than this counter makes in half a
/// turn of the PIT have no turn between them.
const MIN_TSC_HZ: u64 = 400_000_000;
/// Nor faster, but on an emulator that lies; a first estimate beyond that is not believed.
const MAX_TSC_HZ: u64 = 12_000_000_000;
/// The error of an estimate that comes with no figure of its own, in parts per million.
const HINT_PPM: u64 = 50_000;
/// The error of a guess: nothing follows from it.
const UNKNOWN_PPM: u64 = 1_000_000;

/// Both counters, read together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The cycle counter, half way through the reading.
    pub tsc: u64,
    /// What the PIT showed; it counts down.
    pub pit: u16,
    /// How many cycles the reading took: how far apart the two may be.
    pub uncertainty: u64,
}

/// What is known about the cycle counter's frequency.
#[derive(Clone, Copy, Debug)]
pub struct Calibration {
    /// Where the present comparison began.
    anchor: Sample,
    /// Cycles a second, as far as known.
    hz: u64,
    /// How wrong that may be, in parts per million; [`UNKNOWN_PPM`] for a guess.
    error_ppm: u64,
    done: bool,
}

impl Calibration {
    /// Begins to compare. `hint` is a frequency that the processor claims, believed to five per
    /// cent; without one a guess is used until the second sample.
    pub fn new(anchor: Sample, hint: Option<u64>) -> Calibration {
        Calibration {
            anchor,
            hz: hint.unwrap_or(2 * NANOS_PER_SECOND),
            error_ppm: hint.map_or(UNKNOWN_PPM, |_| HINT_PPM),
            done: false,
        }
    }

    /// Cycles a second, as far as known.
    pub fn hz(&self) -> u64 {
        self.hz
    }

    /// How wrong [`Calibration::hz`] may be, in parts per million.
    pub fn error_ppm(&self) -> u64 {
        self.error_ppm
    }

    /// Whether there is nothing more to find out.
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// Whether the comparison began anew between an earlier state and this one.
    pub fn began_anew_since(&self, earlier: &Calibration) -> bool {
        self.anchor != earlier.anchor
    }

    /// How long after the first sample the next one is due: later and later, so that each is worth
    /// its price, and soon enough that the number of the PIT's turns is beyond doubt.
    pub fn next_interval(&self) -> Duration {
        match self.error_ppm {
            20_000.. => Duration::from_millis(5),
            2_000.. => Duration::from_millis(100),
            _ => Duration::from_millis(1_050),
        }
    }

    /// Takes another sample into account. True if [`Calibration::hz`] changed.
    pub fn add(&mut self, sample: Sample) -> bool {
        let cycles = sample.tsc.saturating_sub(self.anchor.tsc);
        if self.done || cycles == 0 {
            return false;
        }
        let Some(ticks) = self.ticks_since_anchor(sample, cycles) else {
            self.anchor = sample;
            return false;
        };
        // What the two readings took, and two ticks for rounding at both ends. If the time between them
        // was that much shorter, the frequency is wrong by that in parts of the shorter time.
        let unsure = self.anchor.uncertainty + sample.uncertainty + scale(cycles, 2, ticks);
        let error_ppm = ppm(unsure, cycles.saturating_sub(unsure));
        let hz = scale(cycles, PIT_HZ, ticks);
        let plausible = (MIN_TSC_HZ..=MAX_TSC_HZ).contains(&hz);
        if ticks == 0 || !plausible || error_ppm >= self.error_ppm {
            return false;
        }
        self.hz = hz;
        self.error_ppm = error_ppm;
        self.done = ticks >= GOAL_TICKS && error_ppm <= GOAL_PPM;
        true
    }

    /// How many ticks the PIT made, or `None` if that is in doubt.
    fn ticks_since_anchor(&self, sample: Sample, cycles: u64) -> Option<u64> {
        let shown = u64::from(self.anchor.pit.wrapping_sub(sample.pit));
        if cycles < scale(MIN_TSC_HZ, WRAP / 2, PIT_HZ) {
            return Some(shown);
        }
        let expected = scale(cycles, PIT_HZ, self.hz);
        let doubt = scale(expected, self.error_ppm, 1_000_000);
        if self.error_ppm >= UNKNOWN_PPM || doubt >= WRAP / 4 {
            return None;
        }
        let turns = (expected + WRAP / 2).saturating_sub(shown) / WRAP;
        Some(turns * WRAP + shown)
    }
}

/// `part` in parts per million of `whole`, rounded up.
fn ppm(part: u64, whole: u64) -> u64 {
    (u128::from(part) * 1_000_000)
        .div_ceil(u128::from(whole.max(1)))
        .try_into()
        .unwrap_or(u64::MAX)
}

/// `value * numerator / denominator`, saturating.
fn scale(value: u64, numerator: u64, denominator: u64) -> u64 {
    (u128::from(value) * u128::from(numerator) / u128::from(denominator.max(1)))
        .try_into()
        .unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A machine whose counter has `hz`, read at `nanos` with the PIT seen `late` nanoseconds later.
    fn sample(hz: u64, nanos: u64, late: u64) -> Sample {
        let ticks = scale(nanos + late, PIT_HZ, NANOS_PER_SECOND);
        Sample {
            tsc: 77 + scale(nanos, hz, NANOS_PER_SECOND),
            pit: (40_000u64.wrapping_sub(ticks)) as u16,
            uncertainty: scale(late.max(2_000), hz, NANOS_PER_SECOND),
        }
    }

    fn error_ppm(calibration: &Calibration, hz: u64) -> u64 {
        ppm(calibration.hz().abs_diff(hz), hz)
    }

    #[test]
    fn is_exact_after_a_second_of_samples_when_they_are_due() {
        for hz in [500_000_000, 1_000_000_000, 2_893_000_000, 5_700_000_000] {
            let mut calibration = Calibration::new(sample(hz, 0, 0), None);
            let mut now = 200_000;
            calibration.add(sample(hz, now, 900));
            let mut samples = 1;
            while !calibration.is_done() {
                now = now.max(calibration.next_interval().as_nanos() as u64);
                calibration.add(sample(hz, now, 900));
                samples += 1;
                assert!(samples < 8);
            }
            assert!(now <= 1_100_000_000);
            assert!(error_ppm(&calibration, hz) < GOAL_PPM);
        }
    }

    #[test]
    fn a_long_silence_begins_anew() {
        let hz = 3_000_000_000;
        let mut calibration = Calibration::new(sample(hz, 0, 0), None);
        calibration.add(sample(hz, 50_000, 1_000));
        let before = calibration.hz();
        let hour = 3_600_000_000_000;
        assert!(!calibration.add(sample(hz, hour, 1_000)));
        assert_eq!(calibration.hz(), before);
        for after in [5_000_000, 100_000_000, 1_050_000_000] {
            calibration.add(sample(hz, hour + after, 1_000));
        }
        assert!(calibration.is_done());
        assert!(error_ppm(&calibration, hz) < GOAL_PPM);
    }

    #[test]
    fn a_first_sample_that_comes_late_is_not_believed() {
        // 60 ms look like 5 ms to a PIT that began again in between.
        let hz = 3_000_000_000;
        let mut calibration = Calibration::new(sample(hz, 0, 0), None);
        assert!(!calibration.add(sample(hz, 60_000_000, 0)));
        calibration.add(sample(hz, 60_300_000, 0));
        assert!(error_ppm(&calibration, hz) < 20_000);
    }

    #[test]
    fn nothing_follows_from_a_guess() {
        // The PIT has just begun again when the first usable sample comes.
        let hz = 450_000_000;
        let mut calibration = Calibration::new(sample(hz, 0, 0), None);
        for (nanos, late) in [(20_000, 3_000), (54_841_615, 83_787), (57_061_003, 4_894)] {
            calibration.add(sample(hz, nanos, late));
        }
        assert!(error_ppm(&calibration, hz) <= calibration.error_ppm());
    }

    #[test]
    fn a_timer_that_stands_still_changes_nothing() {
        let dead = |tsc| Sample {
            tsc,
            pit: 0xffff,
            uncertainty: 1_000,
        };
        let mut calibration = Calibration::new(dead(0), Some(2_400_000_000));
        for tsc in [100_000, 10_000_000, 3_000_000_000] {
            calibration.add(dead(tsc));
            assert!(calibration.hz().abs_diff(2_400_000_000) < 120_000_000);
        }
    }

    proptest! {
        #![proptest_config(crate::property::cases(256))]

        /// Whenever samples come and however they are disturbed: what is claimed about the error holds.
        #[test]
        fn the_error_is_as_claimed(
            hz in 450_000_000u64..6_000_000_000,
            first in 20_000u64..4_000_000,
            steps in prop::collection::vec((1u64..3_000_000_000, 0u64..200_000), 1..12),
        ) {
            let mut calibration = Calibration::new(sample(hz, 0, 0), None);
            let mut now = first;
            calibration.add(sample(hz, now, 3_000));
            for (step, late) in steps {
                now += step;
                calibration.add(sample(hz, now, late));
                if calibration.error_ppm() < UNKNOWN_PPM {
                    prop_assert!(error_ppm(&calibration, hz) <= calibration.error_ppm());
                }
            }
        }
    }
}
