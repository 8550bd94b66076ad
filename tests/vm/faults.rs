//! How a program goes wrong and what is said about it: panics, exceptions, overflows, and memory that
//! runs out. Each ends the machine with a status of its own, after a report.

use abi::exit::{EXCEPTION, FAILURE, OUT_OF_MEMORY, PANIC};
use bundle_tool::machine::{Accelerator, Qemu};
use system_tests::vm::{TestVm, boot, config};

fn guest(mode: &str) -> TestVm {
    let config = config("guest").memory_mib(32).arguments(mode);
    boot(Qemu::with_accelerator(config, Accelerator::Tcg))
}

/// Boots the guest in `mode`; answers its log once it has ended with `status`.
fn log_of(mode: &str, status: u8) -> (String, Vec<String>) {
    let vm = guest(mode);
    vm.expect_status(status);
    let log = vm.log().text();
    let backtrace = vm.backtrace(&log);
    (log, backtrace)
}

#[track_caller]
fn expect_in(log: &str, expected: &[&str]) {
    for text in expected {
        assert!(log.contains(text), "{text:?} is not in:\n{log}");
    }
}

#[test]
fn a_panic_says_what_where_and_in_which_task() {
    let (log, backtrace) = log_of("panic-task", PANIC);
    expect_in(
        &log,
        &[
            "panic: guest: panicking on purpose, answer=42",
            "location=tests/guest/src/faults.rs:",
            "task=unlucky ",
        ],
    );
    assert!(backtrace.iter().any(|frame| frame.contains("panic_in_task")), "{backtrace:#?}");
}

#[test]
fn a_message_cannot_forge_the_exit_record() {
    let (log, _) = log_of("panic-multiline", PANIC);
    expect_in(&log, &["panic: first line\n  ukernel: exit status=0\n  last line\n"]);
}
