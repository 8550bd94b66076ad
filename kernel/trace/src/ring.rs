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
use alloc::vec::Vec;

use abi::Error;

use crate::name::Name;

/// The most records that are kept until they are drained, open spans among them. Beyond, the oldest is overwritten.
pub const MAX_RECORDS: usize = 2048;
/// The most open spans that are spared when their place has its turn. Beyond, they are given up like other records, and
/// cannot be ended any more.
pub const MAX_OPEN: usize = MAX_RECORDS / 2;
/// The most tasks whose names are known. Beyond, one is forgotten, and shown by its number.
const MAX_NAMES: usize = 256;
/// The last number of a record: as many as handles can tell apart. Nothing is recorded after it.
pub const LAST_SPAN: u64 = (1 << 40) - 1;
/// No task's number.
const NOBODY: u64 = u64::MAX;
/// The end of a span that is not over.
const OPEN: u64 = u64::MAX;

/// A span or an event. Its times are stamps, until it is drained.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entry {
    /// It stays when the record was drained: it says what the span around was. 0: there was none in this place.
    pub(crate) number: u64,
    pub(crate) begin: u64,
    pub(crate) end: u64,
    /// The span around it.
    pub(crate) parent: u64,
    pub(crate) task: u32,
    pub(crate) ended_by: u32,
    pub(crate) name: Name,
    /// An event's.
    pub(crate) text: Name,
    pub(crate) kind: Kind,
}

/// What there is to tell of a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing: it has been told, or was taken out.
    #[default]
    Nothing,
    Span,
    Event,
}

impl Entry {
    pub(crate) fn is_open(&self) -> bool {
        self.end == OPEN
    }

    /// Turns its stamps into times.
    pub(crate) fn convert(&mut self, time_of: impl Fn(u64) -> u64) {
        self.begin = time_of(self.begin);
        if self.end != OPEN {
            self.end = time_of(self.end);
        }
    }
}

/// What a task is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    pub(crate) name: &'static str,
    pub(crate) number: Option<u64>,
}

impl Label {
    /// A name.
    pub const fn new(name: &'static str) -> Label {
        Label { name, number: None }
    }

    /// A name that many have, each with a number.
    pub const fn numbered(name: &'static str, number: u64) -> Label {
        Label {
            name,
            number: Some(number),
        }
    }
}

/// Everything that was recorded.
#[derive(Debug)]
pub(crate) struct Ring {
    entries: Box<[Entry; MAX_RECORDS]>,
    open: usize,
    last: u64,
    /// Records that were overwritten since the last drain.
    lost: u64,
    /// By the task's number modulo the places.
    names: Box<[Option<(u32, Label)>; MAX_NAMES]>,
    /// The task that was named last: most often it is the same one again.
    last_named: u64,
}

impl Ring {
    /// An empty one.
    ///
    /// # Errors
    /// [`Error::NoMemory`].
    pub(crate) fn new() -> Result<Ring, Error> {
        Ok(Ring {
            entries: places()?,
            open: 0,
            last: 0,
            lost: 0,
            names: places()?,
            last_named: NOBODY,
        })
    }

    /// Notes what a task is called.
    #[inline]
    pub(crate) fn name(&mut self, task: u32, label: impl FnOnce() -> Label) {
        if self.last_named != u64::from(task) {
            self.last_named = task.into();
            self.names[task as usize % MAX_NAMES] = Some((task, label()));
        }
    }

    /// The first task from a place on whose name is known, and the place behind.
    pub(crate) fn next_name(&self, from: usize) -> Option<(usize, u32, Label)> {
        let mut names = (from..MAX_NAMES).zip(self.names.get(from..)?);
        names.find_map(|(at, name)| name.map(|(task, label)| (at + 1, task, label)))
    }

    /// Begins a span; its number. `None`: there are none left.
    #[inline]
    pub(crate) fn begin(&mut self, at: u64, task: u32, parent: u64, name: &[u8]) -> Option<u64> {
        let (number, entry) = self.claim()?;
        // Field by field: as a whole it would be put together elsewhere, and then copied.
        entry.number = number;
        entry.begin = at;
        entry.end = OPEN;
        entry.parent = parent;
        entry.task = task;
        entry.name.set(name);
        entry.kind = Kind::Span;
        self.open += 1;
        Some(number)
    }

