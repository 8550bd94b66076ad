//! Gathers the machine's figures, for whoever shows what the kernel does.

use super::{interrupts, platform, timer, watchdog};
use crate::stats::MachineStats;

/// The counts of this moment. From any context.
pub fn now() -> MachineStats {
    let timer = timer::counts();
    let (halts, slept_on) = platform::counts();
    MachineStats {
        interrupts: interrupts::counts(),
        spurious: interrupts::spurious(),
        timer_settings: timer.settings,
        timer_rearms: timer.rearms,
        timer_fired: timer.fired,
        halts,
        slept_on,
        stuck_polls: watchdog::reports(),
    }
}
