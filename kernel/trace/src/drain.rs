//! What was recorded, as lines of text. Allocates nothing: it is also for a program that ends without memory.

use core::fmt::{self, Write};

use abi::trace::{End, Event, Record, Span, Text};
use reactor::Stamps;

use crate::Trace;
use crate::ring::{self, Entry, Label, Ring};

/// Lines of a trace, without line breaks; each is taken out of the trace when its turn comes. From [`Trace::drain`].
#[derive(Debug)]
pub struct Drain {
    trace: Trace,
    stamps: Stamps,
    stage: Stage,
}

/// What comes next.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Head,
    /// The names from a place on.
    Names(usize),
    /// Records with these numbers.
    Records(u64, u64),
}

impl Drain {
    /// Lines about what is there once it gets there; what is recorded after that is for the next one.
    pub(crate) fn new(trace: Trace) -> Drain {
        Drain {
            stamps: trace.0.stamper.stamps(),
            trace,
            stage: Stage::Head,
        }
    }
}

impl Iterator for Drain {
    type Item = Line;

    fn next(&mut self) -> Option<Line> {
        let (stage, stamps) = (&mut self.stage, &self.stamps);
        let mut line = self.trace.with_ring(|ring| stage.next(ring))??;
        if let Line(Kind::Entry(entry)) = &mut line {
            entry.convert(|stamp| stamps.time_of(stamp).as_nanos());
        }
        Some(line)
    }
}

impl Stage {
    fn next(&mut self, ring: &mut Ring) -> Option<Line> {
        if let Stage::Head = *self {
            *self = Stage::Names(0);
            return Some(Line(Kind::Head(ring.take_lost())));
        }
        if let Stage::Names(from) = *self {
            if let Some((next, task, label)) = ring.next_name(from) {
                *self = Stage::Names(next);
                return Some(Line(Kind::Task(task, label)));
            }
            *self = Stage::Records(ring.oldest(), ring.newest());
        }
        while let Stage::Records(next, last) = *self
            && next <= last
        {
            *self = Stage::Records(next + 1, last);
            if let Some(entry) = ring.take(next) {
                return Some(Line(Kind::Entry(entry)));
            }
        }
        None
    }
}

/// A line of a trace. [`Display`](fmt::Display) writes it as [`abi::trace`] says.
#[derive(Debug)]
pub struct Line(Kind);

#[derive(Debug)]
enum Kind {
    Head(u64),
    Task(u32, Label),
    Entry(Entry),
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Head(lost) => Record::Head { lost: *lost }.fmt(f),
            Kind::Task(task, label) => {
                let mut name = Name::default();
                label.fmt(&mut name)?;
                let (task, name) = (*task, Text::new(&name.bytes[..name.len]));
                Record::Task { task, name }.fmt(f)
            }
            Kind::Entry(entry) => entry.record().fmt(f),
        }
    }
}

/// A task's name as it is written, cut where there is no more room.
struct Name {
    bytes: [u8; MAX_NAME],
    len: usize,
}

/// Bytes of a task's name that are written.
const MAX_NAME: usize = 64;

impl Default for Name {
    fn default() -> Name {
        Name {
            bytes: [0; MAX_NAME],
            len: 0,
        }
    }
}

impl Write for Name {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = &mut self.bytes[self.len..];
        let len = text.len().min(room.len());
        room[..len].copy_from_slice(&text.as_bytes()[..len]);
        self.len += len;
        Ok(())
    }
}

impl Label {
    fn fmt(&self, name: &mut Name) -> fmt::Result {
        match self.number {
            Some(number) => write!(name, "{} {number}", self.name),
            None => name.write_str(self.name),
        }
    }
}

impl Entry {
    fn record(&self) -> Record<'_> {
        let name = Text::new(self.name.as_bytes());
        if self.kind == ring::Kind::Event {
            return Record::Event(Event {
                at: self.begin,
                task: self.task,
                span: self.parent,
                name,
                text: Text::new(self.text.as_bytes()),
            });
        }
        Record::Span(Span {
            begin: self.begin,
            task: self.task,
            number: self.number,
            parent: self.parent,
            name,
            end: (!self.is_open()).then(|| End {
                duration: self.end.saturating_sub(self.begin),
                task: self.ended_by,
            }),
        })
    }
}
