//! Where random numbers come from: the processor, a virtio-rng device, or nowhere worth the name.

use abi::exit::SUCCESS;
use bundle_tool::machine::{Accelerator, Qemu};
use std::io::Write;
use system_tests::vm::{boot, config};
use tempfile::NamedTempFile;

const WITHOUT_GENERATOR: &str = "max,-rdrand,-rdseed";

/// A machine that says what it draws first. Its clocks count instructions from a fixed date on, so that
/// it is the same in every run but for what comes from outside.
fn guest(cpu: &str) -> Qemu {
    let config = config("guest").memory_mib(16).argument("random");
    Qemu::with_accelerator(config, Accelerator::Tcg)
        .cpu(cpu)
        .extra(["-icount", "shift=0,sleep=off"])
        .extra(["-rtc", "base=2026-01-01T00:00:00,clock=vm"])
}

/// Attaches a device that gives `bytes` and, as often as it is asked, the same again.
fn with_device(qemu: Qemu, bytes: &[u8; 64]) -> (Qemu, NamedTempFile) {
    let mut file = NamedTempFile::new().expect("a temporary file");
    file.write_all(&bytes.repeat(64))
        .expect("a temporary file is writable");
    let source = format!("rng-random,id=source,filename={}", file.path().display());
    let device = [
        "-object",
        &source,
        "-device",
        "virtio-rng-device,rng=source",
    ];
    (qemu.extra(device), file)
}

/// Whether the guest called its source weak, and the word that it drew.
#[track_caller]
fn draw(qemu: Qemu) -> (bool, String) {
    let vm = boot(qemu);
    let line = vm.expect_line("guest: drew word=");
    vm.expect_status(SUCCESS);
    let weak = vm
        .log()
        .text()
        .contains("WARN  entropy: WEAK: no generator");
    let (_, word) = line.rsplit_once('=').expect("a word");
    (weak, word.trim_end().into())
}

#[test]
fn a_machine_without_any_source_says_so_loudly() {
    assert!(draw(guest(WITHOUT_GENERATOR)).0);
}

/// The guest waits a second for a device that takes requests and never answers, and no longer.
#[test]
fn a_device_that_never_answers_is_given_up_after_a_second() {
    let object = "rng-egd,chardev=nobody,id=source";
    let qemu = guest(WITHOUT_GENERATOR).extra(["-chardev", "null,id=nobody", "-object", object]);
    let vm = boot(qemu.extra(["-device", "virtio-rng-device,rng=source"]));
    let line = vm.expect_line("WARN  entropy: WEAK: no generator");
    assert!(line.contains("[    1.0"), "{line}");
    vm.expect_status(SUCCESS);
}

#[test]
fn the_processor_is_enough() {
    let [(weak, first), (_, second)] = [(); 2].map(|()| draw(guest("max")));
    assert!(!weak);
    assert_ne!(first, second, "the processor's numbers are not in it");
}

/// Machines that differ in nothing but the device's bytes draw the same if those are, and else do not.
#[test]
fn the_devices_bytes_reach_the_generator() {
    let run = |bytes: &[u8; 64]| {
        let (qemu, _file) = with_device(guest(WITHOUT_GENERATOR), bytes);
        let (weak, word) = draw(qemu);
        assert!(!weak);
        word
    };
    let [first, again, other] = [[1; 64], [1; 64], [2; 64]].each_ref().map(run);
    assert_eq!(first, again);
    assert_ne!(first, other);
}
