//! What a trace has recorded: a ring of what is over, and the spans that are not.
//!
//! All of it is allocated at once, when tracing is switched on; recording and draining allocate nothing. Where room is
//! short something older goes, and is counted.
//!
//! Spans have numbers that count up and are never used again. The place of a span is its number modulo the places, so
//! finding it is one look, and a number that has had its time finds another span there, or none. Numbers whose place is
//! taken by a span that is still open are left out.

use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::Cell;

use abi::Error;
use abi::trace::MAX_TEXT;

/// The most records that are kept until they are drained. Beyond, the oldest is overwritten.
pub(super) const MAX_RECORDS: usize = 2048;
/// The most spans that are open at a time. Beyond, the one whose place is next is given up: it cannot be ended any more.
pub(super) const MAX_OPEN: usize = 1024;
/// The most tasks whose names are known. Beyond, one is forgotten, and shown by its number.
const MAX_NAMES: usize = 256;
/// The last number of a span: as many as handles can tell apart. There are no spans after it.
pub(super) const LAST_SPAN: u64 = (1 << 40) - 1;

/// A name or a text, cut.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Short {
    len: u8,
    bytes: [u8; MAX_TEXT],
}

impl Short {
    pub(super) fn new(text: &[u8]) -> Short {
        let len = text.len().min(MAX_TEXT);
        let mut bytes = [0; MAX_TEXT];
        bytes[..len].copy_from_slice(&text[..len]);
        Short {
            len: len as u8,
            bytes,
        }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// Where a task of a program is: its number in the trace, and the span that it is in.
#[derive(Debug)]
pub(crate) struct Track {
    pub(super) task: u32,
    /// The innermost span that it has begun and nobody has ended; 0: none.
    pub(super) present: Cell<u64>,
}

impl Track {
    /// Of the task with this number, which is in no span.
    pub(crate) fn new(task: u32) -> Track {
        Track {
            task,
            present: Cell::new(0),
        }
    }
}

/// What is over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Past {
    pub(super) begin: u64,
    /// When a span ended; an event's is when it began.
    pub(super) end: u64,
    pub(super) task: u32,
    pub(super) ended_by: u32,
    /// The span, or the one that an event is in.
    pub(super) span: u64,
    pub(super) parent: u64,
    pub(super) name: Short,
    /// `None`: it is a span.
    pub(super) text: Option<Short>,
}

/// A span that is not over.
#[derive(Clone, Debug)]
pub(super) struct Open {
    pub(super) begin: u64,
    pub(super) span: u64,
    pub(super) parent: u64,
    pub(super) task: u32,
    pub(super) name: Short,
    /// The task of a program that it is within, and the span that task is in when this is over.
    pub(super) track: Option<Rc<Track>>,
    pub(super) around: u64,
}

/// What a task is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Label {
    /// A task of a program, by its number there.
    Program(u64),
    /// Any other.
    Native(&'static str),
}

/// Everything that was recorded.
#[derive(Debug)]
pub(super) struct Buffer {
    past: VecDeque<Past>,
    lost: u64,
    open: Vec<Option<Open>>,
    open_count: usize,
    last_span: u64,
    /// By the task's number modulo the places.
    names: Vec<Option<(u32, Label)>>,
}

impl Buffer {
    /// An empty one.
    ///
    /// # Errors
    /// [`Error::NoMemory`].
    pub(super) fn new() -> Result<Buffer, Error> {
        let mut past = VecDeque::new();
        past.try_reserve_exact(MAX_RECORDS)
            .map_err(|_| Error::NoMemory)?;
        Ok(Buffer {
            past,
            lost: 0,
            open: places(MAX_OPEN)?,
            open_count: 0,
            last_span: 0,
            names: places(MAX_NAMES)?,
        })
    }

    /// Notes what a task is called.
    pub(super) fn name(&mut self, task: u32, label: Label) {
        self.names[task as usize % MAX_NAMES] = Some((task, label));
    }

    /// The first task from a place on whose name is known, and the place behind.
    pub(super) fn next_name(&self, from: usize) -> Option<(usize, u32, Label)> {
        let mut names = (from..MAX_NAMES).zip(self.names.get(from..)?);
        names.find_map(|(at, name)| name.map(|(task, label)| (at + 1, task, label)))
    }

    /// Begins a span; its number, which `span.span` becomes. 0: there are no numbers left.
    pub(super) fn begin(&mut self, mut span: Open) -> u64 {
        let Some(number) = self.next_span() else {
            return 0;
        };
        self.last_span = number;
        span.span = number;
        if let Some(track) = &span.track {
            span.around = track.present.replace(number);
        }
        let place = &mut self.open[number as usize % MAX_OPEN];
        match place.replace(span) {
            None => self.open_count += 1,
            Some(given_up) => {
                self.lost += 1;
                self.step_out(&given_up);
            }
        }
        number
    }

    /// A span that is open.
    pub(super) fn find(&self, span: u64) -> Option<&Open> {
        let open = self.open.get(span as usize % MAX_OPEN)?.as_ref()?;
        (open.span == span).then_some(open)
    }

    /// Takes a span out; `None`: it is not open.
    pub(super) fn close(&mut self, span: u64) -> Option<Open> {
        self.find(span)?;
        let open = self.open[span as usize % MAX_OPEN].take()?;
        self.open_count -= 1;
        self.step_out(&open);
        Some(open)
    }

    /// Records something that is over.
    pub(super) fn record(&mut self, past: Past) {
        if self.past.len() == MAX_RECORDS {
            self.past.pop_front();
            self.lost += 1;
        }
        self.past.push_back(past);
    }

    /// How many records there are.
    pub(super) fn len(&self) -> usize {
        self.past.len()
    }

    /// Takes the oldest record.
    pub(super) fn take_oldest(&mut self) -> Option<Past> {
        self.past.pop_front()
    }

    /// How many were lost since it was asked last.
    pub(super) fn take_lost(&mut self) -> u64 {
        core::mem::take(&mut self.lost)
    }

    /// The first open span from a place on, and the place behind.
    pub(super) fn next_open(&self, from: usize) -> Option<(usize, &Open)> {
        let mut open = (from..MAX_OPEN).zip(self.open.get(from..)?);
        open.find_map(|(at, open)| Some((at + 1, open.as_ref()?)))
    }

    /// As if that span had been begun and ended.
    #[cfg(test)]
    pub(super) fn skip_to(&mut self, span: u64) {
        self.last_span = span;
    }

    /// The next number whose place is free, or where none is, the next one.
    fn next_span(&self) -> Option<u64> {
        let mut number = self.last_span + 1;
        while self.open_count < MAX_OPEN && self.open[number as usize % MAX_OPEN].is_some() {
            number += 1;
        }
        (number <= LAST_SPAN).then_some(number)
    }

    /// A task is no longer in a span that was taken out: it is in the one around it, and so are those within.
    fn step_out(&mut self, gone: &Open) {
        let Some(track) = &gone.track else {
            return;
        };
        if track.present.get() == gone.span {
            track.present.set(gone.around);
            return;
        }
        let mut inner = track.present.get();
        while let Some(span) = &mut self.open[inner as usize % MAX_OPEN]
            && span.span == inner
        {
            if span.around == gone.span {
                span.around = gone.around;
                return;
            }
            inner = span.around;
        }
    }
}

fn places<T: Clone>(count: usize) -> Result<Vec<Option<T>>, Error> {
    let mut places = Vec::new();
    let reserved = places.try_reserve_exact(count);
    reserved.map_err(|_| Error::NoMemory)?;
    places.resize(count, None);
    Ok(places)
}
