//! What waits cost in system calls, counted by strace.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use crate::support::{self, Program};

/// Memory is taken and given back from time to time, whatever for.
const MEMORY: [&str; 4] = ["brk", "madvise", "mmap", "munmap"];

type Counts = BTreeMap<String, i64>;

/// The system calls of a process, by name.
fn counts(program: &Program, arguments: [&str; 2]) -> Counts {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("calls");
    let mut command = program.command_under("strace", |strace| {
        strace.args(["-f", "-o"]).arg(&path);
    });
    command.env("UKERNEL_LOG", "error"); // everything is slow under strace, and named for it
    let outcome = support::run(command.args(arguments), Duration::from_secs(120));
    assert_eq!(outcome.status, Some(0), "{}", outcome.log);
    let text = std::fs::read_to_string(path).expect("strace wrote it");
    let mut counts = Counts::new();
    for line in text.lines() {
        let call = line.split_ascii_whitespace().nth(1).unwrap_or_default();
        if let Some((name, _)) = call.split_once('(') {
            *counts.entry(name.to_string()).or_default() += 1;
        }
    }
    counts
}

/// What so many rounds more cost.
fn of_rounds(program: &Program, name: &str) -> Counts {
    let [few, many] = ["100", "1100"].map(|rounds| counts(program, [name, rounds]));
    let names = many.keys().chain(few.keys());
    let differences = names.map(|name| {
        let count = |counts: &Counts| counts.get(name).copied().unwrap_or_default();
        (name.clone(), count(&many) - count(&few))
    });
    let mut all: Counts = differences.collect();
    all.retain(|name, count| *count != 0 && !(MEMORY.contains(&name.as_str()) && *count < 20));
    all
}

/// Checks that a thousand rounds more cost these, and no others. A look in ten rounds more is allowed: a kernel that
/// never sleeps looks from time to time (`Linux::pass`), and under strace everything takes long.
#[track_caller]
fn expect(program: &Program, name: &str, expected: &[(&str, i64)]) {
    const LOOK: &str = "epoll_pwait2";
    let mut counts = of_rounds(program, name);
    let looks = counts.remove(LOOK).unwrap_or_default();
    let mut expected: Counts = expected
        .iter()
        .map(|(call, count)| (call.to_string(), *count))
        .collect();
    let expected_looks = expected.remove(LOOK).unwrap_or_default();
    assert_eq!(counts, expected, "{name}");
    let more = looks - expected_looks;
    assert!((0..=100).contains(&more), "{name}: {looks} looks");
}

#[test]
fn a_wait_is_one_system_call_whatever_is_ready_and_watched() {
    if Command::new("strace").arg("-V").output().is_err() {
        eprintln!("SKIPPED counting system calls: strace is not here");
        return;
    }
    if support::is_sanitized() {
        eprintln!("SKIPPED counting system calls: a sanitizer has its own");
        return;
    }
    let program = Program::build(&[support::own("rounds.c")]);
    let (read, write) = (("read", 1000), ("write", 1000));
    // One of 1,000 members is ready, which the program makes so, and reads.
    expect(
        &program,
        "one_of_many",
        &[("epoll_pwait2", 1000), read, write],
    );
    // The same, with a look that does not wait before.
    expect(&program, "looks", &[("epoll_pwait2", 2000), read, write]);
    // 100 are ready each time and none is read.
    expect(&program, "many_ready", &[("epoll_pwait2", 1000)]);
    // Tasks wait on their stacks, each for one of them: nobody but the thread's own stack looks.
    expect(
        &program,
        "task_waits",
        &[("epoll_pwait2", 1000), read, write],
    );
    // A wake of one's own, and messages between tasks.
    expect(&program, "wakes_itself", &[]);
    expect(&program, "messages", &[]);
}
