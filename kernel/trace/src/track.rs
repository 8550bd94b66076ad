//! Tasks that are in one span at a time: those of programs in other languages, whose spans are numbers.

use core::cell::Cell;

use abi::Error;

use crate::Trace;
use crate::ring::{Label, Ring};

/// Where such a task is. Dropping it ends no span.
#[derive(Debug)]
pub struct Track {
    /// The reactor's number of it; 0: not known.
    task: Cell<u32>,
    label: Label,
    /// The last span that it has begun and not ended, unless somebody else has; 0: there is none.
    innermost: Cell<u64>,
}

impl Track {
    /// Of a task that is in no span.
    pub fn new(label: Label) -> Track {
        Track {
            task: Cell::new(0),
            label,
            innermost: Cell::new(0),
        }
    }

    /// Says which task of the reactor it is, before it begins a span.
    pub fn runs_as(&self, task: u64) {
        self.task.set(task as u32);
    }

    /// The innermost span that is open; 0: none is.
    #[inline]
    fn innermost(&self, ring: &Ring) -> u64 {
        let mut span = self.innermost.get();
        while span != 0 && !ring.is_open(span) {
            span = ring.around(span, self.task.get());
            self.innermost.set(span);
        }
        span
    }
}

impl Trace {
    /// Begins a span within the innermost one of a task; its number, which is never used again. For who has seen that
    /// tracing is on.
    ///
    /// # Errors
    /// [`Error::NoMemory`]: the numbers, up to [`LAST_SPAN`](crate::LAST_SPAN), are used up, or it was never on.
    #[inline]
    pub fn begin(&self, track: &Track, name: &[u8]) -> Result<u64, Error> {
        let at = self.now();
        let span = self.with_ring(|ring| {
            let task = track.task.get();
            ring.name(task, || track.label);
            let parent = track.innermost(ring);
            let span = ring.begin(at, task, parent, name)?;
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
            let task = track.task.get();
            ring.name(task, || track.label);
            let around = ring.end(at, task, span)?;
            if track.innermost.get() == span {
                track.innermost.set(around);
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
            let task = track.task.get();
            ring.name(task, || track.label);
            let span = span.unwrap_or_else(|| track.innermost(ring));
            ring.event(at, task, span, name, text);
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
