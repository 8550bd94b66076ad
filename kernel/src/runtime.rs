//! From a booted machine to the workload.

use crate::boot::BootInfo;
use crate::exit;

/// Called by the boot code when memory, log and interrupts work. Ends the machine.
pub fn start(boot: BootInfo) -> ! {
    ::log::info!(
        "boot: up protocol={:?} ram={} free={} command_line={:?}",
        boot.protocol,
        boot.memory.ram,
        boot.memory.free,
        boot.command_line
    );
    exit::exit(abi::exit::SUCCESS)
}
