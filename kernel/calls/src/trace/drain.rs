//! What was recorded, as lines of text. Allocates nothing: it is also for a program that ends without memory.

use core::fmt::{self, Write};

use abi::trace::{Record, Text};
use reactor::Stamps;

use super::Trace;
use super::buffer::{Buffer, Entry, Label};

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
    pub(super) fn new(trace: Trace) -> Drain {
        Drain {
            stamps: trace.0.clock.stamps(),
            trace,
            stage: Stage::Head,
        }
    }
}

impl Iterator for Drain {
    type Item = Line;

    fn next(&mut self) -> Option<Line> {
        let (stage, stamps) = (&mut self.stage, &self.stamps);
        let mut line = self.trace.with_buffer(|buffer| stage.next(buffer))??;
        if let Line(Kind::Entry(entry)) = &mut line {
            entry.convert(|stamp| stamps.time_of(stamp).as_nanos());
        }
        Some(line)
    }
}

impl Stage {
    fn next(&mut self, buffer: &mut Buffer) -> Option<Line> {
        if let Stage::Head = *self {
            *self = Stage::Names(0);
            return Some(Line(Kind::Head(buffer.take_lost())));
        }
        if let Stage::Names(from) = *self {
            if let Some((next, task, label)) = buffer.next_name(from) {
                *self = Stage::Names(next);
                return Some(Line(Kind::Task(task, label)));
            }
            *self = Stage::Records(buffer.oldest(), buffer.newest());
        }
        while let Stage::Records(next, last) = *self
            && next <= last
        {
            *self = Stage::Records(next + 1, last);
            if let Some(entry) = buffer.take(next) {
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
            Kind::Task(task, Label::Native(name)) => named(*task, name.as_bytes()).fmt(f),
            Kind::Task(task, Label::Program(id)) => {
                let mut name = Name::default();
                write!(name, "program {id}")?;
                named(*task, &name.bytes[..name.len]).fmt(f)
            }
            Kind::Entry(entry) => entry.record().fmt(f),
        }
    }
}

fn named(task: u32, name: &[u8]) -> Record<'_> {
    let name = Text::new(name);
    Record::Task { task, name }
}

/// Room for "program " and any number.
#[derive(Default)]
struct Name {
    bytes: [u8; 28],
    len: usize,
}

impl Write for Name {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.bytes.get_mut(self.len..self.len + text.len());
        room.ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.len += text.len();
        Ok(())
    }
}

impl Entry {
    fn record(&self) -> Record<'_> {
        let name = Text::new(self.name.as_bytes());
        match &self.text {
            Some(text) => Record::Event {
                at: self.begin,
                task: self.task,
                span: self.parent,
                name,
                text: Text::new(text.as_bytes()),
            },
            None if self.is_open() => Record::Open {
                begin: self.begin,
                task: self.task,
                span: self.number,
                parent: self.parent,
                name,
            },
            None => Record::Span {
                begin: self.begin,
                duration: self.end.saturating_sub(self.begin),
                task: self.task,
                ended_by: self.ended_by,
                span: self.number,
                parent: self.parent,
                name,
            },
        }
    }
}
