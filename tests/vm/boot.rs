//! The ways into the kernel: both boot protocols, every board, both accelerators.

use std::ops::Range;
use std::time::Duration;

use bundle_tool::machine::{Accelerator, Disk, HostSupport, KvmState, MachineType, Qemu, VmConfig};
use system_tests::demo::{Demo, demo_config};
use system_tests::guest::guest;
use system_tests::image::Image;
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

/// A processor without the virtualization flags makes KVM emulate each instruction: what takes
/// milliseconds elsewhere takes seconds.
const PATIENCE: Duration = Duration::from_secs(120);

/// KVM, be it emulated, or a visible skip.
fn kvm(what: &str) -> Option<Accelerator> {
    let host = HostSupport::detect();
    if host.kvm != KvmState::Works {
        skip(&format!("{what} under KVM"), &host.kvm.to_string());
        return None;
    }
    Some(Accelerator::Kvm {
        hardware: host.hardware,
    })
}

#[test]
fn kvm_boots_wherever_it_opens() {
    let Some(kvm) = kvm("booting") else { return };
    let config = config("guest").argument("timers");
    let vm = boot_within(Qemu::with_accelerator(config, kvm), PATIENCE);
    vm.expect_line("clock=Kvm timer=TscDeadline");
    vm.expect_line("guest: timers work device=TscDeadline");
    vm.expect_status(0);
}

/// The first machine in which an interrupt controller and a timer that are not QEMU's drive devices.
#[test]
fn kvm_serves_the_demo_wherever_it_opens() {
    const PART: Range<usize> = 1000..21_000;
    let Some(kvm) = kvm("the demo") else { return };
    let image = Image::new(64 * 1024, 1);
    let config = demo_config().disk(Disk::new(&image.path).read_only());
    let demo = Demo::on(boot_within(Qemu::with_accelerator(config, kvm), PATIENCE));
    demo.expect_healthy();
    let (offset, length) = (PART.start, PART.len());
    let part = demo.get_ok(&format!("/disk/0?offset={offset}&length={length}"));
    assert!(part.body == image.content[PART], "the disk differs");
    demo.stop_and_expect_success();
}
