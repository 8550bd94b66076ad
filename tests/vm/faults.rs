//! How a program goes wrong and what is said about it: panics, exceptions, stack overflows. Each ends
//! the machine with a report and a status of its own.

use abi::exit::{EXCEPTION, FAILURE, PANIC};
use bundle_tool::machine::{Accelerator, Qemu};
use system_tests::vm::{TestVm, boot, config};

/// Boots the test guest in a mode, and waits until it has ended with `status`.
#[track_caller]
fn run(mode: &str, status: u8) -> TestVm {
    let config = config("guest").memory_mib(16).argument(mode);
    let vm = boot(Qemu::with_accelerator(config, Accelerator::Tcg));
    vm.expect_status(status);
    vm
}

#[test]
fn a_panic_says_what_where_and_in_which_task() {
    let vm = run("panic-task", PANIC);
    vm.expect_in_log(&[
        "panic: guest: panicking on purpose, answer=42",
        "location=tests/guest/src/faults.rs:",
        "task=unlucky ",
    ]);
    vm.expect_frame("panic_in_task");
}

#[test]
fn a_message_cannot_forge_the_exit_record() {
    let vm = run("panic-multiline", PANIC);
    vm.expect_in_log(&["panic: first line\n  ukernel: exit status=0\n  last line\n"]);
}

/// The message faults while it is written: that is said, and the status is that of the fault.
#[test]
fn a_fault_in_a_report_ends_the_machine() {
    let vm = run("panic-twice", EXCEPTION);
    vm.expect_in_log(&["panic: another fault while reporting"]);
}

#[test]
fn an_error_of_main_is_a_failure() {
    let vm = run("error", FAILURE);
    vm.expect_in_log(&["guest: failing on purpose"]);
}

#[test]
fn an_overflow_is_called_one() {
    for (mode, function) in [
        ("overflow", "recurse"),
        ("overflow-task", "recurse"),
        ("overflow-stack", "recurse_for_ever"),
    ] {
        let vm = run(mode, EXCEPTION);
        vm.expect_in_log(&["exception: stack overflow"]);
        vm.expect_frame(function);
    }
}

#[test]
fn a_null_pointer_is_called_one() {
    for (mode, details) in [
        ("null", "cr2=0x8\n"),
        ("call-null", "rip=0x0000000000000000"),
    ] {
        let vm = run(mode, EXCEPTION);
        vm.expect_in_log(&["exception: null pointer", "task=main ", details]);
        vm.expect_frame("main");
    }
}

#[test]
fn memory_is_used_only_as_it_is_meant() {
    for (mode, what) in [
        ("write-rodata", "page fault: writing read-only memory"),
        ("write-text", "page fault: writing read-only memory"),
        ("exec-heap", "page fault: executing data"),
        ("exec-rodata", "page fault: executing data"),
        ("page-fault", "page fault: writing unmapped memory"),
    ] {
        run(mode, EXCEPTION).expect_in_log(&[what, "vector=14", "cr2=0x"]);
    }
}

#[test]
fn every_exception_is_named_with_its_registers() {
    for (mode, what, function) in [
        (
            "invalid-opcode",
            "exception: invalid opcode",
            "invalid_opcode",
        ),
        (
            "general-protection",
            "exception: general protection fault",
            "general_protection",
        ),
        ("divide", "exception: division by zero", "divide_by_zero"),
    ] {
        let vm = run(mode, EXCEPTION);
        vm.expect_in_log(&[what, "rip=0x", "rsp=0x", "rflags=0x", "r15=0x"]);
        vm.expect_frame(function);
    }
}

/// The report is written on a stack of its own, so it does not need the one that is gone.
#[test]
fn a_lost_stack_is_reported() {
    let vm = run("bad-stack", EXCEPTION);
    vm.expect_in_log(&["exception: ", "rsp=0x0000700000000000"]);
    vm.expect_frame("lose_the_stack");
}
