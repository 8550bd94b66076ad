//! The serial line: the log under pressure, input, and the request to stop.

use abi::exit::{EXCEPTION, PANIC, SUCCESS};
use bundle_tool::machine::{Accelerator, Qemu};
use system_tests::vm::{TestVm, boot, config};

fn guest(arguments: &[&str]) -> TestVm {
    let config = arguments
        .iter()
        .fold(config("guest").memory_mib(16), |config, argument| {
            config.argument(*argument)
        });
    boot(Qemu::with_accelerator(config, Accelerator::Tcg))
}

/// Lines are dropped whole, from the newest on, and their number is a line of its own.
#[test]
fn a_flood_of_lines_is_cut_and_counted() {
    let vm = guest(&["log-flood", "5000"]);
    let over = vm.expect_line("guest: flood over dropped=");
    vm.expect_status(SUCCESS);
    let dropped: usize = over.rsplit('=').next().unwrap().parse().unwrap();
    let log = vm.log().text();
    let numbers: Vec<usize> = log
        .lines()
        .filter_map(|line| line.split("flood number=").nth(1)?.parse().ok())
        .collect();
    // A line of the kernel's own may have been dropped as well.
    let lines = numbers.len() + dropped;
    assert!((5000..5003).contains(&lines), "{lines} lines");
    assert!(numbers.is_sorted(), "out of order: {numbers:?}");
    assert!(log.contains(&format!("WARN  log: lines dropped count={dropped}\n")));
}

/// The guest is busy until this test has seen its line, so the line came out while it was.
#[test]
fn load_does_not_starve_the_log() {
    let vm = guest(&["log-busy"]);
    vm.expect_line("guest: logged while busy");
    vm.write_serial(b"!").unwrap();
    vm.expect_line("guest: no longer busy parks=0");
    vm.expect_status(SUCCESS);
}

/// All that waits comes out before the report does, in order, and nothing is lost.
#[test]
fn a_panic_comes_behind_what_was_logged_before() {
    let vm = guest(&["panic-behind", "150"]);
    vm.expect_status(PANIC);
    let log = vm.log().text();
    let before = log.split("panic: ").next().unwrap();
    let numbers: Vec<u32> = before
        .lines()
        .filter_map(|line| line.split("queued number=").nth(1)?.parse().ok())
        .collect();
    assert_eq!(numbers, Vec::from_iter(0..150));
    assert!(log.contains("panic: guest: panicking on purpose"), "{log}");
}

/// The fault is in the middle of a change of the log, and what was there before comes out all the same.
#[test]
fn a_fault_of_whoever_writes_to_the_log_loses_nothing_of_it() {
    let vm = guest(&["overflow-logging", "1000"]);
    vm.expect_status(EXCEPTION);
    let log = vm.log().text();
    let (before, after) = log.split_once("exception: ").unwrap();
    assert!(after.starts_with("stack overflow"), "{after}");
    let numbers: Vec<u32> = before
        .lines()
        .filter_map(|line| line.split("queued number=").nth(1)?.parse().ok())
        .collect();
    assert_eq!(numbers, Vec::from_iter(0..numbers.len() as u32));
    assert!(numbers.len() > 200, "{} lines", numbers.len());
}

#[test]
fn input_is_heard() {
    let vm = guest(&["serial-echo"]);
    vm.expect_line("guest: listening");
    vm.write_serial(b"hello there\n").unwrap();
    vm.expect_line("guest: heard line=\"hello there\" length=11");
    vm.write_serial(&[b'x'; 20_000]).unwrap();
    vm.write_serial(b"\nend\n").unwrap();
    vm.expect_line("length=20000");
    vm.expect_line("guest: heard line=\"end\" length=3");
    let counted = vm.expect_line("guest: input bytes=20017 stalls=");
    assert!(!counted.ends_with("stalls=0"), "{counted}");
    vm.expect_status(SUCCESS);
}

/// The keys are pressed before the kernel is entered: the loader waits for them. Their interrupt came when
/// nobody could take it, and the request is complete before anybody awaits it.
#[test]
fn a_request_to_stop_before_the_kernel_is_answered() {
    let config = config("linux-entry").initrd(system_tests::guest::guest("guest"));
    let config = config.options("await=keyboard").argument("stop");
    let vm = boot(Qemu::with_accelerator(config, Accelerator::Tcg));
    vm.expect_line("linux-entry: waiting for input");
    vm.stop().unwrap();
    vm.expect_line("guest: asked to stop");
    vm.expect_status(SUCCESS);
}

#[test]
fn a_request_to_stop_is_awaited_and_answered() {
    let vm = guest(&["stop"]);
    vm.expect_line("guest: waiting for the request to stop");
    vm.stop().unwrap();
    vm.expect_line("guest: asked to stop");
    vm.expect_status(SUCCESS);
}
