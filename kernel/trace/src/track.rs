//! Tasks that are in one span at a time: those of programs in other languages, whose spans are numbers.

use alloc::collections::TryReserveError;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

use abi::Error;

use crate::Trace;
use crate::ring::{Label, Ring};

/// Where such a task is: the spans that it has begun and that are not over. Dropping it ends none of them.
#[derive(Debug)]
pub struct Track {
    task: u32,
    label: Label,
    /// The innermost, unless somebody else has ended it; 0: there is none.
    innermost: Cell<u64>,
    /// Those around it, the innermost last, and some that somebody else has ended: less than twice as many as open ones,
    /// or a few.
    around: RefCell<Vec<u64>>,
}

/// How many spans there is room for at first.
const FEW: usize = 8;

impl Track {
    /// Of the reactor's task of this number, which is in no span.
    pub fn new(task: u32, label: Label) -> Track {
        Track {
            task,
            label,
            innermost: Cell::new(0),
            around: RefCell::default(),
        }
    }

    /// The innermost span that is open; 0: none is.
    #[inline]
    fn innermost(&self, ring: &Ring) -> u64 {
        let mut span = self.innermost.get();
        while span != 0 && !ring.is_open(span) {
            self.step_out();
            span = self.innermost.get();
        }
        span
    }

    /// Remembers the innermost span, because another begins within it; 0: none does.
    fn remember_innermost(&self, ring: &Ring) -> Result<u64, TryReserveError> {
        let span = self.innermost(ring);
        if span != 0 {
            let mut around = self.around.borrow_mut();
            if around.len() == around.capacity() {
                make_room(&mut around, ring)?;
            }
            around.push(span);
        }
        Ok(span)
    }

    /// Leaves the innermost span, which began within another one.
    fn step_out(&self) {
        let around = self.around.borrow_mut().pop();
        self.innermost.set(around.unwrap_or(0));
    }

    #[cfg(test)]
    pub(crate) fn remembered(&self) -> usize {
        self.around.borrow().len()
    }
}

impl Trace {
    /// Begins a span within the innermost one of a task; its number, which is never used again. For who has seen that
    /// tracing is on.
    ///
    /// # Errors
    /// [`Error::NoMemory`]; also when the numbers, up to [`LAST_SPAN`](crate::LAST_SPAN), are used up.
    #[inline]
    pub fn begin(&self, track: &Track, name: &[u8]) -> Result<u64, Error> {
        let at = self.now();
        let span = self.with_ring(|ring| {
            ring.name(track.task, || track.label);
            let parent = match track.innermost.get() {
                0 => 0,
                _ => track.remember_innermost(ring).ok()?,
            };
            let span = ring.begin(at, track.task, parent, name)?;
            track.innermost.set(span);
            Some(span)
        });
        span.flatten().ok_or(Error::NoMemory)
    }

    /// Ends a span, whichever task has begun it. `false`: it is not open.
    #[inline]
    pub fn end(&self, track: &Track, span: u64) -> bool {
        let at = self.now();
        let ended = self.with_ring(|ring| {
            ring.name(track.task, || track.label);
            let around = ring.end(at, track.task, span)?;
            if track.innermost.get() == span {
                match around {
                    0 => track.innermost.set(0), // and nothing is remembered
                    _ => track.step_out(),
                }
            }
            Some(())
        });
        ended.flatten().is_some()
    }

    /// Records that something happens now, within a span, or within the innermost one of the task. For who has seen that
    /// tracing is on.
    pub fn event_in(&self, track: &Track, span: Option<u64>, name: &[u8], text: &[u8]) {
        let at = self.now();
        self.with_ring(|ring| {
            ring.name(track.task, || track.label);
            let span = span.unwrap_or_else(|| track.innermost(ring));
            ring.event(at, track.task, span, name, text);
        });
    }

    /// The innermost span of a task; 0: it is in none.
    pub fn innermost(&self, track: &Track) -> u64 {
        self.with_ring(|ring| track.innermost(ring)).unwrap_or(0)
    }

    /// Whether a span is open.
    pub fn is_open(&self, span: u64) -> bool {
        self.with_ring(|ring| ring.is_open(span)) == Some(true)
    }

    /// Takes an open span out, as if it had never been. `false`: it is not open.
    pub fn forget(&self, span: u64) -> bool {
        self.with_ring(|ring| ring.forget(span)) == Some(true)
    }
}

/// Makes room for a span, if need be by leaving out those that are over.
#[cold]
fn make_room(spans: &mut Vec<u64>, ring: &Ring) -> Result<(), TryReserveError> {
    spans.retain(|span| ring.is_open(*span));
    if spans.len() * 2 >= spans.capacity() {
        spans.try_reserve_exact(spans.len().max(FEW))?;
    }
    Ok(())
}
