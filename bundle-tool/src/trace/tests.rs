//! Golden output, the odd cases, and logs of garbage.

use proptest::prelude::*;
use serde_json::Value;

use super::Recording;

/// What a guest wrote, line breaks of a serial line included.
const LOG: &str = include_str!("serial.txt");
/// What it has to become.
const GOLDEN: &str = include_str!("golden.json");

/// The events of a log that are no metadata: phase, name, task, time and duration.
fn events(log: &str) -> Vec<(String, String, u64, f64, f64)> {
    let chrome = Recording::of(log).to_chrome();
    let events = chrome["traceEvents"].as_array().unwrap().iter();
    events
        .filter(|event| event["ph"] != "M")
        .map(|event| {
            let text = |key: &str| event[key].as_str().unwrap().to_owned();
            let number = |key: &str| event[key].as_f64().unwrap_or(0.0);
            let task = event["tid"].as_u64().unwrap();
            (text("ph"), text("name"), task, number("ts"), number("dur"))
        })
        .collect()
}

fn phases(log: &str) -> String {
    events(log).iter().map(|event| &*event.0).collect()
}

#[test]
fn a_log_becomes_the_golden_file() {
    let recording = Recording::of(LOG);
    assert_eq!((recording.spans(), recording.events()), (5, 4));
    assert_eq!((recording.lost(), recording.unreadable()), (3, 1));
    let golden: Value = serde_json::from_str(GOLDEN).unwrap();
    let chrome = recording.to_chrome();
    assert_eq!(chrome, golden, "{chrome:#}");
}

#[test]
fn spans_that_overlap_are_asynchronous() {
    let log = |second: &str| format!("#trace s 10 20 1 1 1 0 a\n#trace s {second} 0 b\n");
    for (second, expected) in [
        ("10 20 1 1 2", "XX"), // the same time
        ("18 8 1 1 2", "XX"),  // within
        ("30 8 1 1 2", "XX"),  // after
        ("20 10 1 1 2", "XX"), // within, to the same end
        ("20 11 1 1 2", "Xbe"),
        ("20 11 2 2 2", "XX"),  // another task's
        ("20 11 1 2 2", "Xbe"), // ended by another task
    ] {
        assert_eq!(phases(&log(second)), expected, "{second}");
    }
}

#[test]
fn a_span_that_is_over_by_now_is_told_of_once() {
    let open = "#trace o 3e8 1 7 0 x\n";
    assert_eq!(phases(&open.repeat(2)), "B");
    let over = "#trace s 3e8 7d0 1 1 7 0 x\n";
    let expected = [("X".to_owned(), "x".to_owned(), 1, 1.0, 2.0)];
    assert_eq!(events(&format!("{open}{over}")), expected);
}

#[test]
fn an_attribute_without_its_span_is_an_event() {
    let log = "#trace e 1 1 9 % key=value\n";
    assert_eq!(phases(log), "i");
    assert_eq!(phases(&format!("{log}#trace s 1 1 1 1 9 0 x\n")), "X");
}

#[test]
fn lines_within_other_lines_are_none() {
    let recording = Recording::of("INFO #trace s 1 1 1 1 9 0 x\n #trace h 1 0\n");
    assert_eq!((recording.spans(), recording.unreadable()), (0, 0));
}

/// A line as a guest might write it, with something in it changed.
fn line() -> impl Strategy<Value = String> {
    let field = prop_oneof![
        "[0-9a-f]{1,17}",
        "[ -~]{0,8}",
        "%[0-9a-f]{0,3}",
        any::<String>()
    ];
    let fields = prop::collection::vec(field, 0..9);
    ("[htsoex]", fields).prop_map(|(kind, fields)| format!("#trace {kind} {}", fields.join(" ")))
}

/// A line whose fields are right.
fn good_line() -> impl Strategy<Value = String> {
    let number = || prop_oneof![0u64..4, any::<u64>()];
    (
        number(),
        number(),
        0u32..3,
        0u32..3,
        0u64..4,
        number(),
        "[%a-z0-9]{1,4}",
    )
        .prop_map(|(begin, took, task, by, span, parent, name)| {
            let over =
                format!("#trace s {begin:x} {took:x} {task:x} {by:x} {span:x} {parent:x} {name}");
            let open = format!("#trace o {begin:x} {by:x} {span:x} 0 {name}");
            format!("{over}\n{open}")
        })
}

proptest! {
    #[test]
    fn no_log_is_too_odd(lines in prop::collection::vec(prop_oneof![line(), good_line()], 0..40)) {
        let recording = Recording::of(&lines.join("\n"));
        let chrome = recording.to_chrome();
        let events = chrome["traceEvents"].as_array().unwrap();
        let of = |phase: &str| events.iter().filter(|event| event["ph"] == phase).count();
        prop_assert_eq!(of("X") + of("B") + of("b"), recording.spans());
        prop_assert_eq!(of("b"), of("e"));
    }

    #[test]
    fn no_text_is_too_odd(log in any::<String>(), cut in 0usize..2000) {
        Recording::of(&log).to_chrome();
        let mut cut = cut.min(LOG.len());
        while !LOG.is_char_boundary(cut) {
            cut -= 1;
        }
        Recording::of(&LOG[..cut]).to_chrome();
    }
}
