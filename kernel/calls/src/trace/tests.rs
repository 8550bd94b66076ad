//! Each line of the header on traces; spans of programs and of Rust on one ring; what is lost is counted.

extern crate std;

use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use super::*;
use crate::testing::{Host, Memory};
use abi::Error;
use abi::capability::Kinds;
use abi::trace::Record;
use alloc::rc::Rc;
use core::fmt;
use proptest::prelude::*;
use reactor::time::Duration;
use trace::{MAX_OPEN, MAX_RECORDS, Trace};

/// A program's task that traces.
#[derive(Clone)]
struct Tracer {
    task: Rc<Task>,
    memory: Rc<Memory>,
}

impl Tracer {
    fn begin(&self, name: &str) -> Handle {
        let name = self.memory.bytes(name.as_bytes());
        self.task.trace_span_begin(name.input()).unwrap()
    }

    fn end(&self, span: Handle) {
        self.task.trace_span_end(span).unwrap();
    }

    fn event(&self, span: Handle, name: &str, text: &str) -> Outcome {
        let (name, text) = (
            self.memory.bytes(name.as_bytes()),
            self.memory.bytes(text.as_bytes()),
        );
        self.task.trace_event(span, name.input(), text.input())
    }
}

/// Runs a test in a task while tracing is on; the lines that it leaves, but for names of tasks.
fn trace(body: impl AsyncFnOnce(&Host, &Tracer)) -> Vec<String> {
    let host = Host::new();
    host.run(async |task| {
        let memory = Rc::clone(&host.memory);
        task.trace_enable(1).unwrap();
        body(&host, &Tracer { task, memory }).await;
    });
    lines(host.program.trace())
}

fn lines(trace: &Trace) -> Vec<String> {
    let lines = trace.drain().map(|line| line.to_string());
    let lines: Vec<String> = lines.filter(|line| !line.starts_with("#trace t")).collect();
    for line in &lines {
        assert!(Record::parse(line).is_some(), "{line}");
    }
    lines
}

fn error_of<T: fmt::Debug>(outcome: Outcome<T>) -> (Error, u32) {
    let failure = outcome.unwrap_err();
    (failure.error, failure.argument)
}

#[test]
fn spans_nest_and_take_their_time() {
    let lines = trace(async |_, tracer| {
        let outer = tracer.begin("outer");
        tracer.task.task_sleep(0x10).await.unwrap();
        let inner = tracer.begin("inner");
        tracer.event(Handle::NONE, "here", "in=inner").unwrap();
        tracer.event(outer, "there", "").unwrap();
        tracer.task.task_sleep(0x20).await.unwrap();
        tracer.end(inner);
        tracer.event(Handle::NONE, "", "in=outer").unwrap();
        tracer.end(outer);
        tracer.event(Handle::NONE, "after", "").unwrap();
    });
    assert_eq!(
        lines,
        [
            "#trace h 1 0",
            "#trace s 0 30 1 1 1 0 outer",
            "#trace s 10 20 1 1 2 1 inner",
            "#trace e 10 1 2 here in=inner",
            "#trace e 10 1 1 there %",
            "#trace e 30 1 1 % in=outer",
            "#trace e 30 1 0 after %",
        ]
    );
}

#[test]
fn spans_that_end_out_of_order_leave_the_others_nested() {
    let lines = trace(async |_, tracer| {
        let spans = ["a", "b", "c"].map(|name| tracer.begin(name));
        tracer.end(spans[1]);
        tracer.end(spans[2]);
        let last = tracer.begin("d"); // within a
        tracer.end(last);
        tracer.end(spans[0]);
        let last = tracer.begin("e"); // within nothing
        tracer.end(last);
    });
    let ends: Vec<&str> = lines.iter().map(|line| &line[line.len() - 7..]).collect();
    let parents = ["1 1 0 a", "1 2 1 b", "1 3 2 c", "1 4 1 d", "1 5 0 e"];
    assert_eq!(ends[1..], parents);
}

