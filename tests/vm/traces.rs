//! Traces: of native programs and of programs in C, written on request while they run, at the end, and after a crash.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use abi::exit::{EXCEPTION, PANIC, SUCCESS};
use abi::trace::{Record, Request};
use bundle_tool::machine::{Qemu, VmConfig};
use bundle_tool::trace::Recording;
use rustix::process::Signal;
use serde_json::Value;
use system_tests::guest::{guest as guest_elf, tool};
use system_tests::process::{Done, Process};
use system_tests::vm::{SOON, TestVm, boot, c_config, config};

fn guest(words: &[&str]) -> VmConfig {
    let config = config("guest").memory_mib(32);
    words
        .iter()
        .fold(config, |config, word| config.argument(*word))
}

#[track_caller]
fn ask(vm: &TestVm, request: Request) {
    vm.write_serial(request.line().as_bytes())
        .expect("the machine runs");
}

/// The records in a log, line by line; none may be garbled, or in another line.
#[track_caller]
fn records(log: &str) -> Vec<Record<'_>> {
    let lines = log
        .lines()
        .filter(|line| line.contains("#trace ") && !line.contains("heard line="));
    lines
        .map(|line| Record::parse(line).unwrap_or_else(|| panic!("{line:?} is no record")))
        .collect()
}

fn heads(log: &str) -> usize {
    let heads = records(log).into_iter();
    heads
        .filter(|record| matches!(record, Record::Head { .. }))
        .count()
}

fn text(text: abi::trace::Text<'_>) -> String {
    String::from_utf8_lossy(&text.bytes().collect::<Vec<u8>>()).into_owned()
}

/// The numbers of ticks that were recorded, in the order in which they came.
fn ticks(log: &str) -> Vec<u64> {
    let events = records(log).into_iter().filter_map(|record| match record {
        Record::Event(event) => Some(event.map(text)),
        _ => None,
    });
    events
        .filter_map(|event| event.text.strip_prefix("n=")?.parse().ok())
        .collect()
}

/// What a trace viewer is given: phase, name, track and arguments.
fn events(vm: &TestVm) -> Vec<(String, String, u64, Value)> {
    let chrome = Recording::of(&vm.log().text()).to_chrome();
    let events = chrome["traceEvents"].as_array();
    let events = events.expect("a list of events").iter();
    events
        .map(|event| {
            let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
            let track = event["tid"].as_u64().unwrap_or(0);
            (text("ph"), text("name"), track, event["args"].clone())
        })
        .collect()
}

fn find<'a>(
    events: &'a [(String, String, u64, Value)],
    phase: &str,
    name: &str,
) -> &'a (String, String, u64, Value) {
    let found = events
        .iter()
        .find(|event| event.0 == phase && event.1 == name);
    found.unwrap_or_else(|| panic!("no {phase} {name} in {events:#?}"))
}

/// What each track is called.
fn tracks(events: &[(String, String, u64, Value)]) -> BTreeMap<u64, String> {
    let names = events.iter().filter(|event| event.1 == "thread_name");
    names
        .map(|event| {
            (
                event.2,
                event.3["name"].as_str().unwrap_or_default().to_owned(),
            )
        })
        .collect()
}

// --- at the end ----------------------------------------------------------------------------------

#[test]
fn a_native_programs_spans_arrive_when_it_ends() {
    let vm = boot(Qemu::new(guest(&["trace-spans"]).options("trace=on")));
    vm.expect_status(SUCCESS);
    let events = events(&vm);
    let (outer, other) = (find(&events, "X", "outer"), find(&events, "X", "other"));
    assert_eq!(outer.3["path"], "/a b");
    let tracks = tracks(&events);
    assert_eq!((&*tracks[&outer.2], &*tracks[&other.2]), ("main", "worker"));
    let (begun, ended) = (find(&events, "b", "passed"), find(&events, "e", "passed"));
    assert_eq!((begun.2, ended.2), (outer.2, other.2));
    assert_eq!(begun.3["parent"], outer.3["span"]);
    let tick = find(&events, "i", "tick");
    assert_eq!((tick.2, &tick.3["n"]), (other.2, &"1".into()));
    assert_eq!(tick.3["span"], other.3["span"]);
    assert_eq!(find(&events, "B", "open").2, outer.2);
}

