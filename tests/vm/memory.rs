//! Memory: what a machine of any size makes of its RAM, and what happens when there is no more.

use abi::exit::{OUT_OF_MEMORY, SUCCESS};
use bundle_tool::machine::{Accelerator, MachineType, Qemu};
use std::io::Write;
use system_tests::vm::{TestVm, boot, config};
use tempfile::NamedTempFile;

fn guest(mode: &str, mib: u32) -> Qemu {
    let config = config("guest").memory_mib(mib).argument(mode);
    Qemu::with_accelerator(config, Accelerator::Tcg)
}

/// A number behind `name=` on the line that `pattern` is on.
#[track_caller]
fn number(vm: &TestVm, pattern: &str, name: &str) -> u64 {
    let line = vm.expect_line(pattern);
    let value = line.split(name).nth(1).expect("the name is on the line");
    let digits: String = value.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().expect("a number")
}

#[test]
fn an_allocation_that_fails_ends_the_machine_with_a_report() {
    for mode in ["oom", "oom-vec"] {
        let vm = boot(guest(mode, 16));
        vm.expect_line("out of memory: requested=");
        vm.expect_status(OUT_OF_MEMORY);
    }
}

#[test]
fn a_region_that_cannot_be_backed_ends_the_machine_with_a_report() {
    let vm = boot(guest("oom-region", 16));
    vm.expect_line("out of memory while backing a page");
    vm.expect_status(OUT_OF_MEMORY);
}

#[test]
fn an_allocation_that_may_fail_is_an_error_and_nothing_more() {
    let vm = boot(guest("try-oom", 16));
    assert!(number(&vm, "guest: refused", "pieces=") > 20);
    vm.expect_status(SUCCESS);
}

#[test]
fn regions_are_backed_lazily_by_handlers_or_when_asked() {
    let vm = boot(guest("memory", 16));
    vm.expect_line("guest: memory works");
    vm.expect_status(SUCCESS);
}

/// The heap had nearly all frames, and gives them to whoever needs some.
#[test]
fn what_the_heap_frees_backs_regions_and_is_its_own_again() {
    let vm = boot(guest("pass-on", 16));
    assert!(number(&vm, "guest: memory passed on", "pieces=") > 500);
    vm.expect_status(SUCCESS);
}

/// Memory above 4 GiB is used, with large pages of the processor and without.
#[test]
fn all_of_eight_gib_is_used() {
    for cpu in ["max", "qemu64"] {
        let vm = boot(guest("high-memory", 8192).cpu(cpu));
        assert!(number(&vm, "guest: memory used", "mib=") > 7_800);
        vm.expect_status(SUCCESS);
    }
}

#[test]
fn a_machine_of_two_mib_boots() {
    for machine in [MachineType::Microvm, MachineType::Pc] {
        let vm = boot(guest("hello", 2).machine(machine));
        vm.expect_line("guest: hello");
        vm.expect_status(SUCCESS);
    }
}

/// A module is usable where the loader put it: nothing has been allocated over it.
#[test]
fn a_boot_module_is_read_in_place() {
    let mut module = NamedTempFile::new().unwrap();
    let bytes: Vec<u8> = (0..3_000_001_u32).map(|n| (n % 251) as u8).collect();
    module.write_all(&bytes).unwrap();
    let sum: u64 = bytes.iter().map(|&byte| u64::from(byte)).sum();
    let config = config("guest").memory_mib(16).argument("modules");
    let config = config.initrd(module.path());
    let vm = boot(Qemu::with_accelerator(config, Accelerator::Tcg));
    vm.expect_line(&format!(
        "guest: module number=0 bytes={} sum={sum}",
        bytes.len()
    ));
    vm.expect_status(SUCCESS);
}