#[test]
fn another_task_may_end_a_span() {
    let lines = trace(async |host, tracer| {
        let (outer, passed) = (tracer.begin("outer"), tracer.begin("passed"));
        let memory = Rc::clone(&host.memory);
        let other = host.spawn(async move |task| {
            let other = Tracer { task, memory };
            let own = other.begin("own"); // within nothing
            other.end(passed);
            other.event(Handle::NONE, "x", "").unwrap(); // still in its own
            other.end(own);
            Ok(())
        });
        tracer.task.task_yield().await.unwrap();
        assert_eq!(other.status(), Some(0));
        tracer.event(Handle::NONE, "y", "").unwrap(); // in outer again
        tracer.end(outer);
    });
    let expected = [
        "#trace h 1 0",
        "#trace s 0 0 1 1 1 0 outer",
        "#trace s 0 0 1 3 2 1 passed",
        "#trace s 0 0 3 3 3 0 own",
        "#trace e 0 3 3 x %",
        "#trace e 0 1 1 y %",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn while_it_is_off_nothing_is_recorded_and_nothing_fails() {
    let host = Host::new();
    host.run(async |task| {
        let memory = Rc::clone(&host.memory);
        let tracer = Tracer { task, memory };
        assert_eq!(tracer.begin("x"), Handle::NONE);
        tracer.event(Handle::NONE, "x", "y").unwrap();
        tracer.end(Handle::NONE);
        assert_eq!(lines(host.program.trace()), [""; 0]);
        tracer.task.trace_enable(1).unwrap();
        let open = tracer.begin("open");
        tracer.task.trace_enable(0).unwrap();
        assert_eq!(tracer.begin("x"), Handle::NONE);
        tracer.event(open, "x", "y").unwrap();
        tracer.end(open); // it was begun while it was on
        tracer.end(Handle::NONE);
        let lines = lines(host.program.trace());
        assert_eq!(lines, ["#trace h 1 0", "#trace s 0 0 1 1 1 0 open"]);
        for wrong in [2, u32::MAX] {
            let refused = tracer.task.trace_enable(wrong);
            assert_eq!(error_of(refused), (Error::Invalid, 1));
        }
    });
}

#[test]
fn what_is_no_open_span_is_invalid() {
    trace(async |host, tracer| {
        let over = tracer.begin("over");
        tracer.end(over);
        let dropped = tracer.begin("dropped");
        tracer.task.handle_close(dropped).unwrap();
        let open = tracer.begin("open");
        let channel = tracer.task.ipc_channel_create(0).unwrap();
        let forged = Handle::from_bits(open.to_bits() + MAX_RECORDS as u64);
        let (other_tag, stray) = (open.to_bits() ^ 1 << 56, open.to_bits() | 1 << 16);
        let wrong = [
            over,
            dropped,
            channel,
            forged,
            Handle::from_bits(u64::MAX),
            handle_of(0),
            Handle::from_bits(other_tag),
            Handle::from_bits(stray),
        ];
        for wrong in wrong {
            let ended = tracer.task.trace_span_end(wrong);
            assert_eq!(error_of(ended), (Error::Invalid, 1), "{wrong:?}");
            let told = tracer.event(wrong, "x", "");
            assert_eq!(error_of(told), (Error::Invalid, 1));
        }
        assert_eq!(
            error_of(tracer.task.handle_close(over)),
            (Error::Invalid, 1)
        );
        let denied = host.spawn_with(Kinds::ALL.without(Kind::Trace), {
            let memory = Rc::clone(&host.memory);
            async move |task| {
                let tracer = Tracer { task, memory };
                let name = tracer.memory.buffer(0);
                for failure in [
                    tracer.task.trace_span_begin(name.input()).unwrap_err(),
                    tracer.task.trace_span_end(Handle::NONE).unwrap_err(),
                    tracer.event(Handle::NONE, "", "").unwrap_err(),
                    tracer.task.trace_enable(2).unwrap_err(),
                ] {
                    assert_eq!(failure.error, Error::Permission);
                }
                Ok(())
            }
        });
        tracer.task.task_yield().await.unwrap();
        assert_eq!(denied.status(), Some(0));
    });
}

#[test]
fn a_span_that_is_dropped_leaves_no_record() {
    let lines = trace(async |_, tracer| {
        let (outer, dropped) = (tracer.begin("outer"), tracer.begin("dropped"));
        tracer.task.handle_close(dropped).unwrap();
        tracer.event(Handle::NONE, "x", "").unwrap();
        tracer.end(outer);
    });
    let expected = [
        "#trace h 1 0",
        "#trace s 0 0 1 1 1 0 outer",
        "#trace e 0 1 1 x %",
    ];
    assert_eq!(lines, expected, "and none is lost");
}

#[test]
fn texts_are_cut_and_may_be_anything() {
    let lines = trace(async |host, tracer| {
        let long = "x".repeat(40);
        tracer.event(Handle::NONE, &long, &long).unwrap();
        let bytes = host.memory.bytes(b"\xff\n\0 %");
        let empty = host.memory.buffer(0);
        let outcome = tracer
            .task
            .trace_event(Handle::NONE, bytes.input(), empty.input());
        outcome.unwrap();
    });
    let cut = "x".repeat(31);
    assert_eq!(lines[1], format!("#trace e 0 1 0 {cut} {cut}"));
    assert_eq!(lines[2], "#trace e 0 1 0 %ff%0a%00%20%25 %");
}

#[test]
fn the_oldest_records_are_overwritten_and_counted() {
    let lines = trace(async |_, tracer| {
        for number in 0..MAX_RECORDS + 5 {
            tracer
                .event(Handle::NONE, &format!("{number}"), "")
                .unwrap();
        }
    });
    assert_eq!((lines.len(), &*lines[0]), (MAX_RECORDS + 1, "#trace h 1 5"));
    assert_eq!(lines[1], "#trace e 0 1 0 5 %");
    let last = format!("#trace e 0 1 0 {} %", MAX_RECORDS + 4);
    assert_eq!(lines.last(), Some(&last));
}

#[test]
fn open_spans_are_spared_unless_there_are_too_many() {
    let lines = trace(async |_, tracer| {
        let mut open: Vec<Handle> = (0..MAX_OPEN).map(|_| tracer.begin("kept")).collect();
        for _ in 0..MAX_RECORDS {
            tracer.end(tracer.begin("short")); // finds a place between them
        }
        open.push(tracer.begin("one more"));
        for _ in 0..MAX_RECORDS {
            tracer.event(Handle::NONE, "x", "").unwrap();
        }
        let ended = open
            .iter()
            .rev()
            .map(|span| tracer.task.trace_span_end(*span));
        let refused: Vec<Failure> = ended.filter_map(Outcome::err).collect();
        assert_eq!(refused.len(), 1);
        tracer.event(Handle::NONE, "outside", "").unwrap();
    });
    let made = MAX_OPEN + MAX_RECORDS + 1 + MAX_RECORDS + 1;
    assert_eq!(lines[0], format!("#trace h 1 {:x}", made - MAX_RECORDS));
    assert_eq!(lines.len(), 1 + MAX_RECORDS);
    assert!(lines.contains(&"#trace e 0 1 0 outside %".to_string()));
}

#[test]
fn open_spans_are_told_of_and_stay() {
    let host = Host::new();
    host.run(async |task| {
        let memory = Rc::clone(&host.memory);
        let tracer = Tracer { task, memory };
        tracer.task.trace_enable(1).unwrap();
        let span = tracer.begin("open");
        tracer.task.task_sleep(2).await.unwrap();
        for _ in 0..2 {
            let told = lines(host.program.trace());
            assert_eq!(told, ["#trace h 1 0", "#trace o 0 1 1 0 open"]);
        }
        tracer.end(span);
        let told = lines(host.program.trace());
        assert_eq!(told, ["#trace h 1 0", "#trace s 0 2 1 1 1 0 open"]);
    });
}

#[test]
fn every_number_of_a_span_has_a_handle() {
    for span in [1, 0xffff, 0x1_0000, LAST_SPAN] {
        assert_eq!(span_of(handle_of(span)), Some(span));
    }
}

#[test]
fn programs_and_rust_share_a_ring() {
    let host = Host::new();
    let trace = host.program.trace().clone();
    let nothing = trace.span("while off");
    nothing.event("x", "y");
    trace.event("x", "y");
    trace.enable().unwrap();
    let native = host.reactor.spawner().task("native").spawn({
        let (trace, clock) = (trace.clone(), host.reactor.clock());
        async move {
            let span = trace.span("outer");
            let inner = span.span("inner");
            clock.sleep(Duration::from_nanos(7)).await;
            inner.end();
            span.attribute("key=value");
            span // ends in whoever joins it
        }
    });
    host.run(async |task| {
        let memory = Rc::clone(&host.memory);
        let tracer = Tracer { task, memory };
        let span = tracer.begin("in c");
        drop(native.await.unwrap());
        tracer.end(span);
    });
    drop(nothing);
    let told: Vec<String> = trace.drain().map(|line| line.to_string()).collect();
    let names: Vec<&str> = told
        .iter()
        .filter_map(|line| line.strip_prefix("#trace t "))
        .collect();
    assert_eq!(names, ["1 native", "2 program%201", "3 main"]);
    assert_eq!(
        told[4..],
        [
            "#trace s 0 7 1 3 1 0 outer",
            "#trace s 0 7 1 1 2 1 inner",
            "#trace s 0 7 2 2 3 0 in%20c",
            "#trace e 7 1 1 % key=value",
        ]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 128 }))]
    /// Against a list of what is open, in the order it was begun.
    #[test]
    fn a_task_is_always_in_its_innermost_open_span(steps in prop::collection::vec((0u8..3, 0usize..8), 0..100)) {
        trace(async |_, tracer| {
            let mut open: Vec<Handle> = Vec::new();
            for (action, which) in steps {
                if action == 0 {
                    open.push(tracer.begin("x"));
                } else if which < open.len() {
                    let span = open.remove(which);
                    if action == 1 {
                        tracer.end(span);
                    } else {
                        tracer.task.handle_close(span).unwrap();
                    }
                }
                let trace = tracer.task.program().trace();
                let expected = open.last().and_then(|span| span_of(*span));
                assert_eq!(trace.innermost(&tracer.task.track), expected.unwrap_or(0));
            }
        });
    }
}
