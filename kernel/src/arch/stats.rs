//! The machine's figures, for whoever shows what the kernel does.

use super::interrupts::LINE_COUNT;
use super::{interrupts, platform, timer, watchdog};

/// Counts since boot.
#[derive(Clone, Copy, Debug, Default)]
pub struct MachineStats {
    /// Interrupts taken, by line of the controllers; the local timer's are in `timer_fired`.
    pub interrupts: [u64; LINE_COUNT],
    /// Interrupts that had gone away when they were looked at.
    pub spurious: u64,
    /// How often the timer was set.
    pub timer_set: u64,
    /// How often it fired.
    pub timer_fired: u64,
    /// How often the processor slept.
    pub halts: u64,
    /// Sleeps that ended before the nearest deadline with nothing to do, and were gone on with: the
    /// timer reached no further, or had been set for a deadline that is gone.
    pub slept_on: u64,
    /// Polls of tasks that the watchdog reported.
    pub stuck_polls: u64,
}

impl MachineStats {
    /// The counts of this moment. From any context.
    pub fn now() -> MachineStats {
        let (timer_set, timer_fired) = timer::counts();
        let (halts, slept_on) = platform::counts();
        MachineStats {
            interrupts: interrupts::counts(),
            spurious: interrupts::spurious(),
            timer_set,
            timer_fired,
            halts,
            slept_on,
            stuck_polls: watchdog::reports(),
        }
    }
}
