//! No panic reaches the program: with the hook that only tests have.

use std::time::Duration;

use crate::support::{self, Program};

#[test]
fn a_panic_is_an_error_and_a_line_of_the_log() {
    let program = Program::build(&[support::own("panics.c")]);
    let outcome = support::run(&mut program.command(), Duration::from_secs(60));
    assert_eq!(outcome.status, Some(0), "{}", outcome.log);
    let lines = outcome.log.lines();
    let logged = lines.filter(|line| line.ends_with("call: panicked call=kernel_test_panic"));
    assert_eq!(logged.count(), 5, "{}", outcome.log);
    assert!(
        outcome.log.contains("call: panicked call=task_sleep"),
        "{}",
        outcome.log
    );
}
