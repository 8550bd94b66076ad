//! What was recorded, as lines of text. Allocates nothing: it is also for a program that ends without memory.

use core::fmt::{self, Write};

use abi::trace::{Record, Text};

use super::Trace;
use super::buffer::{Buffer, Label, Open};
use super::ring::Past;

/// Lines of a trace, without line breaks; each is taken out of the trace when its turn comes. From [`Trace::drain`].
#[derive(Debug)]
pub struct Drain {
    trace: Trace,
    stage: Stage,
}

/// What comes next.
#[derive(Clone, Copy, Debug)]
enum Stage {
    /// The head; there are so many records.
    Head(usize),
    /// The names from a place on.
    Names(usize, usize),
    /// So many records.
    Past(usize),
    /// The open spans from a place on.
    Open(usize),
}

impl Drain {
    /// Lines about what is there now; what is recorded meanwhile is for the next one.
    pub(super) fn new(trace: Trace) -> Drain {
        let records = trace.with_buffer(|buffer| buffer.past.len()).unwrap_or(0);
        Drain {
            trace,
            stage: Stage::Head(records),
        }
    }
}

impl Iterator for Drain {
    type Item = Line;

    fn next(&mut self) -> Option<Line> {
        let stage = &mut self.stage;
        self.trace.with_buffer(|buffer| stage.next(buffer))?
    }
}

impl Stage {
    fn next(&mut self, buffer: &mut Buffer) -> Option<Line> {
        if let Stage::Head(records) = *self {
            *self = Stage::Names(0, records);
            return Some(Line(Kind::Head(buffer.past.take_lost())));
        }
        if let Stage::Names(from, records) = *self {
            if let Some((next, task, label)) = buffer.next_name(from) {
                *self = Stage::Names(next, records);
                return Some(Line(Kind::Task(task, label)));
            }
            *self = Stage::Past(records);
        }
        if let Stage::Past(left @ 1..) = *self {
            *self = Stage::Past(left - 1);
            if let Some(past) = buffer.past.take_oldest() {
                return Some(Line(Kind::Past(past)));
            }
        }
        let from = match *self {
            Stage::Open(from) => from,
            _ => 0,
        };
        let (next, open) = buffer.next_open(from)?;
        *self = Stage::Open(next);
        Some(Line(Kind::Open(open.clone())))
    }
}

/// A line of a trace. [`Display`](fmt::Display) writes it as [`abi::trace`] says.
#[derive(Debug)]
pub struct Line(Kind);

#[derive(Debug)]
enum Kind {
    Head(u64),
    Task(u32, Label),
    Past(Past),
    Open(Open),
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
            Kind::Past(past) => past.fmt_record(f),
            Kind::Open(open) => open.fmt_record(f),
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

impl Past {
    fn fmt_record(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Text::new(self.name.as_bytes());
        let (task, ended_by) = self.tasks;
        let record = match &self.text {
            Some(text) => Record::Event {
                at: self.begin,
                task,
                span: self.span,
                name,
                text: Text::new(text.as_bytes()),
            },
            None => Record::Span {
                begin: self.begin,
                duration: self.end.saturating_sub(self.begin),
                task,
                ended_by,
                span: self.span,
                parent: self.parent,
                name,
            },
        };
        fmt::Display::fmt(&record, f)
    }
}

impl Open {
    fn fmt_record(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let record = Record::Open {
            begin: self.begin,
            task: self.task,
            span: self.span,
            parent: self.parent,
            name: Text::new(self.name.as_bytes()),
        };
        fmt::Display::fmt(&record, f)
    }
}
