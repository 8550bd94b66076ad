//! What a trace has recorded: a ring of what is over, and the spans that are not.
//!
//! All of it is allocated at once, when tracing is switched on; recording and draining allocate nothing. Where room is
//! short something older goes, and is counted.
//!
//! Spans have numbers that count up and are never used again. The place of a span is its number modulo the places, so
//! finding it is one look, and a number that has had its time finds another span there, or none. Numbers whose place is
//! taken by a span that is still open are left out.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::Cell;

use abi::Error;

use super::name::Name;
use super::ring::{Past, Ring};

/// The most spans that are open at a time. Beyond, the one whose place is next is given up: it cannot be ended any more.
pub(super) const MAX_OPEN: usize = 1024;
/// The most tasks whose names are known. Beyond, one is forgotten, and shown by its number.
const MAX_NAMES: usize = 256;
/// The last number of a span: as many as handles can tell apart. There are no spans after it.
pub(super) const LAST_SPAN: u64 = (1 << 40) - 1;

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

/// A span that is not over.
#[derive(Clone, Debug, Default)]
pub(super) struct Open {
    /// Its number; 0: there is none in this place.
    pub(super) span: u64,
    pub(super) begin: u64,
    pub(super) parent: u64,
    pub(super) task: u32,
    pub(super) name: Name,
    /// The task of a program that it is within, and the span that task is in when this is over.
    track: Option<Rc<Track>>,
    around: u64,
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
    pub(super) past: Ring,
    open: Vec<Open>,
    open_count: usize,
    last_span: u64,
    /// By the task's number modulo the places.
    names: Vec<Option<(u32, Label)>>,
    /// The task that was named last: most often it is the same one again.
    last_named: Option<u32>,
}

impl Buffer {
    /// An empty one.
    ///
    /// # Errors
    /// [`Error::NoMemory`].
    pub(super) fn new() -> Result<Buffer, Error> {
        Ok(Buffer {
            past: Ring::new()?,
            open: places(MAX_OPEN)?,
            open_count: 0,
            last_span: 0,
            names: places(MAX_NAMES)?,
            last_named: None,
        })
    }

    /// Notes what a task is called.
    #[inline]
    pub(super) fn name(&mut self, task: u32, label: impl FnOnce() -> Label) {
        if self.last_named != Some(task) {
            self.last_named = Some(task);
            self.names[task as usize % MAX_NAMES] = Some((task, label()));
        }
    }

    /// The first task from a place on whose name is known, and the place behind.
    pub(super) fn next_name(&self, from: usize) -> Option<(usize, u32, Label)> {
        let mut names = (from..MAX_NAMES).zip(self.names.get(from..)?);
        names.find_map(|(at, name)| name.map(|(task, label)| (at + 1, task, label)))
    }

    /// Begins a span; its number. 0: there are none left.
    #[inline]
    pub(super) fn begin(&mut self, begin: u64, task: u32, parent: u64, name: Name) -> u64 {
        let Some(number) = self.next_span() else {
            return 0;
        };
        self.last_span = number;
        self.open_count += 1;
        let place = &mut self.open[number as usize % MAX_OPEN];
        // Field by field: as a whole it would be put together elsewhere, and then copied.
        place.span = number;
        place.begin = begin;
        place.parent = parent;
        place.task = task;
        place.name = name;
        number
    }

    /// Puts an open span into a task of a program: it is the one that task is in now.
    pub(super) fn step_in(&mut self, span: u64, track: &Rc<Track>) {
        let place = &mut self.open[span as usize % MAX_OPEN];
        place.around = track.present.replace(span);
        place.track = Some(Rc::clone(track));
    }

    /// Whether a span is open.
    pub(super) fn is_open(&self, span: u64) -> bool {
        span != 0 && self.open[span as usize % MAX_OPEN].span == span
    }

    /// Ends a span and records it. `false`: it is not open.
    #[inline]
    pub(super) fn end(&mut self, end: u64, ended_by: u32, span: u64) -> bool {
        if !self.is_open(span) {
            return false;
        }
        let open = &self.open[span as usize % MAX_OPEN];
        let past = self.past.next();
        past.begin = open.begin;
        past.end = end;
        past.tasks = (open.task, ended_by);
        past.span = span;
        past.parent = open.parent;
        past.name = open.name;
        past.text = None;
        self.forget(span);
        true
    }

    /// Records an event.
    pub(super) fn event(&mut self, at: u64, task: u32, span: u64, name: Name, text: Name) {
        *self.past.next() = Past {
            begin: at,
            end: at,
            tasks: (task, task),
            span,
            parent: 0,
            name,
            text: Some(text),
        };
    }

    /// Takes an open span out.
    #[inline]
    pub(super) fn forget(&mut self, span: u64) {
        let place = &mut self.open[span as usize % MAX_OPEN];
        place.span = 0;
        self.open_count -= 1;
        if let Some(track) = place.track.take() {
            let around = place.around;
            self.step_out(&track, span, around);
        }
    }

    /// The first open span from a place on, and the place behind.
    pub(super) fn next_open(&self, from: usize) -> Option<(usize, &Open)> {
        let mut open = (from..MAX_OPEN).zip(self.open.get(from..)?);
        open.find_map(|(at, open)| (open.span != 0).then_some((at + 1, open)))
    }

    /// As if that span had been begun and ended.
    #[cfg(test)]
    pub(super) fn skip_to(&mut self, span: u64) {
        self.last_span = span;
    }

    /// The next number whose place is free; where none is, the next place is freed.
    #[inline]
    fn next_span(&mut self) -> Option<u64> {
        let mut number = self.last_span + 1;
        let mut taken = self.open[number as usize % MAX_OPEN].span;
        if taken != 0 && self.open_count == MAX_OPEN {
            self.past.lost += 1;
            self.forget(taken);
            taken = 0;
        }
        while taken != 0 {
            number += 1;
            taken = self.open[number as usize % MAX_OPEN].span;
        }
        (number <= LAST_SPAN).then_some(number)
    }

    /// A task is no longer in a span that was taken out: it is in the one around it, and so are those within.
    fn step_out(&mut self, track: &Track, gone: u64, around: u64) {
        let mut inner = track.present.get();
        if inner == gone {
            track.present.set(around);
            return;
        }
        while self.is_open(inner) {
            let span = &mut self.open[inner as usize % MAX_OPEN];
            if span.around == gone {
                span.around = around;
                return;
            }
            inner = span.around;
        }
    }
}

/// So many empty places.
///
/// # Errors
/// [`Error::NoMemory`].
pub(super) fn places<T: Clone + Default>(count: usize) -> Result<Vec<T>, Error> {
    let mut places = Vec::new();
    let reserved = places.try_reserve_exact(count);
    reserved.map_err(|_| Error::NoMemory)?;
    places.resize(count, T::default());
    Ok(places)
}
