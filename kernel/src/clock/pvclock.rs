//! kvm-clock: the hypervisor keeps a small structure up to date from which the time follows
//! (Linux, Documentation/virt/kvm/x86/msr.rst, MSR_KVM_SYSTEM_TIME_NEW and MSR_KVM_WALL_CLOCK_NEW).
//!
//! The hypervisor writes while the guest is stopped, but a guest may be stopped anywhere: it reads
//! until the version was even and the same before and after.

use super::rate::NANOS_PER_SECOND;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// How often a reading is tried. A second try is rare, since the hypervisor updates the structure a few
/// times a second.
const MAX_TRIES: u32 = 16;

/// The structure as the hypervisor writes it. Its address must be a multiple of 4, and it must not cross a page.
#[derive(Debug, Default)]
#[repr(C, align(32))]
pub struct SystemTime {
    version: AtomicU32,
    padding: AtomicU32,
    tsc_timestamp: AtomicU64,
    system_time: AtomicU64,
    tsc_to_system_mul: AtomicU32,
    /// `tsc_shift` (a signed byte), then flags.
    shift_and_flags: AtomicU32,
}

/// One consistent reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    tsc_timestamp: u64,
    system_time: u64,
    mul: u32,
    shift: i8,
}

impl SystemTime {
    /// A structure that the hypervisor has not written yet.
    pub const fn new() -> SystemTime {
        SystemTime {
            version: AtomicU32::new(0),
            padding: AtomicU32::new(0),
            tsc_timestamp: AtomicU64::new(0),
            system_time: AtomicU64::new(0),
            tsc_to_system_mul: AtomicU32::new(0),
            shift_and_flags: AtomicU32::new(0),
        }
    }

    /// Reads it. `None` where the hypervisor has written nothing, or writes all the time.
    pub fn read(&self) -> Option<Reading> {
        for _ in 0..MAX_TRIES {
            let before = self.version.load(Ordering::Acquire);
            let reading = Reading {
                tsc_timestamp: self.tsc_timestamp.load(Ordering::Relaxed),
                system_time: self.system_time.load(Ordering::Relaxed),
                mul: self.tsc_to_system_mul.load(Ordering::Relaxed),
                shift: self.shift_and_flags.load(Ordering::Relaxed) as u8 as i8,
            };
            fence(Ordering::Acquire);
            let after = self.version.load(Ordering::Relaxed);
            if before == after && before.is_multiple_of(2) {
                return (reading.mul != 0).then_some(reading);
            }
        }
        None
    }
}

impl Reading {
    /// Nanoseconds since the hypervisor's zero, when the cycle counter shows `tsc`.
    pub fn nanos(&self, tsc: u64) -> u64 {
        let ticks = u128::from(tsc.saturating_sub(self.tsc_timestamp));
        let shifted = if self.shift >= 0 {
            ticks << self.shift.min(32)
        } else {
            ticks >> self.shift.unsigned_abs().min(32)
        };
        let nanos = (shifted * u128::from(self.mul)) >> 32;
        self.system_time
            .saturating_add(nanos.try_into().unwrap_or(u64::MAX))
    }

    /// The cycle counter's frequency that the hypervisor counts with.
    pub fn tsc_hz(&self) -> u64 {
        let hz = (u128::from(NANOS_PER_SECOND) << 32) / u128::from(self.mul);
        let hz = if self.shift >= 0 {
            hz >> self.shift.min(32)
        } else {
            hz << self.shift.unsigned_abs().min(32)
        };
        hz.try_into().unwrap_or(u64::MAX)
    }
}

/// The wall clock's structure: the time at the hypervisor's zero.
#[derive(Debug, Default)]
#[repr(C, align(4))]
pub struct WallClock {
    version: AtomicU32,
    seconds: AtomicU32,
    nanos: AtomicU32,
}

impl WallClock {
    /// A structure that the hypervisor has not written yet.
    pub const fn new() -> WallClock {
        WallClock {
            version: AtomicU32::new(0),
            seconds: AtomicU32::new(0),
            nanos: AtomicU32::new(0),
        }
    }

    /// Nanoseconds between 1970 and the hypervisor's zero. `None` where it has written nothing.
    pub fn read(&self) -> Option<u64> {
        // Written once, on request, before the request returns: nothing changes under the reader.
        let seconds = u64::from(self.seconds.load(Ordering::Acquire));
        let nanos = u64::from(self.nanos.load(Ordering::Relaxed));
        (seconds != 0).then_some(seconds * NANOS_PER_SECOND + nanos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn structure(mul: u32, shift: i8) -> SystemTime {
        SystemTime {
            version: AtomicU32::new(4),
            tsc_timestamp: AtomicU64::new(1_000),
            system_time: AtomicU64::new(5_000),
            tsc_to_system_mul: AtomicU32::new(mul),
            shift_and_flags: AtomicU32::new(u32::from(shift as u8) | 0x100),
            ..SystemTime::new()
        }
    }

    #[test]
    fn follows_the_hypervisors_formula() {
        // 2 GHz: half a nanosecond a tick.
        let reading = structure(1 << 31, 0).read().unwrap();
        assert_eq!(reading.nanos(1_000), 5_000);
        assert_eq!(reading.nanos(3_000), 6_000);
        assert_eq!(reading.tsc_hz(), 2_000_000_000);
        // The same, as a factor that was shifted.
        let reading = structure(1 << 31, -1).read().unwrap();
        assert_eq!(reading.nanos(5_000), 6_000);
        assert_eq!(reading.tsc_hz(), 4_000_000_000);
        let reading = structure(1 << 31, 1).read().unwrap();
        assert_eq!(reading.nanos(2_000), 6_000);
        assert_eq!(reading.tsc_hz(), 1_000_000_000);
    }

    #[test]
    fn a_counter_before_the_timestamp_does_not_turn_time_back() {
        let reading = structure(1 << 31, 0).read().unwrap();
        assert_eq!(reading.nanos(0), 5_000);
    }

    #[test]
    fn nothing_is_read_from_what_nobody_wrote_or_always_writes() {
        assert_eq!(SystemTime::new().read(), None);
        let busy = structure(1 << 31, 0);
        busy.version.store(5, Ordering::Relaxed);
        assert_eq!(busy.read(), None);
        assert_eq!(WallClock::new().read(), None);
    }

    #[test]
    fn nonsense_saturates() {
        for shift in [i8::MIN, -40, 40, i8::MAX] {
            let reading = structure(u32::MAX, shift).read().unwrap();
            assert!(reading.nanos(u64::MAX) >= 5_000);
            reading.tsc_hz();
        }
    }

    #[test]
    fn wall_time_is_nanoseconds_since_1970() {
        let wall = WallClock {
            version: AtomicU32::new(2),
            seconds: AtomicU32::new(1_700_000_000),
            nanos: AtomicU32::new(7),
        };
        assert_eq!(wall.read(), Some(1_700_000_000_000_000_007));
    }
}
