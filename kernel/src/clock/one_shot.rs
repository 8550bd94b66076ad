//! A timer that counts down 32 bits: how far it is set, and how its rate is found.
//!
//! ```
//! use ukernel::clock::one_shot::OneShot;
//!
//! let timer = OneShot { hz: 62_500_000, exact: true };
//! assert_eq!(timer.count_for(1_600), (101, 1_616)); // a step more than too early
//! ```

use super::rate::{Rate, measured_hz};

/// How much earlier a timer stops whose rate is only measured: one part in so many.
const CAUTION: u64 = 16;
/// How near a measured rate must be to the usual one to be taken for that, in parts of it.
const TOLERANCE: u64 = 8;
/// How often a reading is repeated that took suspiciously long: the hypervisor did something else
/// in between.
const MAX_READINGS: usize = 3;
/// Cycles that a reading may take without being repeated, about 10 µs.
const QUICK: u64 = 30_000;

/// Such a timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OneShot {
    /// Steps in a second.
    pub hz: u64,
    /// Whether that is known exactly.
    pub exact: bool,
}

/// The timer's register, and the cycle counter beside it.
pub trait Registers {
    /// The cycle counter.
    fn cycles(&self) -> u64;
    /// Begins to count, from the highest count.
    fn restart(&self);
    /// How many steps were counted since.
    fn steps(&self) -> u32;
}

/// Steps, and cycles in which they were counted: as many or more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measurement {
    /// Steps that were counted.
    pub steps: u32,
    /// Cycles from before the first to after the last.
    pub cycles: u64,
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

/// Begins a measurement; answers the cycle counter's value from before it.
pub fn begin(registers: &impl Registers) -> u64 {
    let begin = || {
        let before = registers.cycles();
        registers.restart();
        (before, registers.cycles() - before)
    };
    let mut begun = begin();
    for _ in 1..MAX_READINGS {
        if begun.1 <= QUICK {
            break;
        }
        begun = begin();
    }
    begun.0
}

impl Measurement {
    /// Ends a measurement. A machine may stand still between any two instructions, while the timer counts
    /// on: so the cycles are read last, and the rate that follows can be too low, which costs settings, but
    /// not too high, which would make every deadline late.
    pub fn end(registers: &impl Registers, begun: u64) -> Measurement {
        let read = || {
            let before = registers.cycles();
            let steps = registers.steps();
            let after = registers.cycles();
            let measurement = Measurement {
                steps,
                cycles: after - begun,
            };
            (measurement, after - before)
        };
        let mut best = read();
        for _ in 1..MAX_READINGS {
            if best.1 <= QUICK {
                break;
            }
            let again = read();
            if again.1 < best.1 {
                best = again;
            }
        }
        best.0
    }

    /// The timer, as far as it is known where the cycle counter has `cycle_hz`. Near `usual_hz` it is taken
    /// for exactly that.
    pub fn timer(self, cycle_hz: u64, usual_hz: u64) -> OneShot {
        let nanos = Rate::from_hz(cycle_hz).nanos(self.cycles);
        let hz = measured_hz(self.steps.into(), nanos);
        let exact = hz.abs_diff(usual_hz) < usual_hz / TOLERANCE;
        OneShot {
            hz: if exact { usual_hz } else { hz },
            exact,
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::cell::Cell;

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

    /// Both counters of a machine of 2 GHz, on which a look at either takes a microsecond, and which stands
    /// still before some of the looks.
    struct Interrupted {
        nanos: Cell<u64>,
        restarted: Cell<u64>,
        looks: Cell<u32>,
        /// A bit for each look.
        still: u32,
    }

    const CYCLE_HZ: u64 = 2_000_000_000;
    const STANDSTILL: u64 = 50_000_000;

    impl Interrupted {
        fn look(&self) -> u64 {
            let still = self.still >> self.looks.get() & 1;
            self.looks.set(self.looks.get() + 1);
            let nanos = 1_000 + u64::from(still) * STANDSTILL;
            self.nanos.set(self.nanos.get() + nanos);
            self.nanos.get()
        }
    }

    impl Registers for Interrupted {
        fn cycles(&self) -> u64 {
            self.look() * 2
        }

        fn restart(&self) {
            self.restarted.set(self.look());
        }

        fn steps(&self) -> u32 {
            ((self.look() - self.restarted.get()) / 16) as u32
        }
    }

    /// The rate that is measured within a millisecond, in steps a second.
    fn measured(still: u32) -> u64 {
        let registers = Interrupted {
            nanos: Cell::new(0),
            restarted: Cell::new(0),
            looks: Cell::new(0),
            still,
        };
        let begun = begin(&registers);
        registers.nanos.set(registers.nanos.get() + 1_000_000);
        let measurement = Measurement::end(&registers, begun);
        measurement.timer(CYCLE_HZ, 1).hz
    }

    #[test]
    fn a_machine_that_stands_still_measures_the_rate_all_the_same() {
        for look in 0..20 {
            let hz = measured(1 << look);
            assert!(hz > LOCAL.hz / 100 * 99, "{hz} when still at {look}");
        }
    }

    #[test]
    fn a_rate_is_never_too_high_however_often_the_machine_stands_still() {
        let looks = if cfg!(miri) { 6 } else { 14 };
        for still in 0..1 << looks {
            let hz = measured(still);
            assert!(hz <= LOCAL.hz, "late: {hz} when still at {still:#b}");
        }
    }

    #[test]
    fn what_is_nearly_usual_is_exactly_that() {
        let timer = |steps| {
            let cycles = CYCLE_HZ / 1000;
            Measurement { steps, cycles }.timer(CYCLE_HZ, LOCAL.hz)
        };
        assert_eq!(timer(62_000), LOCAL);
        let unusual = OneShot {
            hz: 50_000_000,
            exact: false,
        };
        assert_eq!(timer(50_000), unusual);
    }
}
