//! The ways into the kernel: both boot protocols, every board, both accelerators.

use std::time::Duration;

use bundle_tool::machine::{Accelerator, HostSupport, MachineType, Qemu, VmConfig};
use system_tests::guest::guest;
use system_tests::skip::skip;
use system_tests::vm::{boot, boot_within, config};

fn tcg(config: VmConfig) -> Qemu {
    Qemu::with_accelerator(config, Accelerator::Tcg)
}

/// A machine that says how it was entered.
fn debugging(name: &str) -> VmConfig {
    config(name).options("log=debug")
}

#[test]
fn every_board_boots_by_pvh() {
    for machine in [MachineType::Microvm, MachineType::Pc, MachineType::Q35] {
        let vm = boot(tcg(debugging("guest")).machine(machine));
        vm.expect_line("boot: up protocol=Pvh");
        vm.expect_status(0);
    }
}

#[test]
fn the_linux_entry_boots() {
    let config = debugging("linux-entry").initrd(guest("guest"));
    let vm = boot(tcg(config.argument("hello").argument("world")));
    vm.expect_line("boot: up protocol=Linux");
    vm.expect_line("guest: hello arguments=[\"hello\", \"world\"]");
    vm.expect_status(0);
}

/// A processor without the virtualization flags makes KVM emulate each instruction, which takes
/// seconds.
#[test]
fn kvm_boots_wherever_it_opens() {
    let host = HostSupport::detect();
    if let Err(error) = host.kvm {
        return skip(
            "booting under KVM",
            &format!("/dev/kvm does not open: {error}"),
        );
    }
    let accelerator = Accelerator::Kvm {
        hardware: host.hardware,
    };
    let qemu = Qemu::with_accelerator(config("guest"), accelerator);
    boot_within(qemu, Duration::from_secs(120)).expect_status(0);
}
