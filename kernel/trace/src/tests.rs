//! What a ring keeps, loses and tells, and traces that are used in the middle of a change.

use std::string::{String, ToString};
use std::vec::Vec;

use abi::trace::Record;
use proptest::prelude::*;
use reactor::Reactor;
use reactor::testing::VirtualClock;

use super::*;

/// A trace that is on.
fn trace() -> Trace {
    let reactor = Reactor::new(VirtualClock::new());
    let trace = Trace::new(&reactor.spawner(), &reactor.clock());
    trace.enable().unwrap();
    trace
}

fn track(task: u64, name: &'static str) -> Track {
    let track = Track::new(Label::new(name));
    track.runs_as(task);
    track
}

/// What it has to tell, but for names of tasks.
fn lines(trace: &Trace) -> Vec<String> {
    let lines = trace.drain().map(|line| line.to_string());
    let lines: Vec<String> = lines.filter(|line| !line.starts_with("#trace t")).collect();
    for line in &lines {
        assert!(Record::parse(line).is_some(), "{line}");
    }
    lines
}

#[test]
fn a_span_that_is_given_up_after_a_drain_is_counted() {
    let mut ring = Ring::new().unwrap();
    let old: Vec<u64> = (0..=MAX_OPEN)
        .filter_map(|_| ring.begin(0, 0, 0, b""))
        .collect();
    assert_eq!(ring.take_lost(), 0);
    for _ in 0..MAX_RECORDS {
        ring.event(0, 0, 0, b"", b"");
    }
    let given_up: Vec<&u64> = old.iter().filter(|span| !ring.is_open(**span)).collect();
    assert_eq!(given_up, [&1]);
    // It, and the events for which there was no room beside the others.
    assert_eq!(ring.take_lost(), 1 + MAX_OPEN as u64);
}

#[test]
fn no_number_of_a_span_comes_back() {
    let mut ring = Ring::new().unwrap();
    ring.skip_to(LAST_SPAN - 1);
    assert_eq!(ring.begin(0, 0, 0, b""), Some(LAST_SPAN));
    assert_eq!(ring.begin(0, 0, 0, b""), None);
    assert_eq!(ring.end(0, 0, LAST_SPAN), Some(0));
    assert_eq!(ring.begin(0, 0, 0, b""), None);
    ring.event(0, 0, 0, b"", b"");
    assert_eq!((ring.newest(), ring.take_lost()), (LAST_SPAN, 0));
}

#[test]
fn names_are_cut() {
    let trace = trace();
    let long = "a-name-that-is-longer-than-a-name-can-be";
    trace.event(long, long);
    let track = track(7, LONG_LABEL);
    trace.event_in(&track, None, b"x", b"");
    let told: Vec<String> = trace.drain().map(|line| line.to_string()).collect();
    let (cut, task) = (&long[..31], &LONG_LABEL[..64]);
    let expected = [
        "#trace h 1 0",
        "#trace t 0 no%20task",
        &std::format!("#trace t 7 {task}"),
        &std::format!("#trace e 0 0 0 {cut} {cut}"),
        "#trace e 0 7 0 x %",
    ];
    assert_eq!(told, expected);
}

const LONG_LABEL: &str = "a-task-whose-name-is-longer-than-anything-that-is-ever-written-of-it";

/// A drain takes its time on the serial line; what is recorded meanwhile may overwrite what it has not come to.
#[test]
fn what_is_overwritten_during_a_drain_is_counted_by_the_next() {
    let trace = trace();
    for _ in 0..MAX_RECORDS {
        trace.event("old", "");
    }
    let mut drain = trace.drain();
    let first: Vec<String> = drain
        .by_ref()
        .take(2 + 10)
        .map(|line| line.to_string())
        .collect();
    assert_eq!(first[0], "#trace h 1 0");
    for _ in 0..MAX_RECORDS {
        trace.event("new", "");
    }
    let told = drain.count();
    let rest = lines(&trace);
    // Ten were taken before, the others of the old ones were not.
    assert_eq!(rest[0], std::format!("#trace h 1 {:x}", MAX_RECORDS - 10));
    assert_eq!(told + rest.len() - 1, MAX_RECORDS, "each new one once");
    assert_eq!(lines(&trace), ["#trace h 1 0"]);
}

