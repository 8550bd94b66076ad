//! Interrupts that had gone away when the processor asked for them.

use abi::exit::SUCCESS;
use bundle_tool::machine::{Accelerator, Qemu};
use system_tests::vm::{boot, config};

/// The guest makes one on each controller, and checks that it is counted, that nothing is ended which
/// goes on, and that the lines work before and after. Its timer is the local controller's, and the first
/// controller's where there is none.
#[test]
fn spurious_interrupts_are_counted_and_nothing_else() {
    for cpu in ["max", "max,-apic"] {
        let config = config("guest").memory_mib(16).argument("spurious");
        let ports = [(0x2f8, 7), (0x2e8, 10), (0x3e8, 15)]
            .map(|(base, line)| format!("isa-serial,iobase={base:#x},irq={line}"));
        let [a, b, c] = ports.each_ref().map(String::as_str);
        let qemu = Qemu::with_accelerator(config, Accelerator::Tcg).cpu(cpu);
        let vm = boot(qemu.extra(["-device", a, "-device", b, "-device", c]));
        vm.expect_line("guest: interrupts work spurious=2");
        vm.expect_status(SUCCESS);
    }
}
