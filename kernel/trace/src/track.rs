//! Tasks that are in one span at a time: those of programs in other languages, whose spans are numbers.

use alloc::vec::Vec;
use core::cell::RefCell;

use abi::Error;

use crate::Trace;
use crate::ring::{Label, Ring};

/// Where such a task is: the spans that it has begun, the innermost last. Dropping it ends none of them.
#[derive(Debug)]
pub struct Track {
    task: u32,
    label: Label,
    /// Those that are not over, and some that somebody else has ended. There are less than twice as many as open ones, or
    /// a few.
    begun: RefCell<Vec<u64>>,
}

/// How many spans there is room for at first.
const FEW: usize = 8;

impl Track {
    /// Of the reactor's task of this number, which is in no span.
    pub fn new(task: u32, label: Label) -> Track {
        Track {
            task,
            label,
            begun: RefCell::default(),
        }
    }

    #[cfg(test)]
    pub(crate) fn remembered(&self) -> usize {
        self.begun.borrow().len()
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
        let begun = self.with_ring(|ring| {
            ring.name(track.task, || track.label);
            let mut begun = track.begun.borrow_mut();
            let parent = innermost(&mut begun, ring);
            if begun.len() == begun.capacity() {
                make_room(&mut begun, ring)?;
            }
            let span = ring.begin(at, track.task, parent, name);
            if span == 0 {
                return Err(Error::NoMemory);
            }
            begun.push(span);
            Ok(span)
        });
        begun.unwrap_or(Err(Error::NoMemory))
    }

    /// Ends a span, whichever task has begun it. `false`: it is not open.
    #[inline]
    pub fn end(&self, track: &Track, span: u64) -> bool {
        let at = self.now();
        let ended = self.with_ring(|ring| {
            ring.name(track.task, || track.label);
            let ended = ring.end(at, track.task, span);
            let mut begun = track.begun.borrow_mut();
            if ended && begun.last() == Some(&span) {
                begun.pop();
            }
            ended
        });
        ended.unwrap_or(false)
    }

    /// Records that something happens now, within a span, or within the innermost one of the task. For who has seen that
    /// tracing is on.
    pub fn event_in(&self, track: &Track, span: Option<u64>, name: &[u8], text: &[u8]) {
        let at = self.now();
        self.with_ring(|ring| {
            ring.name(track.task, || track.label);
            let innermost = || innermost(&mut track.begun.borrow_mut(), ring);
            let span = span.unwrap_or_else(innermost);
            ring.event(at, track.task, span, name, text);
        });
    }

    /// The innermost span of a task; 0: it is in none.
    pub fn innermost(&self, track: &Track) -> u64 {
        let span = self.with_ring(|ring| innermost(&mut track.begun.borrow_mut(), ring));
        span.unwrap_or(0)
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

/// The last one that is open; those behind it are over.
#[inline]
fn innermost(begun: &mut Vec<u64>, ring: &Ring) -> u64 {
    while let Some(&last) = begun.last() {
        if ring.is_open(last) {
            return last;
        }
        begun.pop();
    }
    0
}

/// Makes room for a span, if need be by leaving out those that are over.
#[cold]
fn make_room(begun: &mut Vec<u64>, ring: &Ring) -> Result<(), Error> {
    begun.retain(|span| ring.is_open(*span));
    if begun.len() * 2 >= begun.capacity() {
        let more = begun.len().max(FEW);
        begun.try_reserve_exact(more).map_err(|_| Error::NoMemory)?;
    }
    Ok(())
}