#[test]
fn drains_tell_what_was_recorded_since() {
    let trace = trace();
    let open = trace.span("open");
    trace.event("first", "");
    assert_eq!(lines(&trace).len(), 3);
    trace.event("second", "");
    let told = lines(&trace);
    assert_eq!(
        told[1..],
        ["#trace o 0 0 1 0 open", "#trace e 0 0 0 second %"]
    );
    open.end();
    let told = lines(&trace);
    assert_eq!(told, ["#trace h 1 0", "#trace s 0 0 0 0 1 0 open"]);
    assert_eq!(lines(&trace), ["#trace h 1 0"]);
}

/// Whoever ends the machine in the middle of a change must neither wait nor see half of it.
#[test]
fn a_trace_that_is_being_changed_is_left_alone() {
    let trace = trace();
    let span = trace.span("kept");
    let track = track(1, "task");
    trace.with_ring(|_| {
        assert_eq!(trace.drain().count(), 0);
        assert_eq!(trace.enable(), Err(Error::NoMemory));
        trace.event("lost", "");
        trace.span("lost").end();
        assert_eq!(trace.begin(&track, b"lost"), Err(Error::NoMemory));
        assert!(!trace.end(&track, 1) && !trace.is_open(1));
    });
    drop(span);
    let told = lines(&trace);
    assert_eq!(told, ["#trace h 1 0", "#trace s 0 0 0 0 1 0 kept"]);
}

/// Others have ended the spans in between, which were overwritten since: what is left is found all the same.
#[test]
fn a_track_finds_back_to_what_is_open() {
    let trace = trace();
    let [track, other] = [1, 2].map(|task| track(task, "task"));
    let begin = |track| trace.begin(track, b"").unwrap();
    let (first, _) = (begin(&track), begin(&other));
    let handed_on = [(); 4].map(|()| begin(&track));
    let last = begin(&track);
    let foreign = begin(&other);
    assert!(handed_on.iter().all(|span| trace.end(&other, *span)));
    for _ in 0..MAX_RECORDS {
        trace.event("x", "");
    }
    assert_eq!(trace.innermost(&track), last);
    assert!(trace.end(&track, last));
    assert_eq!(trace.innermost(&track), first);
    assert_eq!(trace.innermost(&other), foreign);
    assert!(trace.end(&track, first));
    assert_eq!(trace.innermost(&track), 0);
}

/// The same where the record of the span that is over was drained.
#[test]
fn a_drain_leaves_tasks_where_they_are() {
    let trace = trace();
    let [track, other] = [1, 2].map(|task| track(task, "task"));
    let spans = [(); 3].map(|()| trace.begin(&track, b"").unwrap());
    assert!(trace.end(&other, spans[1]) && trace.end(&other, spans[2]));
    assert_eq!(lines(&trace).len(), 4);
    assert_eq!(trace.innermost(&track), spans[0]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 64 }))]
    /// However records and drains come, each record is told of once, or counted once.
    #[test]
    fn every_record_is_told_of_or_counted(steps in prop::collection::vec((0u8..5, 1usize..900), 0..40)) {
        let trace = trace();
        let (mut made, mut told, mut lost) = (0, 0, 0);
        let mut open: Vec<Span> = Vec::new();
        let mut drains: Vec<Drain> = Vec::new();
        let mut count = |line: Line| {
            let line = line.to_string();
            match Record::parse(&line).unwrap() {
                Record::Head { lost: more } => lost += more,
                Record::Span(span) if span.end.is_none() => {}
                Record::Task { .. } => {}
                _ => told += 1,
            }
        };
        for (action, times) in steps {
            match action {
                0 => (0..times).for_each(|_| trace.event("x", "")),
                1 => (0..times).for_each(|_| trace.span("x").end()),
                2 => open.extend((0..times / 4).map(|_| trace.span("x"))),
                3 => open.truncate(open.len().saturating_sub(times)),
                _ => {
                    // One begins, and the oldest goes on for a while.
                    drains.push(trace.drain());
                    drains[0].by_ref().take(times).for_each(&mut count);
                }
            }
            made += match action {
                0 | 1 => times,
                2 => times / 4,
                _ => 0,
            };
        }
        drop(open);
        drains.into_iter().flatten().for_each(&mut count);
        trace.drain().for_each(&mut count);
        prop_assert_eq!(told + lost as usize, made);
    }
}
