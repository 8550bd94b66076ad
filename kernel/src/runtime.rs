//! From a booted machine to the workload.

use crate::arch::{Machine, line};
use crate::boot::BootInfo;
use crate::{exit, log, panic};
use alloc::sync::Arc;
use reactor::Reactor;
use reactor::task::Priority;

/// Called by the boot code when memory, log and interrupts work. Ends the machine.
pub fn start(boot: BootInfo) -> ! {
    let reactor = Reactor::new(Arc::new(Machine));
    panic::set_current_task(reactor.current_task());
    let sender = log::drain(reactor.irq_event(line::SERIAL_OUTPUT));
    let spawner = reactor.spawner();
    let sender = spawner.task("log").priority(Priority::Low).spawn(sender);
    sender.detach();
    ::log::info!(
        "boot: up protocol={:?} ram={} free={} command_line={:?}",
        boot.protocol,
        boot.memory.ram,
        boot.memory.free,
        boot.command_line
    );
    reactor.block_on(async {});
    exit::exit(abi::exit::SUCCESS)
}
