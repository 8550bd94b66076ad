//! The calls `trace_*`, and the same for programs in Rust: spans of time and events, on one ring.
//!
//! A [`Trace`] is off and without memory until it is switched on; a span then costs one look. What it has recorded is
//! [drained](Trace::drain) as lines of text, which `ukernel trace` makes into a file for a trace viewer.
//!
//! ```
//! use calls::trace::Trace;
//! use reactor::{Reactor, testing::VirtualClock, time::Duration};
//! let reactor = Reactor::new(VirtualClock::new());
//! let (clock, trace) = (reactor.clock(), Trace::new(&reactor.spawner(), reactor.clock()));
//! trace.enable().unwrap();
//! reactor.block_on(async {
//!     let request = trace.span("request");
//!     request.attribute("path=/");
//!     clock.sleep(Duration::from_nanos(0x20)).await;
//!     let query = request.span("query"); // within it
//!     query.event("cache", "hit=no");
//! });
//! let lines: Vec<String> = trace.drain().map(|line| line.to_string()).collect();
//! assert_eq!(lines, [
//!     "#trace h 1 0",
//!     "#trace t 1 main",
//!     "#trace s 0 20 1 1 1 0 request",
//!     "#trace e 0 1 1 % path=/",
//!     "#trace s 20 0 1 1 3 1 query",
//!     "#trace e 20 1 3 cache hit=no",
//! ]);
//! ```

mod buffer;
mod drain;
mod name;

use alloc::rc::Rc;
use core::cell::{Cell, RefCell};
use core::fmt;

use abi::Error;
use abi::capability::Kind;
use abi::handle::{Handle, Tag};
use reactor::task::CurrentTask;
use reactor::{Clock, Spawner};

use crate::failure::{Failure, Outcome};
use crate::task::Task;
use crate::user::UserIn;
use buffer::{Buffer, LAST, Label};
use name::Said;

pub(crate) use buffer::Track;
pub use drain::{Drain, Line};

/// A ring of spans and events. Clones are the same one; it belongs to its reactor's context.
#[derive(Clone)]
pub struct Trace(Rc<Inner>);

struct Inner {
    on: Cell<bool>,
    clock: Clock,
    current: CurrentTask,
    /// `None` until it is switched on for the first time.
    buffer: RefCell<Option<Buffer>>,
}

impl Trace {
    /// A trace of what the tasks of a reactor do; off.
    pub fn new(spawner: &Spawner, clock: Clock) -> Trace {
        Trace(Rc::new(Inner {
            on: Cell::new(false),
            clock,
            current: spawner.current_task(),
            buffer: RefCell::default(),
        }))
    }

    /// Switches it on. Allocates some hundred KiB the first time.
    ///
    /// # Errors
    /// [`Error::NoMemory`].
    pub fn enable(&self) -> Result<(), Error> {
        let mut buffer = self.0.buffer.borrow_mut();
        if buffer.is_none() {
            *buffer = Some(Buffer::new()?);
        }
        self.0.on.set(true);
        Ok(())
    }

    /// Switches it off. What was recorded stays until it is drained, and open spans can be ended.
    pub fn disable(&self) {
        self.0.on.set(false);
    }

    /// Whether it is on.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.0.on.get()
    }

    /// Begins a span of the running task, which ends when it is dropped. A name is cut at 31 bytes.
    #[inline]
    pub fn span(&self, name: &'static str) -> Span {
        if self.is_on() {
            self.native_span(name, 0)
        } else {
            Span(None)
        }
    }

    /// Records that something happens now, with a text such as `key=value`; each is cut at 31 bytes.
    #[inline]
    pub fn event(&self, name: &'static str, text: &str) {
        if self.is_on() {
            self.native_event(0, name, text);
        }
    }

    /// Takes out what was recorded, as lines. Spans that are not over are told of and stay.
    pub fn drain(&self) -> Drain {
        Drain::new(self.clone())
    }

    fn with_buffer<R>(&self, f: impl FnOnce(&mut Buffer) -> R) -> Option<R> {
        self.0.buffer.borrow_mut().as_mut().map(f)
    }

    /// When it is, as records have it: a stamp of the clock.
    fn now(&self) -> u64 {
        self.0.clock.stamp()
    }

    /// The task that runs; 0: none.
    fn running(&self) -> u32 {
        self.0.current.id().unwrap_or(0) as u32
    }

    fn running_label(&self) -> Label {
        let running = self.0.current.get();
        Label::Native(running.map_or("no task", |task| task.name))
    }

    fn native_span(&self, name: &'static str, parent: u64) -> Span {
        let (begin, task) = (self.now(), self.running());
        let span = self.with_buffer(|buffer| {
            buffer.name(task, || self.running_label());
            buffer.begin(begin, task, parent, Said::Static(name))
        });
        let span = span.filter(|span| *span != 0);
        Span(span.map(|span| (self.clone(), span)))
    }

    fn native_end(&self, span: u64) {
        let (end, task) = (self.now(), self.running());
        self.with_buffer(|buffer| {
            buffer.name(task, || self.running_label());
            buffer.end(end, task, span)
        });
    }

    fn native_event(&self, span: u64, name: &'static str, text: &str) {
        let (at, task) = (self.now(), self.running());
        self.with_buffer(|buffer| {
            buffer.name(task, || self.running_label());
            buffer.event(at, task, span, Said::Static(name), text.as_bytes());
        });
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trace").field("on", &self.is_on()).finish()
    }
}

