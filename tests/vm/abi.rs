//! The conformance suite of the interface for programs in C (`tests/abi`), in a machine. It says itself what is wrong; here
//! is what it needs, and what only somebody outside can see.

use std::time::Duration;

use bundle_tool::machine::{Disk, Ending, Nic, Outcome, Qemu, VmConfig};
use system_tests::guest::repository;
use system_tests::vm::{boot, boot_within};
use tempfile::NamedTempFile;

/// The suite takes a few seconds; a loaded host may need some more.
const DEADLINE: Duration = Duration::from_secs(180);

fn suite() -> VmConfig {
    let program = repository().join("build/c/abi");
    assert!(program.exists(), "the suite is not built: ./just build");
    VmConfig::new(program)
}

/// A disk of zeros.
fn disk(len: u64) -> NamedTempFile {
    let file = NamedTempFile::new().expect("a temporary file");
    file.as_file().set_len(len).expect("it can grow");
    file
}

/// Lines that the watchdog may have cut in two: on a loaded host it takes a machine that stands still for a task that does
/// not return, and says so at once.
const MAX_CUT: usize = 3;

/// The lines that the suite printed, and how many of its tests passed.
struct Report {
    lines: Vec<String>,
    passed: usize,
}

impl Report {
    /// Reads it from a machine's log. Lines of the log may stand in between.
    fn of(outcome: &Outcome) -> Report {
        let starts = ["ok ", "not ok ", "# ", "1.."];
        let lines = outcome.log.lines().map(str::trim_end);
        let tap = lines
            .clone()
            .filter(|line| starts.iter().any(|start| line.starts_with(start)));
        let lines: Vec<String> = tap.map(String::from).collect();
        let sum = outcome.log.lines().find_map(|line| {
            let (passed, rest) = line.split_once(" passed, ")?;
            rest.contains(" failed").then(|| passed.parse().ok())?
        });
        let passed = sum.unwrap_or_else(|| panic!("no sum in\n{}", outcome.log));
        Report { lines, passed }
    }

    /// What went wrong, each with its notes.
    fn failures(&self) -> String {
        let mut failures = String::new();
        let mut shown = false;
        for line in &self.lines {
            shown = line.starts_with("not ok ") || (shown && line.starts_with('#'));
            if shown {
                failures += line;
                failures.push('\n');
            }
        }
        failures
    }
}

/// Runs the suite and checks that all of it passed, and that it counted right.
#[track_caller]
fn expect_all_passed(config: VmConfig) -> (Report, String) {
    let outcome = boot_within(Qemu::new(config), DEADLINE).wait();
    let report = Report::of(&outcome);
    assert_eq!(report.failures(), "", "{:?}", outcome.ending);
    let plan = format!("1..{}", report.passed);
    let log = &outcome.log;
    assert!(report.lines.contains(&plan), "no {plan} in\n{log}");
    let shown = report.lines.iter().filter(|line| line.starts_with("ok "));
    let cut = report.passed - shown.count();
    assert!(cut <= MAX_CUT, "only some of {plan} are in\n{log}");
    assert_eq!(outcome.ending, Ending::Guest(0));
    (report, outcome.log)
}

/// A machine with all that the suite can make use of. It asks itself for names: nothing leaves it.
fn full_machine() -> (VmConfig, [NamedTempFile; 2]) {
    let disks = [disk(1 << 20), disk(1 << 16)];
    let config = suite()
        .disk(Disk::new(disks[0].path()))
        .disk(Disk::new(disks[1].path()).read_only())
        .nic(Nic::user([]))
        .options("net=10.0.2.15/24,gw=10.0.2.2,dns=127.0.0.1,ip6=fd00::15/64")
        .argument("dns");
    (config, disks)
}

#[test]
fn the_conformance_suite_passes() {
    let (config, _disks) = full_machine();
    let config = config
        .options("env=UKERNEL_ABI_TEST=some-value")
        .argument("variable=some-value");
    let (report, log) = expect_all_passed(config);
    assert!(report.passed > 250, "only {} tests", report.passed);
    let skipped = report.lines.iter().filter(|line| line.contains("# SKIP"));
    assert_eq!(
        skipped.collect::<Vec<_>>(),
        [""; 0],
        "this machine has everything"
    );
    expect_log_lines(&log);
}

/// What the program logs is a line of the log that shows whose it is, and can look like no other line.
fn expect_log_lines(log: &str) {
    let ending = |text: &str| {
        log.lines()
            .filter(|line| line.trim_end().ends_with(text))
            .count()
    };
    assert!(ending("cap=0xff abi: a line of the log") >= 3, "{log}");
    assert_eq!(ending("cap=0xff abi: with a line break"), 1, "{log}");
    assert_eq!(
        ending("cap=0xff abi: no utf-8 \u{fffd}\u{fffd} here"),
        1,
        "{log}"
    );
    let long = format!(
        "cap=0xff abi: long {}",
        "x".repeat(400 - "abi: long ".len())
    );
    assert_eq!(ending(&long), 1, "{log}");
    assert!(!log.contains('\x1b'), "{log}");
    let records = log
        .lines()
        .filter(|line| line.starts_with(abi::serial::EXIT_PREFIX));
    assert_eq!(records.count(), 1, "{log}");
}

#[test]
fn what_lies_outside_the_policy_is_refused() {
    for kinds in ["io", "log,time,task,io", "io,net,trace", "io,mem,ipc"] {
        let config = suite()
            .options(&format!("allow={kinds}"))
            .argument(format!("policy={kinds}"));
        let (report, _) = expect_all_passed(config);
        assert_eq!(report.passed, 2);
    }
}

#[test]
fn a_policy_can_be_narrower_than_the_kinds() {
    let (config, _disks) = full_machine();
    let config = config
        .options("allow=log,time,task,mem,io:serial,io:disk:0:ro")
        .options("allow=net:listen:tcp:9300-9301,net:connect:tcp:127.0.0.0/8:9300")
        .argument("policy=log,time,task,mem,io,net")
        .argument("narrow");
    let (report, _) = expect_all_passed(config);
    assert_eq!(report.passed, 6);
}

/// With memory for all that there may be.
#[test]
fn the_limits_are_where_the_header_says() {
    let config = suite()
        .memory_mib(512)
        .nic(Nic::user([]))
        .argument("limits");
    let (report, _) = expect_all_passed(config);
    assert_eq!(report.passed, 6);
}

#[test]
fn the_first_task_ends_the_program() {
    let outcome = boot(Qemu::new(suite().argument("exit=7"))).wait();
    assert_eq!(outcome.ending, Ending::Guest(7), "{}", outcome.log);
}

#[test]
fn a_program_is_asked_to_stop_and_stops_by_itself() {
    let vm = boot(Qemu::new(suite().argument("stop")));
    vm.expect_line("# waiting to be asked to stop");
    vm.stop().expect("it can be asked to stop");
    vm.expect_status(3);
}