    /// Whether a span is open.
    pub(crate) fn is_open(&self, span: u64) -> bool {
        let entry = &self.entries[span as usize % MAX_RECORDS];
        entry.number == span && entry.is_open()
    }

    /// Ends a span; the one around it. `None`: it is not open.
    #[inline]
    pub(crate) fn end(&mut self, at: u64, ended_by: u32, span: u64) -> Option<u64> {
        let entry = &mut self.entries[span as usize % MAX_RECORDS];
        if entry.number != span || entry.end != OPEN {
            return None;
        }
        entry.end = at;
        entry.ended_by = ended_by;
        self.open -= 1;
        Some(entry.parent)
    }

    /// The span around one of a task that is in one span at a time; 0: none was. Who asks goes on until one is open: at
    /// most through all places, since the spans around a span have smaller numbers.
    pub(crate) fn around(&self, span: u64, task: u32) -> u64 {
        let entry = &self.entries[span as usize % MAX_RECORDS];
        if entry.number == span {
            return entry.parent;
        }
        // It was overwritten. This takes long, but not again before as many records were made.
        let own = |entry: &&Entry| entry.is_open() && entry.task == task;
        let open = self.entries.iter().filter(own).map(|entry| entry.number);
        open.max().unwrap_or(0)
    }

    /// Takes an open span out, as if it had never been. `false`: it is not open.
    pub(crate) fn forget(&mut self, span: u64) -> bool {
        let was_open = self.end(0, 0, span).is_some();
        if was_open {
            self.entry(span).kind = Kind::Nothing;
        }
        was_open
    }

    /// Records an event.
    pub(crate) fn event(&mut self, at: u64, task: u32, span: u64, name: &[u8], text: &[u8]) {
        let Some((number, entry)) = self.claim() else {
            return;
        };
        (entry.number, entry.parent) = (number, span);
        (entry.begin, entry.end) = (at, at);
        entry.task = task;
        entry.name.set(name);
        entry.text.set(text);
        entry.kind = Kind::Event;
    }

    /// The number of the oldest record there may be.
    pub(crate) fn oldest(&self) -> u64 {
        (self.last + 1).saturating_sub(MAX_RECORDS as u64)
    }

    /// The number of the newest record.
    pub(crate) fn newest(&self) -> u64 {
        self.last
    }

    /// What is in the place of a number; it is taken out of it, unless it is an open span.
    pub(crate) fn take(&mut self, number: u64) -> Option<Entry> {
        let entry = self.entry(number);
        let taken = (entry.kind != Kind::Nothing).then(|| entry.clone());
        if !entry.is_open() {
            entry.kind = Kind::Nothing;
        }
        taken
    }

    /// How many records were overwritten since this was asked last.
    pub(crate) fn take_lost(&mut self) -> u64 {
        core::mem::take(&mut self.lost)
    }

    /// As if that many records had been made and drained.
    #[cfg(test)]
    pub(crate) fn skip_to(&mut self, last: u64) {
        self.last = last;
    }

    #[inline]
    fn entry(&mut self, number: u64) -> &mut Entry {
        &mut self.entries[number as usize % MAX_RECORDS]
    }

    /// The number of the next record, and its place. What is there is overwritten.
    #[inline]
    fn claim(&mut self) -> Option<(u64, &mut Entry)> {
        let mut number = self.last + 1;
        let used_up = number & (LAST_SPAN + 1) != 0; // the first number with this bit
        if used_up || self.entry(number).is_open() {
            number = self.skip_from(number)?;
        }
        let entry = &mut self.entries[number as usize % MAX_RECORDS];
        self.lost += u64::from(entry.kind != Kind::Nothing);
        self.last = number;
        Some((number, entry))
    }

    /// A number whose place has no open span, or if there are too many of those, has none any more.
    #[cold]
    #[inline(never)]
    fn skip_from(&mut self, mut number: u64) -> Option<u64> {
        while self.entry(number).is_open() && self.open <= MAX_OPEN {
            number += 1;
        }
        let there = self.entry(number).number;
        self.end(0, 0, there);
        (number <= LAST_SPAN).then_some(number)
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