#[test]
fn nothing_is_written_where_nobody_switched_it_on() {
    for options in ["", "trace=off"] {
        let vm = boot(Qemu::new(guest(&["trace-spans"]).options(options)));
        vm.expect_status(SUCCESS);
        assert_eq!(records(&vm.log().text()), []);
    }
}

// --- on request ----------------------------------------------------------------------------------

/// Asks for the trace. Answers the number of a tick that is not in it, and where the log goes on after that.
#[track_caller]
fn ask_at(vm: &TestVm, from: usize) -> (u64, usize) {
    ask(vm, Request::Write);
    let wait = |pattern, from| {
        let found = vm.log().wait_for(pattern, from, SOON);
        found.unwrap_or_else(|error| panic!("{error}"))
    };
    // Which records a request is answered with is decided before the first of them, the open span, is written.
    let first = wait("#trace o", from);
    let later = wait("guest: tick number=", first.index + 1);
    (number_behind(&later.line, "number="), later.index + 1)
}

/// Twice while it runs, each time what is new; the rest at its end; and all of it once, between lines of the log.
#[test]
fn a_trace_is_written_on_request_piece_by_piece() {
    let vm = boot(Qemu::new(guest(&["trace-ticks"])));
    vm.expect_line("guest: tick number=5");
    assert_eq!(records(&vm.log().text()), [], "nobody has asked yet");
    let (first, after) = ask_at(&vm, 0);
    vm.expect_line("tick n=5");
    let (second, _) = ask_at(&vm, after);
    vm.expect_line(&format!("tick n={first}"));
    let log = vm.stop_and_expect_success().log;
    let recording = Recording::of(&log);
    assert_eq!(
        (heads(&log), recording.lost(), recording.spans()),
        (3, 0, 1)
    );
    let count: u64 = number_behind(&log, "guest: ticked count=");
    assert!(count > second);
    assert_eq!(ticks(&log), Vec::from_iter(0..count), "each of them once");
    let chrome = recording.to_chrome();
    let spans = chrome["traceEvents"].as_array().unwrap().iter();
    let ticking = spans.filter(|event| event["name"] == "ticking");
    let phases: Vec<&str> = ticking.filter_map(|event| event["ph"].as_str()).collect();
    assert_eq!(phases, ["X"], "open in two pieces, over in the third");
}

#[track_caller]
fn number_behind(log: &str, prefix: &str) -> u64 {
    let rest = log.split_once(prefix).expect("the line is there").1;
    let digits = rest.lines().next().unwrap_or_default().trim_end();
    digits.parse().expect("a number")
}

#[test]
fn tracing_is_switched_by_request() {
    let vm = boot(Qemu::new(guest(&["trace-ticks"])));
    vm.expect_line("guest: tick number=5");
    vm.write_serial(b"other words\n#trace off\n").unwrap();
    vm.expect_line("trace: off");
    let (unrecorded, _) = ask_at(&vm, 0);
    vm.expect_line(&format!("guest: tick number={}", unrecorded + 5));
    ask(&vm, Request::On);
    vm.expect_line("trace: on");
    let log = vm.stop_and_expect_success().log;
    let ticks = ticks(&log);
    let missing = ticks.windows(2).filter(|pair| pair[1] != pair[0] + 1);
    let missing: Vec<&[u64]> = missing.collect();
    assert_eq!(missing.len(), 1, "off once: {ticks:?}");
    assert!(missing[0][0] >= 5 && missing[0][0] < unrecorded);
    assert!(missing[0][1] > unrecorded + 5, "{missing:?}");
}

