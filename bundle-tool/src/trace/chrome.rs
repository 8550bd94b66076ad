//! The trace-event format, as Chrome wrote it down and Perfetto reads it.
//!
//! A task is a thread, so that each has a track of its own. What the viewer calls a complete event has to lie within
//! its neighbours on the track or beside them; spans for which that is not so, and those that end in another task,
//! are asynchronous events, which get tracks of their own.

use std::collections::{BTreeMap, BTreeSet};

use abi::trace::End;
use serde_json::{Map, Value, json};

use super::Recording;

type Span = abi::trace::Span<String>;
type Event = abi::trace::Event<String>;

/// The one process there is.
const PROCESS: u32 = 1;

impl Recording {
    /// The whole recording in the trace-event format: an object with `traceEvents`.
    pub fn to_chrome(&self) -> Value {
        let nested = self.nested();
        let attributes = self.attributes();
        let mut events: Vec<(u64, Value)> = Vec::new();
        for span in &self.spans {
            let args = arguments(span, attributes.get(&span.number));
            let begin = |phase| phase_of(span, phase, span.begin, span.task, &args);
            match span.end {
                None => events.push((span.begin, begin("B"))),
                Some(End { duration, .. }) if nested.contains(&span.number) => {
                    let mut complete = begin("X");
                    complete["dur"] = micros(duration);
                    events.push((span.begin, complete));
                }
                Some(End { task, .. }) => {
                    let finish = finish(span);
                    let end = phase_of(span, "e", finish, task, &json!({}));
                    let [begin, end] = [begin("b"), end].map(|event| asynchronous(span, event));
                    events.extend([(span.begin, begin), (finish, end)]);
                }
            }
        }
        let instants = self.events.iter().filter(|event| !self.is_attribute(event));
        events.extend(instants.map(|event| (event.at, instant(event))));
        events.sort_by_key(|(at, _)| *at); // stable: as they were recorded
        let named = self.names_of_tracks();
        let all: Vec<Value> = named
            .into_iter()
            .chain(events.into_iter().map(|(_, event)| event))
            .collect();
        json!({
            "displayTimeUnit": "ns",
            "otherData": { "lost": self.lost, "unreadable": self.unreadable },
            "traceEvents": all,
        })
    }

    /// Spans that begin and end in one task and overlap none of its others without lying within it.
    fn nested(&self) -> BTreeSet<u64> {
        let mut own: Vec<&Span> = self
            .spans
            .iter()
            .filter(|span| span.end.is_some_and(|end| end.task == span.task))
            .collect();
        // What lies around comes before what lies within.
        own.sort_by_key(|span| (span.task, span.begin, u64::MAX - finish(span), span.number));
        let mut nested = BTreeSet::new();
        let mut around: Vec<&Span> = Vec::new();
        for span in own {
            around.retain(|other| other.task == span.task && finish(other) > span.begin);
            if around
                .last()
                .is_none_or(|last| finish(span) <= finish(last))
            {
                nested.insert(span.number);
                around.push(span);
            }
        }
        nested
    }

    /// The attributes of each span that is there.
    fn attributes(&self) -> BTreeMap<u64, Vec<&str>> {
        let mut attributes: BTreeMap<u64, Vec<&str>> = BTreeMap::new();
        for event in self.events.iter().filter(|event| self.is_attribute(event)) {
            attributes.entry(event.span).or_default().push(&event.text);
        }
        attributes
    }

    /// Whether an event is shown with its span. One whose span was lost is shown by itself.
    fn is_attribute(&self, event: &Event) -> bool {
        event.name.is_empty() && self.known.contains(&event.span)
    }

    /// Metadata: what process and tracks are called.
    fn names_of_tracks(&self) -> Vec<Value> {
        let ended_by = self.spans.iter().filter_map(|span| Some(span.end?.task));
        let tasks: BTreeSet<u32> = (self.spans.iter().map(|span| span.task))
            .chain(ended_by)
            .chain(self.events.iter().map(|event| event.task))
            .collect();
        let threads = tasks.into_iter().map(|task| {
            let unknown = || format!("task {task}");
            let name = self.names.get(&task).cloned().unwrap_or_else(unknown);
            metadata("thread_name", task, &name)
        });
        core::iter::once(metadata("process_name", 0, "ukernel"))
            .chain(threads)
            .collect()
    }
}

fn finish(span: &Span) -> u64 {
    let duration = span.end.map_or(0, |end| end.duration);
    span.begin.saturating_add(duration)
}

fn arguments(span: &Span, attributes: Option<&Vec<&str>>) -> Value {
    let mut args = Map::new();
    for text in attributes.into_iter().flatten() {
        add_argument(&mut args, text);
    }
    args.insert("span".into(), span.number.into());
    if span.parent != 0 {
        args.insert("parent".into(), span.parent.into());
    }
    Value::Object(args)
}

fn phase_of(span: &Span, phase: &str, at: u64, task: u32, args: &Value) -> Value {
    json!({
        "ph": phase, "name": span.name, "cat": "span", "ts": micros(at),
        "pid": PROCESS, "tid": task, "args": args,
    })
}

/// An event of a span that is none of a task's own.
fn asynchronous(span: &Span, mut event: Value) -> Value {
    event["id"] = format!("{:#x}", span.number).into();
    event
}

fn instant(event: &Event) -> Value {
    let mut args = Map::new();
    add_argument(&mut args, &event.text);
    if event.span != 0 {
        args.insert("span".into(), event.span.into());
    }
    json!({
        "ph": "i", "s": "t", "name": event.name, "cat": "event", "ts": micros(event.at),
        "pid": PROCESS, "tid": event.task, "args": args,
    })
}

/// `key=value` under its key, anything else as `text`.
fn add_argument(args: &mut Map<String, Value>, text: &str) {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => args.insert(key.into(), value.into()),
        _ if text.is_empty() => None,
        _ => args.insert("text".into(), text.into()),
    };
}

fn metadata(kind: &str, task: u32, name: &str) -> Value {
    json!({ "ph": "M", "name": kind, "pid": PROCESS, "tid": task, "args": { "name": name } })
}

/// The format counts in microseconds.
fn micros(nanos: u64) -> Value {
    (nanos as f64 / 1000.0).into()
}
