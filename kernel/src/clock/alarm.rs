//! What the machine's one timer is set to and why: the bookkeeping of `arch::timer`, without the device.
//!
//! A timer reaches only so far: a far deadline takes several settings, one after the other. Those
//! after the first are counted apart, since nothing but the device's short reach is their cause.
//!
//! ```
//! use core::time::Duration;
//! use reactor::time::Instant;
//! use ukernel::clock::alarm::Alarm;
//!
//! let alarm = Alarm::new();
//! let deadline = Instant::ZERO + Duration::from_millis(80);
//! assert!(alarm.is_late_for(deadline));
//! alarm.set(deadline, Instant::from_nanos(55_000_000)); // as far as the device reaches
//! alarm.fired();
//! let continued = alarm.set(deadline, deadline);
//! assert!(continued && alarm.counts().rearms == 1);
//! ```

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use reactor::time::Instant;

/// No deadline.
const NEVER: u64 = u64::MAX;

/// A timer's state. Made of atomics for the timer's interrupt handler, which calls [`Alarm::fired`] and
/// may set the timer; elsewhere interrupts must be off while it is being set.
#[derive(Debug)]
pub struct Alarm {
    /// When it fires, in nanoseconds since boot; [`NEVER`] if it is not set.
    at: AtomicU64,
    /// The deadline of the last setting.
    goal: AtomicU64,
    settings: AtomicU64,
    rearms: AtomicU64,
    fired: AtomicU64,
}

/// What an [`Alarm`] counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AlarmCounts {
    /// How often the timer was set.
    pub settings: u64,
    /// Settings among them for a deadline before which an earlier setting for it had fired.
    pub rearms: u64,
    /// How often it fired.
    pub fired: u64,
}

impl Default for Alarm {
    fn default() -> Alarm {
        Alarm::new()
    }
}

impl Alarm {
    /// A timer that is not set.
    pub const fn new() -> Alarm {
        Alarm {
            at: AtomicU64::new(NEVER),
            goal: AtomicU64::new(NEVER),
            settings: AtomicU64::new(0),
            rearms: AtomicU64::new(0),
            fired: AtomicU64::new(0),
        }
    }

    /// Whether the timer must be set in order to fire at `deadline` or earlier.
    pub fn is_late_for(&self, deadline: Instant) -> bool {
        deadline.as_nanos() < self.at.load(Relaxed)
    }

    /// Notes that the timer was set for `deadline` and fires at `at`, which may be earlier. True if
    /// this is a re-arm: an earlier setting for the same deadline has fired.
    pub fn set(&self, deadline: Instant, at: Instant) -> bool {
        let goal = deadline.as_nanos();
        let rearm = self.at.load(Relaxed) == NEVER && self.goal.load(Relaxed) == goal;
        self.goal.store(goal, Relaxed);
        self.at.store(at.as_nanos(), Relaxed);
        add(&self.settings, 1);
        add(&self.rearms, rearm.into());
        rearm
    }

    /// Notes that it fired.
    pub fn fired(&self) {
        self.at.store(NEVER, Relaxed);
        add(&self.fired, 1);
    }

    /// When it fires, if it is set.
    pub fn at(&self) -> Option<Instant> {
        Some(self.at.load(Relaxed))
            .filter(|&at| at != NEVER)
            .map(Instant::from_nanos)
    }

    /// The counts of this moment.
    pub fn counts(&self) -> AlarmCounts {
        AlarmCounts {
            settings: self.settings.load(Relaxed),
            rearms: self.rearms.load(Relaxed),
            fired: self.fired.load(Relaxed),
        }
    }
}

/// There is one processor and handlers do not interrupt each other, so a load and a store are enough.
fn add(counter: &AtomicU64, count: u64) {
    counter.store(counter.load(Relaxed) + count, Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    const fn millis(millis: u64) -> Instant {
        Instant::from_nanos(millis * 1_000_000)
    }

    /// Sleeps until `deadline` with a timer that reaches `reach`, as `arch::platform` does.
    fn sleep(alarm: &Alarm, now: &mut Instant, deadline: Instant, reach: Duration) {
        while *now < deadline {
            if alarm.is_late_for(deadline) {
                alarm.set(deadline, deadline.min(*now + reach));
            }
            *now = alarm.at().expect("set");
            alarm.fired();
        }
    }

    #[test]
    fn a_far_deadline_takes_one_setting_and_rearms() {
        let (alarm, mut now) = (Alarm::new(), Instant::ZERO);
        sleep(&alarm, &mut now, millis(5_000), Duration::from_millis(55));
        assert_eq!(now, millis(5_000));
        let expected = AlarmCounts {
            settings: 91,
            rearms: 90,
            fired: 91,
        };
        assert_eq!(alarm.counts(), expected);
    }

    #[test]
    fn near_deadlines_are_no_rearms_however_many() {
        let (alarm, mut now) = (Alarm::new(), Instant::ZERO);
        for second in 1..=100 {
            sleep(&alarm, &mut now, millis(second * 1000), Duration::MAX);
        }
        assert_eq!((alarm.counts().settings, alarm.counts().rearms), (100, 0));
    }

    /// The timer is set for what is gone meanwhile, fires, and is set for what is left.
    #[test]
    fn a_setting_that_fired_for_another_deadline_is_no_rearm() {
        let (alarm, mut now) = (Alarm::new(), Instant::ZERO);
        alarm.set(millis(10), millis(10));
        assert!(!alarm.is_late_for(millis(500)), "it fires early enough");
        sleep(&alarm, &mut now, millis(500), Duration::MAX);
        let expected = AlarmCounts {
            settings: 2,
            rearms: 0,
            fired: 2,
        };
        assert_eq!(alarm.counts(), expected);
    }

    /// Set again for the same deadline before it has fired: nearer ones came and went in between.
    #[test]
    fn only_what_has_fired_is_rearmed() {
        let alarm = Alarm::new();
        assert!(!alarm.set(millis(500), millis(55)));
        assert!(!alarm.set(millis(20), millis(20)));
        alarm.fired();
        assert!(!alarm.set(millis(500), millis(75)));
        assert!(!alarm.set(millis(500), millis(70)), "it has not fired");
        alarm.fired();
        assert!(alarm.set(millis(500), millis(125)));
    }
}
