//! Traces out of serial logs: from the lines that a guest writes (`abi::trace`) to a file that trace viewers open.
//!
//! Owns [`Recording`]; [`Recording::to_chrome`] makes the trace-event format of Chrome and Perfetto of it. A log may
//! hold anything else between the lines, and lines that are cut or garbled: those are counted and left out.
//!
//! ```
//! use bundle_tool::trace::Recording;
//! let recording = Recording::of("[ 0.1] INFO hello\n#trace h 1 0\n#trace s 3e8 7d0 1 1 1 0 work\n");
//! assert_eq!((recording.spans(), recording.unreadable()), (1, 0));
//! assert_eq!(recording.to_chrome()["traceEvents"][2]["name"], "work");
//! ```

mod chrome;

use std::collections::{BTreeMap, BTreeSet};

use abi::trace::{Event, PREFIX, Record, Span, Text};

/// Everything that the lines of a log tell.
#[derive(Debug, Default)]
pub struct Recording {
    /// Names of tasks, by number.
    names: BTreeMap<u32, String>,
    spans: Vec<Span<String>>,
    /// The numbers of these spans.
    known: BTreeSet<u64>,
    events: Vec<Event<String>>,
    lost: u64,
    unreadable: usize,
}

impl Recording {
    /// Reads a log.
    pub fn of(log: &str) -> Recording {
        let mut recording = Recording::default();
        for line in log.lines().filter(|line| line.starts_with(PREFIX)) {
            match Record::parse(line) {
                Some(record) => recording.add(record),
                None => recording.unreadable += 1,
            }
        }
        recording.forget_opened();
        recording
    }

    /// How many spans there are.
    pub fn spans(&self) -> usize {
        self.spans.len()
    }

    /// How many events there are, attributes of spans among them.
    pub fn events(&self) -> usize {
        self.events.len()
    }

    /// How many records the guest had no room for.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// How many lines of a trace could not be read.
    pub fn unreadable(&self) -> usize {
        self.unreadable
    }

    fn add(&mut self, record: Record<'_>) {
        match record {
            Record::Head { lost } => self.lost = self.lost.saturating_add(lost),
            Record::Task { task, name } => {
                self.names.insert(task, string(name));
            }
            Record::Span(span) => self.spans.push(span.map(string)),
            Record::Event(event) => self.events.push(event.map(string)),
        }
    }

    /// A span that was open in one drain and over in a later one, or open in several, is one span.
    fn forget_opened(&mut self) {
        let ended = self.spans.iter().filter(|span| span.end.is_some());
        self.known = ended.map(|span| span.number).collect();
        self.spans
            .retain(|span| span.end.is_some() || self.known.insert(span.number));
    }
}

fn string(text: Text<'_>) -> String {
    let bytes: Vec<u8> = text.bytes().collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests;
