//! What is announced to the kernel, and what becomes of it: devices without a driver, devices that are not
//! there or cannot be, and several of a kind. None of them keeps the machine from its work.

use abi::exit::SUCCESS;
use bundle_tool::machine::{Accelerator, Forward, Nic, Qemu, VmConfig};
use std::io::Read;
use system_tests::client::connect;
use system_tests::vm::{TestVm, boot, config};

/// Where QEMU has the window of the first device.
const FIRST_WINDOW: &str = "0xfeb00e00";

fn tcg(config: VmConfig) -> Qemu {
    Qemu::with_accelerator(config.memory_mib(16), Accelerator::Tcg)
}

/// Boots with a few words on the command line before QEMU's own announcements.
fn announced(words: &str) -> TestVm {
    boot(tcg(config("guest").options(words)))
}

/// The whole of a line behind its time.
#[track_caller]
fn message(vm: &TestVm, pattern: &str) -> String {
    let line = vm.expect_line(pattern);
    line.split_once("] ").expect("a time").1.trim_end().into()
}

#[test]
fn a_device_without_a_driver_is_named() {
    let vm = boot(tcg(config("guest")).extra(["-device", "virtio-balloon-device"]));
    let expected = format!("INFO  virtio: no driver base={FIRST_WINDOW} kind=Other(5)");
    assert_eq!(message(&vm, "no driver"), expected);
    vm.expect_line("guest: hello");
    vm.expect_status(SUCCESS);
}

#[test]
fn a_device_that_cannot_be_used_is_named_with_the_reason() {
    for (announcement, problem) in [
        (
            "512@0xd0000000:9",
            "base=0xd0000000 irq=9 problem=\"no virtio magic but 0x00000000\"",
        ),
        (
            "512@0x200000:9",
            "base=0x200000 irq=9 problem=\"registers not mapped: IsRam\"",
        ),
    ] {
        let vm = announced(&format!("virtio_mmio.device={announcement}"));
        let expected = format!("WARN  virtio: device ignored {problem}");
        assert_eq!(message(&vm, "device ignored"), expected);
        vm.expect_line("guest: hello");
        vm.expect_status(SUCCESS);
    }
}

/// A real device whose line is the serial port's cannot interrupt, and one that has been announced is not
/// announced again.
#[test]
fn a_device_whose_line_is_taken_is_ignored() {
    let config = config("guest").entropy();
    let config = config.options(&format!("virtio_mmio.device=512@{FIRST_WINDOW}:4"));
    let vm = boot(tcg(config));
    let problem = "irq=4 problem=\"interrupt not available: Reserved\"";
    let expected = format!("WARN  virtio: device ignored base={FIRST_WINDOW} {problem}");
    assert_eq!(message(&vm, "device ignored"), expected);
    let refused = message(&vm, "device refused");
    assert!(
        refused.contains(FIRST_WINDOW) && refused.contains("overlaps"),
        "{refused}"
    );
    vm.expect_line("guest: hello");
    vm.expect_status(SUCCESS);
}

#[test]
fn a_malformed_announcement_is_named_with_the_reason() {
    for (announcement, reason) in [
        ("x", "not <size>@<base>:<line>"),
        (
            "512@0xd0000000:40",
            "interrupt line above 15 never reaches the 8259",
        ),
        (
            "512@0xd0000000:2",
            "interrupt line belongs to the timer or the second 8259",
        ),
        (
            "16@0xd0000000:9",
            "register window has an impossible size or address",
        ),
    ] {
        let vm = announced(&format!("virtio_mmio.device={announcement}"));
        let expected =
            format!("WARN  virtio: device refused device={announcement} reason=\"{reason}\"");
        assert_eq!(message(&vm, "device refused"), expected);
        vm.expect_line("guest: hello");
        vm.expect_status(SUCCESS);
    }
}

/// QEMU's first window, which the first device is not in.
#[test]
fn a_window_without_a_device_is_a_detail() {
    let empty = "virtio_mmio.device=512@0xfeb00000:5";
    let vm = announced(&format!("log=debug {empty}"));
    let expected = "DEBUG virtio: nothing there base=0xfeb00000 target=ukernel::devices";
    assert_eq!(message(&vm, "nothing there"), expected);
    vm.expect_status(SUCCESS);
    drop(vm); // a test that held one machine and waited for a second could wait for ever
    let quiet = announced(empty);
    quiet.expect_status(SUCCESS);
    assert!(!quiet.log().text().contains("virtio:"), "it is no news");
}

/// A legacy device, as QEMU has them unless told otherwise.
#[test]
fn a_legacy_device_is_ignored_with_the_remedy() {
    let legacy = ["-global", "virtio-mmio.force-legacy=true"];
    let vm = boot(tcg(config("guest").entropy()).extra(legacy));
    assert!(message(&vm, "device ignored").contains("force-legacy=false"));
    vm.expect_status(SUCCESS);
}

/// Two interfaces, each on a network of its own, serve at the same time: a port leads through one of them
/// only.
#[test]
fn two_networks_serve_side_by_side() {
    let nic = |port| Nic::user([Forward::tcp(0, port)]);
    let config = config("guest").argument("networks");
    let vm = boot(tcg(config.nic(nic(1000)).nic(nic(1001))));
    vm.expect_line("guest: listening network=0");
    vm.expect_line("guest: listening network=1");
    let ask = |port| connect(vm.forwarded(port).expect("forwarded")).expect("connects");
    let mut asked = [1000, 1001].map(ask);
    for (number, stream) in asked.iter_mut().enumerate().rev() {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, format!("network {number}"));
    }
    vm.stop_and_expect_success();
}
