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

#[track_caller]
fn expect_in(vm: &TestVm, expected: &[&str]) {
    let log = vm.log().text();
    for text in expected {
        assert!(log.contains(text), "{text:?} is not in:\n{log}");
    }
}

#[track_caller]
fn expect_frame(vm: &TestVm, function: &str) {
    let frames = vm.backtrace(&vm.log().text());
    assert!(
        frames.iter().any(|frame| frame.contains(function)),
        "{function} is not in {frames:#?}"
    );
}

#[test]
fn a_panic_says_what_where_and_in_which_task() {
    let vm = run("panic-task", PANIC);
    expect_in(
        &vm,
        &[
            "panic: guest: panicking on purpose, answer=42",
            "location=tests/guest/src/faults.rs:",
            "task=unlucky ",
        ],
    );
    expect_frame(&vm, "panic_in_task");
}

#[test]
fn a_message_cannot_forge_the_exit_record() {
    let vm = run("panic-multiline", PANIC);
    expect_in(
        &vm,
        &["panic: first line\n  ukernel: exit status=0\n  last line\n"],
    );
}

/// The message faults while it is written: that is said, and the status is that of the fault.
#[test]
fn a_fault_in_a_report_ends_the_machine() {
    let vm = run("panic-twice", EXCEPTION);
    expect_in(&vm, &["panic: another fault while reporting"]);
}

#[test]
fn an_error_of_main_is_a_failure() {
    let vm = run("error", FAILURE);
    expect_in(&vm, &["guest: failing on purpose"]);
}

#[test]
fn an_overflow_is_called_one() {
    for (mode, function) in [
        ("overflow", "recurse"),
        ("overflow-task", "recurse"),
        ("overflow-stack", "recurse_for_ever"),
    ] {
        let vm = run(mode, EXCEPTION);
        expect_in(&vm, &["exception: stack overflow"]);
        expect_frame(&vm, function);
    }
}

#[test]
fn a_null_pointer_is_called_one() {
    for (mode, details) in [
        ("null", "cr2=0x8\n"),
        ("call-null", "rip=0x0000000000000000"),
    ] {
        let vm = run(mode, EXCEPTION);
        expect_in(&vm, &["exception: null pointer", "task=main ", details]);
        expect_frame(&vm, "main");
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
        expect_in(&run(mode, EXCEPTION), &[what, "vector=14", "cr2=0x"]);
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
        expect_in(&vm, &[what, "rip=0x", "rsp=0x", "rflags=0x", "r15=0x"]);
        expect_frame(&vm, function);
    }
}

/// The report is written on a stack of its own, so it does not need the one that is gone.
#[test]
fn a_lost_stack_is_reported() {
    let vm = run("bad-stack", EXCEPTION);
    expect_in(&vm, &["exception: ", "rsp=0x0000700000000000"]);
    expect_frame(&vm, "lose_the_stack");
}
