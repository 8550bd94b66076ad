//! What a trace has recorded: a ring of records, in which spans that are not over stay until they are.
//!
//! All of it is allocated at once, when tracing is switched on; recording and draining allocate nothing. Where room is
//! short the oldest record is overwritten, and counted.
//!
//! Records have numbers that count up and are never used again. The place of a record is its number modulo the places,
//! so finding a span is one look, and a number that has had its time finds another record there, or none. What is
//! known of a span is written where it stays: ending it adds the end. Numbers whose place has a span that is
//! still open are left out.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::Cell;

use abi::Error;

use super::name::{Name, Said};

/// The most records that are kept until they are drained, open spans among them. Beyond, the oldest is overwritten.
pub(super) const MAX_RECORDS: usize = 2048;
/// The most open spans that are spared when their place has its turn. Beyond, they are given up like other records, and
/// cannot be ended any more.
pub(super) const MAX_OPEN: usize = MAX_RECORDS / 2;
/// The most tasks whose names are known. Beyond, one is forgotten, and shown by its number.
const MAX_NAMES: usize = 256;
/// The last number of a record: as many as handles can tell apart. Nothing is recorded after it.
pub(super) const LAST: u64 = (1 << 40) - 1;
/// The end of a span that is not over.
const OPEN: u64 = u64::MAX;

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

/// A span or an event. Its times are stamps, until it is drained.
#[derive(Clone, Debug, Default)]
pub(super) struct Entry {
    /// 0: there is none in this place.
    pub(super) number: u64,
    pub(super) begin: u64,
    pub(super) end: u64,
    /// The span around it.
    pub(super) parent: u64,
    pub(super) task: u32,
    pub(super) ended_by: u32,
    pub(super) name: Name,
    /// An event's; a span has none.
    pub(super) text: Option<Name>,
    /// The task of a program that an open span is within, and the span that task is in when this is over.
    track: Option<Rc<Track>>,
    around: u64,
}

impl Entry {
    pub(super) fn is_open(&self) -> bool {
        self.end == OPEN
    }

    /// Turns its stamps into times.
    pub(super) fn convert(&mut self, time_of: impl Fn(u64) -> u64) {
        self.begin = time_of(self.begin);
        if self.end != OPEN {
            self.end = time_of(self.end);
        }
    }
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
    entries: Box<[Entry; MAX_RECORDS]>,
    open: usize,
    last: u64,
    /// The last one when this was drained.
    drained: u64,
    /// Of the numbers since then, those that were left out or forgotten.
    left_out: u64,
    /// Of those before, the ones that were lost since then.
    lost: u64,
    /// By the task's number modulo the places.
    names: Box<[Option<(u32, Label)>; MAX_NAMES]>,
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
            entries: places()?,
            open: 0,
            last: 0,
            drained: 0,
            left_out: 0,
            lost: 0,
            names: places()?,
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
    pub(super) fn begin(&mut self, at: u64, task: u32, parent: u64, name: Said<'_>) -> u64 {
        let Some(number) = self.claim() else {
            return 0;
        };
        self.open += 1;
        let entry = self.entry(number);
        // Field by field: as a whole it would be put together elsewhere, and then copied.
        entry.number = number;
        entry.begin = at;
        entry.end = OPEN;
        entry.parent = parent;
        entry.task = task;
        entry.name.set(name);
        entry.text = None;
        number
    }

    /// Puts an open span into a task of a program: it is the one that task is in now.
    pub(super) fn step_in(&mut self, span: u64, track: &Rc<Track>) {
        let entry = self.entry(span);
        entry.around = track.present.replace(span);
        entry.track = Some(Rc::clone(track));
    }

    /// Whether a span is open.
    pub(super) fn is_open(&self, span: u64) -> bool {
        let entry = &self.entries[span as usize % MAX_RECORDS];
        entry.number == span && entry.is_open()
    }

    /// Ends a span. `false`: it is not open.
    #[inline]
    pub(super) fn end(&mut self, at: u64, ended_by: u32, span: u64) -> bool {
        let entry = &mut self.entries[span as usize % MAX_RECORDS];
        if entry.number != span || entry.end != OPEN {
            return false;
        }
        entry.end = at;
        entry.ended_by = ended_by;
        self.open -= 1;
        if entry.track.is_some() {
            self.step_out(span);
        }
        true
    }