/// A span of time that is not over; dropping it ends it, in whichever task. From [`Trace::span`].
#[derive(Debug)]
#[must_use = "a span ends when it is dropped"]
pub struct Span(
    /// `None`: tracing was off when it was to begin.
    Option<(Trace, u64)>,
);

impl Span {
    /// Begins a span within this one.
    pub fn span(&self, name: &'static str) -> Span {
        match &self.0 {
            Some((trace, span)) if trace.is_on() => trace.native_span(name, *span),
            _ => Span(None),
        }
    }

    /// Records that something happens now, within this span.
    pub fn event(&self, name: &'static str, text: &str) {
        if let Some((trace, span)) = &self.0
            && trace.is_on()
        {
            trace.native_event(*span, name, text);
        }
    }

    /// Records something about the span, such as `key=value`.
    pub fn attribute(&self, text: &str) {
        self.event("", text);
    }

    /// Ends it; the same as dropping it, but says so.
    pub fn end(self) {}
}

impl Drop for Span {
    fn drop(&mut self) {
        if let Some((trace, span)) = &self.0 {
            trace.native_end(*span);
        }
    }
}

impl Task {
    /// `trace_span_begin`: no handle while tracing is off.
    pub fn trace_span_begin(&self, name: UserIn) -> Outcome<Handle> {
        self.need(Kind::Trace)?;
        let trace = self.program().trace();
        if !trace.is_on() {
            return Ok(Handle::NONE);
        }
        let (begin, track) = (trace.now(), self.track());
        let span = trace.with_buffer(|buffer| {
            buffer.name(track.task, || Label::Program(self.id()));
            let parent = track.present.get();
            let span = name.with(|name| buffer.begin(begin, track.task, parent, Said::Bytes(name)));
            if span != 0 {
                buffer.step_in(span, track);
            }
            span
        });
        match span {
            Some(span @ 1..) => Ok(handle_of(span)),
            _ => Err(Error::NoMemory.into()),
        }
    }

    /// `trace_span_end`.
    pub fn trace_span_end(&self, handle: Handle) -> Outcome {
        self.need(Kind::Trace)?;
        if handle == Handle::NONE {
            return Ok(());
        }
        let invalid = Failure::invalid(1, handle.to_bits());
        let span = span_of(handle).ok_or(invalid)?;
        let trace = self.program().trace();
        let (end, track) = (trace.now(), self.track());
        let ended = trace.with_buffer(|buffer| {
            buffer.name(track.task, || Label::Program(self.id()));
            buffer.end(end, track.task, span)
        });
        match ended {
            Some(true) => Ok(()),
            _ => Err(invalid),
        }
    }

    /// `trace_event`.
    pub fn trace_event(&self, handle: Handle, name: UserIn, text: UserIn) -> Outcome {
        self.need(Kind::Trace)?;
        let given = match handle {
            Handle::NONE => None,
            handle => Some(self.open_span(handle)?),
        };
        let trace = self.program().trace();
        if trace.is_on() {
            let (at, track) = (trace.now(), self.track());
            let span = given.unwrap_or(track.present.get());
            trace.with_buffer(|buffer| {
                buffer.name(track.task, || Label::Program(self.id()));
                name.with(|name| {
                    text.with(|text| buffer.event(at, track.task, span, Said::Bytes(name), text));
                });
            });
        }
        Ok(())
    }

    /// `trace_enable`.
    pub fn trace_enable(&self, on: u32) -> Outcome {
        self.need(Kind::Trace)?;
        match on {
            0 => self.program().trace().disable(),
            1 => self.program().trace().enable()?,
            _ => return Err(Failure::invalid(1, on.into())),
        }
        Ok(())
    }

    /// `handle_close` of a span: it is forgotten.
    pub(crate) fn trace_span_drop(&self, handle: Handle) -> Outcome {
        let span = self.open_span(handle)?;
        self.program()
            .trace()
            .with_buffer(|buffer| buffer.forget(span));
        Ok(())
    }

    fn open_span(&self, handle: Handle) -> Outcome<u64> {
        let span = span_of(handle).filter(|span| {
            let trace = self.program().trace();
            let open = trace.with_buffer(|buffer| buffer.is_open(*span));
            open == Some(true)
        });
        span.ok_or(Failure::invalid(1, handle.to_bits()))
    }
}

/// The handle of a span: its number, in the bits of index and generation.
fn handle_of(span: u64) -> Handle {
    Handle::object(Tag::Span, (span >> 16) as u32, span as u16)
}

/// The number of a span's handle.
#[inline]
fn span_of(handle: Handle) -> Option<u64> {
    let bits = handle.to_bits();
    let span = (bits >> 16 & LAST & !0xffff) | (bits & 0xffff);
    (span != 0 && handle_of(span) == handle).then_some(span)
}

#[cfg(test)]
mod tests;