/// Nothing is taken from a program that reads the port itself.
#[test]
fn input_that_the_program_reads_is_no_request() {
    let vm = boot(Qemu::new(guest(&["trace-listen"])));
    vm.expect_line("guest: listening");
    vm.write_serial(b"#trace\nsomething\n#trace off\nend\n")
        .unwrap();
    let log = vm.expect_status(SUCCESS).log;
    for heard in ["#trace", "something", "#trace off", "end"] {
        let line = format!("guest: heard line={heard:?} ");
        assert!(log.contains(&line), "{line} is not in:\n{log}");
    }
    let events: Vec<String> = records(&log)
        .into_iter()
        .filter_map(|record| match record {
            Record::Event(event) => Some(text(event.name)),
            _ => None,
        })
        .collect();
    assert_eq!(
        (heads(&log), events),
        (1, vec!["before".into(), "after".into()])
    );
}

#[test]
fn a_program_in_c_is_asked_in_the_same_way() {
    let vm = boot(Qemu::new(c_config("traces").memory_mib(32)));
    vm.expect_line("traces: ticking");
    ask(&vm, Request::Write);
    vm.expect_line("#trace o");
    assert_eq!(heads(&vm.log().text()), 1);
    let log = vm.stop_and_expect_success().log;
    assert_eq!((heads(&log), Recording::of(&log).spans()), (2, 1));
    let events = events(&vm);
    let span = find(&events, "X", "left");
    assert_eq!(tracks(&events)[&span.2], "program 2");
    let ticks = events.iter().filter(|event| event.1 == "tick");
    assert!(ticks.clone().count() > 0);
    for tick in ticks {
        assert_eq!((tick.2, &tick.3["span"]), (span.2, &span.3["span"]));
    }
}

/// From a person's terminal to a file for the viewer.
#[test]
fn the_tool_asks_and_makes_a_file() {
    let mut command = Command::new(tool());
    command.args(["run", "--accel", "tcg", "--timeout", "30", "--input"]);
    command
        .args(["--memory", "32M", "--kernel"])
        .arg(guest_elf("guest"));
    command.args(["--arg", "trace-ticks"]);
    let mut run = Process::start(command.stdin(Stdio::piped()));
    let mut log = run.wait_for("tick number=3");
    run.write("#trace\n");
    log += &run.wait_for("tick n=3");
    run.signal(Signal::INT);
    log += &run.finish().data();
    assert_eq!(heads(&log), 2, "{log}");
    let folder = tempfile::tempdir().unwrap();
    let [from, to] = ["log", "json"].map(|name| folder.path().join(name));
    std::fs::write(&from, &log).unwrap();
    let mut trace = Command::new(tool());
    let said = Done::of(trace.arg("trace").args([&from, &"-o".into(), &to])).words;
    let recording = Recording::of(&log);
    let expected = format!(
        "ukernel: 1 spans, {} events, 0 lost, 0 unreadable\n",
        recording.events()
    );
    assert_eq!(said, expected);
    let made: Value = serde_json::from_slice(&std::fs::read(to).unwrap()).unwrap();
    assert_eq!(made, recording.to_chrome());
}

// --- after a crash -------------------------------------------------------------------------------

/// The report first, then the trace, then the exit record; as much as there was room for.
#[test]
fn a_crash_writes_the_trace_behind_its_report() {
    for (how, status, report) in [
        ("panic", PANIC, "panic: guest: panicking on purpose"),
        ("fault", EXCEPTION, "exception: null pointer"),
        ("overflow", EXCEPTION, "exception: stack overflow"),
    ] {
        let vm = boot(Qemu::new(guest(&["trace-fail", how])));
        let log = vm.expect_status(status).log;
        let (before, after) = log.split_once("#trace h").expect("a trace");
        assert!(before.contains(report), "{how}: {before}");
        assert!(before.contains("  task=main"), "{how}: {before}");
        let behind = after.lines().filter(|line| !line.starts_with("#trace "));
        assert_eq!(behind.count(), 2, "the head's rest and the exit record");
        let recording = Recording::of(&log);
        assert_eq!((recording.spans(), recording.lost()), (2048, 3001 - 2048));
        assert_eq!(recording.unreadable(), 0);
        assert!(
            log.contains(" last\n#") || log.contains(" last\nukernel: exit"),
            "{how}"
        );
    }
}
