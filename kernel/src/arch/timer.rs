//! The one timer: set to the nearest deadline, by whichever of three devices the machine has.
//!
//! Setting it costs an exit to the hypervisor. So a timer that is already set to an earlier time is left
//! alone: busy machines move their nearest deadline with every packet, and what is set earlier either is
//! set again then, which is counted, or never fires.

use super::{cpu, lapic, pit, time};
use crate::clock::alarm::{Alarm, AlarmCounts};
use crate::clock::one_shot::{self, Measurement, OneShot};
use core::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use reactor::time::{Duration, Instant};

/// The rate at which the timers of KVM and QEMU count, before it is divided.
const USUAL_BUS_HZ: u64 = 1_000_000_000;

static DEVICE: AtomicU8 = AtomicU8::new(Device::None as u8);
static ALARM: Alarm = Alarm::new();
/// Steps of the one-shot in a second.
static ONE_SHOT_HZ: AtomicU64 = AtomicU64::new(0);
/// Whether that is known exactly.
static ONE_SHOT_EXACT: AtomicU8 = AtomicU8::new(0);
/// When the measurement of a one-shot began, in cycles, and what it came to; no cycles if there was none.
static BEGUN: AtomicU64 = AtomicU64::new(0);
static STEPS: AtomicU32 = AtomicU32::new(0);
static CYCLES: AtomicU64 = AtomicU64::new(0);

/// Which device is the timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Device {
    /// None yet.
    None,
    /// The local controller's, set to a value of the cycle counter.
    TscDeadline,
    /// The local controller's, counting down.
    OneShot,
    /// The PIT's channel 0; far deadlines take many settings.
    Pit,
}

/// Which device is the timer.
pub fn device() -> Device {
    match DEVICE.load(Relaxed) {
        1 => Device::TscDeadline,
        2 => Device::OneShot,
        3 => Device::Pit,
        _ => Device::None,
    }
}

/// How often the timer was set, why, and how often it fired.
pub(super) fn counts() -> AlarmCounts {
    ALARM.counts()
}

/// Takes the timer into use. At boot; `has_lapic` says that `lapic::init` succeeded. For a one-shot,
/// the measurement that [`finish_init`] ends begins.
pub(super) fn init(features: cpu::Features, has_lapic: bool) {
    let device = if !has_lapic {
        Device::Pit
    } else if features.tsc_deadline {
        lapic::use_tsc_deadline();
        Device::TscDeadline
    } else {
        lapic::use_one_shot();
        BEGUN.store(one_shot::begin(&Counters), Relaxed);
        Device::OneShot
    };
    DEVICE.store(device as u8, Relaxed);
}

/// Ends the measurement of a one-shot's rate. The hypervisor's own figure, in `told_hz`, is believed instead.
pub(super) fn finish_init(told_hz: Option<u64>) {
    if device() != Device::OneShot {
        return;
    }
    if let Some(hz) = told_hz {
        ONE_SHOT_HZ.store(hz / lapic::DIVISOR, Relaxed);
        ONE_SHOT_EXACT.store(1, Relaxed);
        return;
    }
    let Measurement { steps, cycles } = Measurement::end(&Counters, BEGUN.load(Relaxed));
    STEPS.store(steps, Relaxed);
    CYCLES.store(cycles, Relaxed);
    learn(time::tsc_hz());
}

/// Works out the rate of a one-shot that was measured: at boot, and when the cycle counter's is better
/// known.
pub(super) fn learn(tsc_hz: u64) {
    let cycles = CYCLES.load(Relaxed);
    if cycles == 0 {
        return;
    }
    let steps = STEPS.load(Relaxed);
    let timer = Measurement { steps, cycles }.timer(tsc_hz, USUAL_BUS_HZ / lapic::DIVISOR);
    ONE_SHOT_EXACT.store(timer.exact.into(), Relaxed);
    ONE_SHOT_HZ.store(timer.hz, Relaxed);
}

/// What is measured.
struct Counters;

impl one_shot::Registers for Counters {
    fn cycles(&self) -> u64 {
        cpu::tsc()
    }

    fn restart(&self) {
        lapic::set_count(u32::MAX);
    }

    fn steps(&self) -> u32 {
        u32::MAX - lapic::count()
    }
}

/// Makes the timer fire at `deadline` or earlier. Interrupts must be off. True if it had fired for this
/// very deadline and too early.
pub(super) fn arm(deadline: Instant, now: Instant) -> bool {
    if !ALARM.is_late_for(deadline) {
        return false;
    }
    let delay = (deadline - now).as_nanos() as u64;
    let covered = match device() {
        Device::TscDeadline => {
            lapic::set_deadline(time::tsc_at(delay));
            delay
        }
        Device::OneShot => start_one_shot(delay),
        Device::Pit | Device::None => {
            pit::start_one_shot(delay);
            delay.min(pit::MAX_ONE_SHOT_NANOS)
        }
    };
    ALARM.set(deadline, now + Duration::from_nanos(covered))
}

/// Counts down from `delay`, or as much of it as the counter holds; answers how much that is.
fn start_one_shot(delay: u64) -> u64 {
    let timer = OneShot {
        hz: ONE_SHOT_HZ.load(Relaxed),
        exact: ONE_SHOT_EXACT.load(Relaxed) != 0,
    };
    let (steps, covered) = timer.count_for(delay);
    lapic::set_count(steps);
    covered
}

/// When the timer fires, if it is set.
pub(super) fn armed() -> Option<Instant> {
    ALARM.at()
}

/// Notes that it fired. From its interrupt handler.
pub(super) fn fired() {
    ALARM.fired();
}
