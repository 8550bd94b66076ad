//! The conformance suite of the interface for programs in C (`tests/abi`), unchanged, as a process that the library is
//! linked to. It says itself what is wrong; here is what it needs, as `tests/vm/abi.rs` has it for a machine.

use std::process::Command;
use std::time::Duration;

use crate::support::{self, Disk, Program};

/// The suite takes a few seconds; a loaded host may need some more.
const DEADLINE: Duration = Duration::from_secs(180);

/// Why the suite leaves out what only a machine can have: the code that runs the program, and the network's own
/// servers.
const CANNOT_BE: [&str; 2] = [
    "nobody offers channels",
    "the machine's name server is not this program",
];

/// The suite, built once for all tests.
fn suite() -> Command {
    program().command_alone()
}

fn program() -> &'static Program {
    static SUITE: std::sync::OnceLock<Program> = std::sync::OnceLock::new();
    SUITE.get_or_init(|| Program::build(&support::sources("tests/abi")))
}

/// A process with all that the suite can make use of.
fn full_process() -> (Command, [Disk; 2]) {
    let disks = [Disk::new(1 << 20), Disk::new(1 << 16)];
    let mut command = suite();
    command
        .env("UKERNEL_DISK_0", disks[0].path())
        .env(
            "UKERNEL_DISK_1",
            format!("{},ro", disks[1].path().display()),
        )
        .env("UKERNEL_FAULTS", "task")
        .env("UKERNEL_MEMORY", "128");
    (command, disks)
}

/// Runs the suite and checks that all of it passed, and that it counted right: the report, and the log.
#[track_caller]
fn expect_all_passed(command: &mut Command) -> (String, String, usize) {
    let outcome = support::run(command, DEADLINE);
    let lines: Vec<&str> = outcome.output.lines().collect();
    let failures: Vec<&str> = lines
        .iter()
        .copied()
        .filter(|line| line.starts_with("not ok ") || line.contains(".c:"))
        .collect();
    assert_eq!(failures, [""; 0], "{}", outcome.log);
    let passed = lines.iter().filter(|line| line.starts_with("ok ")).count();
    assert_eq!(
        outcome.status,
        Some(0),
        "{}\n{}",
        outcome.output,
        outcome.log
    );
    assert_eq!(lines.last(), Some(&&*format!("{passed} passed, 0 failed")));
    assert_eq!(outcome.status, Some(0));
    (outcome.output, outcome.log, passed)
}

#[test]
fn the_conformance_suite_passes() {
    let (mut command, _disks) = full_process();
    command
        .env("UKERNEL_ABI_TEST", "some-value")
        .arg("variable=some-value");
    let (report, log, passed) = expect_all_passed(&mut command);
    assert!(passed > 230, "only {passed} tests");
    let is_missing = |line: &&str| match line.split_once(" # SKIP ") {
        Some((_, why)) => !CANNOT_BE.iter().any(|cannot| why.starts_with(cannot)),
        None => false,
    };
    let skipped: Vec<&str> = report.lines().filter(is_missing).collect();
    assert_eq!(skipped, [""; 0], "this process has everything else");
    let lines = |ending: &str| log.lines().filter(|line| line.ends_with(ending)).count();
    assert!(lines("cap=0xff abi: a line of the log") >= 3, "{log}");
    assert_eq!(
        lines("cap=0xff abi: no utf-8 \u{fffd}\u{fffd} here"),
        1,
        "{log}"
    );
    assert!(!log.contains('\x1b'), "{log}");
    assert!(log.contains("#trace s "), "no span was written at the end");
}

#[test]
fn what_lies_outside_the_policy_is_refused() {
    for kinds in ["io", "log,time,task,io", "io,net,trace", "io,mem,ipc"] {
        let mut command = suite();
        command
            .env("UKERNEL_ALLOW", kinds)
            .arg(format!("policy={kinds}"));
        assert_eq!(expect_all_passed(&mut command).2, 2);
    }
}

#[test]
fn a_policy_can_be_narrower_than_the_kinds() {
    let (mut command, _disks) = full_process();
    command
        .env(
            "UKERNEL_ALLOW",
            "log,time,task,mem,io:serial,io:disk:0:ro \
             net:listen:tcp:9300-9301,net:connect:tcp:127.0.0.0/8:9300",
        )
        .args(["policy=log,time,task,mem,io,net", "narrow"]);
    assert_eq!(expect_all_passed(&mut command).2, 6);
}

/// With memory for all that there may be.
#[test]
fn the_limits_are_where_the_header_says() {
    let mut command = suite();
    command.env("UKERNEL_MEMORY", "512").arg("limits");
    assert_eq!(expect_all_passed(&mut command).2, 6);
}

/// The suite is its own name server. What the host's resolver does not tell apart, the library cannot: that a server
/// has failed, and that it does not answer.
#[test]
fn names_are_asked_of_a_server() {
    let Some(mut command) = program().command_with_name_server() else {
        eprintln!("SKIPPED names: a process may not have a resolv.conf of its own here");
        return;
    };
    let outcome = support::run(command.args(["dns", "only=names"]), DEADLINE);
    let lines = outcome.output.lines();
    let wrong: Vec<&str> = lines
        .filter(|line| line.starts_with("not ok ") || line.contains(".c:"))
        .filter(|line| {
            !line.contains("\"broken.test\"") || !line.ends_with("gives ERR_TIMEOUT, not ERR_IO")
        })
        .collect();
    assert_eq!(wrong.len(), 1, "{wrong:?}\n{}", outcome.log);
    assert!(
        wrong[0].ends_with("names: what the server says instead is told"),
        "{wrong:?}"
    );
    assert!(
        outcome.output.contains("\n8 passed, 1 failed\n"),
        "{}",
        outcome.output
    );
}

#[test]
fn the_first_task_ends_the_program() {
    let outcome = support::run(suite().arg("exit=7"), DEADLINE);
    assert_eq!(outcome.status, Some(7), "{}", outcome.log);
}

#[test]
fn a_program_is_asked_to_stop_and_stops_by_itself() {
    let running = support::start(suite().arg("stop"));
    running.expect_line("# waiting to be asked to stop");
    running.terminate();
    let outcome = running.wait(DEADLINE);
    assert_eq!(outcome.status, Some(3), "{}", outcome.log);
}
