//! The trace-event format, as Chrome wrote it down and Perfetto reads it.
//!
//! A task is a thread, so that each has a track of its own. What the viewer calls a complete event has to lie within
//! its neighbours on the track or beside them; spans for which that is not so, and those that end in another task,
//! are asynchronous events, which get tracks of their own.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::{Event, Recording, Span};

/// The one process there is.
const PROCESS: u32 = 1;

impl Recording {
    /// The whole recording in the trace-event format: an object with `traceEvents`.
    pub fn to_chrome(&self) -> Value {
        let nested = self.nested();
        let attributes = self.attributes();
        let mut events: Vec<(u64, Value)> = Vec::new();
        for span in &self.spans {
            let args = span.args(attributes.get(&span.number));
            match span.end {
                None => events.push((span.begin, span.event("B", span.begin, span.task, &args))),
                Some((duration, _)) if nested.contains(&span.number) => {
                    let mut complete = span.event("X", span.begin, span.task, &args);
                    complete["dur"] = micros(duration);
                    events.push((span.begin, complete));
                }
                Some((duration, ended_by)) => {
                    let end = span.begin.saturating_add(duration);
                    let begin = span.asynchronous("b", span.begin, span.task, &args);
                    let end_event = span.asynchronous("e", end, ended_by, &json!({}));
                    events.extend([(span.begin, begin), (end, end_event)]);
                }
            }
        }
        let instants = self.events.iter().filter(|event| !self.is_attribute(event));
        events.extend(instants.map(|event| (event.at, event.to_chrome())));
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
            .filter(|span| span.is_of_one_task())
            .collect();
        // What lies around comes before what lies within.
        own.sort_by_key(|span| (span.task, span.begin, u64::MAX - span.finish(), span.number));
        let mut nested = BTreeSet::new();
        let mut around: Vec<&Span> = Vec::new();
        for span in own {
            around.retain(|other| other.task == span.task && other.finish() > span.begin);
            if around
                .last()
                .is_none_or(|last| span.finish() <= last.finish())
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
        let ended_by = self.spans.iter().filter_map(|span| Some(span.end?.1));
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

impl Span {
    fn is_of_one_task(&self) -> bool {
        self.end.is_some_and(|(_, ended_by)| ended_by == self.task)
    }

    fn finish(&self) -> u64 {
        let duration = self.end.map_or(0, |(duration, _)| duration);
        self.begin.saturating_add(duration)
    }

    fn args(&self, attributes: Option<&Vec<&str>>) -> Value {
        let mut args = Map::new();
        for text in attributes.into_iter().flatten() {
            add_argument(&mut args, text);
        }
        args.insert("span".into(), self.number.into());
        if self.parent != 0 {
            args.insert("parent".into(), self.parent.into());
        }
        Value::Object(args)
    }

    fn event(&self, phase: &str, at: u64, task: u32, args: &Value) -> Value {
        json!({
            "ph": phase, "name": self.name, "cat": "span", "ts": micros(at),
            "pid": PROCESS, "tid": task, "args": args,
        })
    }

    fn asynchronous(&self, phase: &str, at: u64, task: u32, args: &Value) -> Value {
        let mut event = self.event(phase, at, task, args);
        event["id"] = format!("{:#x}", self.number).into();
        event
    }
}

impl Event {
    fn to_chrome(&self) -> Value {
        let mut args = Map::new();
        add_argument(&mut args, &self.text);
        if self.span != 0 {
            args.insert("span".into(), self.span.into());
        }
        json!({
            "ph": "i", "s": "t", "name": self.name, "cat": "event", "ts": micros(self.at),
            "pid": PROCESS, "tid": self.task, "args": args,
        })
    }
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