    /// Takes a span out that is open, as if it had never been.
    pub(super) fn forget(&mut self, span: u64) {
        self.end(0, 0, span);
        self.entry(span).number = 0;
        self.left_out += u64::from(span > self.drained);
    }

    /// Records an event.
    pub(super) fn event(&mut self, at: u64, task: u32, span: u64, name: Said<'_>, text: &[u8]) {
        let Some(number) = self.claim() else {
            return;
        };
        let entry = self.entry(number);
        (entry.number, entry.parent) = (number, span);
        (entry.begin, entry.end) = (at, at);
        entry.task = task;
        entry.name.set(name);
        entry.text.insert(Name::default()).set(Said::Bytes(text));
    }

    /// The number of the oldest record there may be.
    pub(super) fn oldest(&self) -> u64 {
        (self.last + 1).saturating_sub(MAX_RECORDS as u64)
    }

    /// The number of the newest record.
    pub(super) fn newest(&self) -> u64 {
        self.last
    }

    /// What is in the place of a number; it is taken out of it, unless it is an open span.
    pub(super) fn take(&mut self, number: u64) -> Option<Entry> {
        let entry = self.entry(number);
        let taken = (entry.number != 0).then(|| entry.clone());
        if !entry.is_open() {
            entry.number = 0;
        }
        taken
    }

    /// How many of the records since this was asked last were overwritten.
    pub(super) fn take_lost(&mut self) -> u64 {
        let since = core::mem::replace(&mut self.drained, self.last);
        let made = self.last - since - core::mem::take(&mut self.left_out);
        let there = self.entries.iter().filter(|entry| entry.number > since);
        made - there.count() as u64 + core::mem::take(&mut self.lost)
    }

    /// As if that many records had been made and drained.
    #[cfg(test)]
    pub(super) fn skip_to(&mut self, last: u64) {
        self.last = last;
    }

    #[inline]
    fn entry(&mut self, number: u64) -> &mut Entry {
        &mut self.entries[number as usize % MAX_RECORDS]
    }

    /// The number of the next record. What is in its place is overwritten.
    #[inline]
    fn claim(&mut self) -> Option<u64> {
        let number = self.last + 1;
        if number > LAST || self.entry(number).is_open() {
            return self.claim_beyond(number);
        }
        self.last = number;
        Some(number)
    }

    /// The same where an open span is in the place: beyond it, or if there are too many, over it.
    #[cold]
    fn claim_beyond(&mut self, from: u64) -> Option<u64> {
        let mut number = from;
        while self.entry(number).is_open() && self.open <= MAX_OPEN {
            number += 1;
        }
        if number > LAST {
            return None;
        }
        self.left_out += number - from;
        let entry = self.entry(number);
        if entry.is_open() {
            let there = entry.number;
            self.end(0, 0, there);
            self.lost += u64::from(there <= self.drained);
        }
        self.last = number;
        Some(number)
    }

    /// A task is no longer in a span that is over: it is in the one around it, and so are those within.
    fn step_out(&mut self, gone: u64) {
        let entry = self.entry(gone);
        let around = entry.around;
        let Some(track) = entry.track.take() else {
            return;
        };
        let mut inner = track.present.get();
        if inner == gone {
            track.present.set(around);
            return;
        }
        while self.is_open(inner) {
            let entry = self.entry(inner);
            if entry.around == gone {
                entry.around = around;
                return;
            }
            inner = entry.around;
        }
    }
}

/// So many empty places.
fn places<T: Clone + Default, const COUNT: usize>() -> Result<Box<[T; COUNT]>, Error> {
    let mut places = Vec::new();
    let reserved = places.try_reserve_exact(COUNT);
    reserved.map_err(|_| Error::NoMemory)?;
    places.resize(COUNT, T::default());
    let places: Result<Box<[T; COUNT]>, _> = places.into_boxed_slice().try_into();
    places.map_err(|_| Error::NoMemory) // it has that length
}
