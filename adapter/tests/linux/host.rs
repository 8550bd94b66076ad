//! What only a process has: several kernels, descriptors of the program's own, wakes from elsewhere, forks. The tests
//! are in C (`programs/host.c`); each is a process of its own.

use std::sync::OnceLock;
use std::time::Duration;

use crate::support::{self, Program};

/// The longest of them waits for a second at most.
const DEADLINE: Duration = Duration::from_secs(60);

fn program() -> &'static Program {
    static PROGRAM: OnceLock<Program> = OnceLock::new();
    PROGRAM.get_or_init(|| Program::build(&[support::own("host.c")]))
}

/// Not for a sanitizer's runtime: a child that is forked while another thread allocates waits for that thread for ever.
const NOT_SANITIZED: &str = "a_fork_beside_busy_threads";

#[track_caller]
fn expect_success(name: &str) -> support::Outcome {
    let outcome = support::run(program().command().arg(name), DEADLINE);
    assert_eq!(outcome.status, Some(0), "{}", outcome.log);
    outcome
}

macro_rules! tests {
    ($($name:ident)*) => {
        /// All that there are here.
        const NAMES: &[&str] = &[$(stringify!($name)),*];

        $(#[test]
        fn $name() {
            if stringify!($name) == NOT_SANITIZED && support::is_sanitized() {
                eprintln!("SKIPPED {NOT_SANITIZED}: not under a sanitizer");
                return;
            }
            expect_success(stringify!($name));
        })*
    };
}

tests! {
    a_handle_is_of_one_kernel
    kernels_are_entered_and_left
    threads_have_kernels_of_their_own
    a_thread_that_asks_for_none_gets_a_kernel
    a_kernel_moves_to_another_thread
    one_thread_at_a_time_is_in_a_kernel
    tasks_enter_other_kernels
    there_is_a_limit_to_kernels
    what_a_kernel_has_ends_with_it
    a_fork_is_noticed
    a_fork_beside_busy_threads
    every_wake_of_other_threads_counts
    a_wake_stays_until_it_is_read
    stale_wakers_are_refused
    signal_handlers_wake
    only_open_descriptors_are_adopted
    adopted_descriptors_are_read_and_written
    regular_files_are_always_ready
    what_is_hung_up_is_told
    a_hang_up_that_nobody_waits_for_costs_nothing
    a_number_that_is_reused_is_another_descriptor
    a_descriptor_that_is_closed_while_polled_does_no_harm
    a_busy_kernel_hears_of_descriptors
    a_port_is_had_again_at_once_and_by_one
    nothing_is_told_that_was_read_meanwhile
    nothing_is_told_that_another_task_has_read
    waits_leave_nothing_behind
    time_is_the_monotonic_clock
    files_are_opened_by_their_paths
}

#[test]
fn every_test_of_the_program_is_run() {
    let outcome = support::run(&mut program().command(), DEADLINE);
    assert_eq!(outcome.output.lines().collect::<Vec<_>>(), NAMES);
}

#[test]
fn a_fork_is_logged() {
    let outcome = expect_success("a_fork_is_noticed");
    let lines = outcome.log.lines();
    let refused = lines.filter(|line| line.contains("kernel: made before a fork"));
    assert!(refused.count() >= 3, "{}", outcome.log);
}
