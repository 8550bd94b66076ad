//! Spans of time and events of tasks, on one bounded ring: the kernel's traces.
//!
//! A [`Trace`] is off and without memory until it is switched on; a span then costs one look. What it has recorded is
//! [drained](Trace::drain) as lines of text, which `ukernel trace` makes into a file for a trace viewer. A native
//! workload has one from `Context::trace`; for the tasks of a program in another language, each of which is in one span
//! at a time, crate `calls` keeps a [`Track`] each, on the same ring.
//!
//! Nothing here waits, and nothing but [`Trace::new`] and [`Trace::enable`] allocates. A trace
//! may be read by who found out that the machine must end, in the middle of anything: the ring is behind a lock
//! that nobody waits for.
//!
//! ```
//! use reactor::{Reactor, testing::VirtualClock, time::Duration};
//! use trace::Trace;
//! let reactor = Reactor::new(VirtualClock::new());
//! let (clock, trace) = (reactor.clock(), Trace::new(&reactor.spawner(), &reactor.clock()));
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
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod drain;
mod name;
mod ring;
mod span;
mod track;

use alloc::sync::Arc;
use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

use abi::Error;
use reactor::task::CurrentTask;
use reactor::{Clock, Spawner, Stamper};
use spin::mutex::SpinMutex;

use ring::Ring;

pub use drain::{Drain, Line};
pub use ring::{LAST_SPAN, Label, MAX_OPEN, MAX_RECORDS};
pub use span::Span;
pub use track::Track;

/// A ring of spans and events. Clones are the same one. Others than its reactor's context may use it too; what they
/// record while somebody else does is lost, uncounted.
#[derive(Clone)]
pub struct Trace(Arc<Inner>);

struct Inner {
    on: AtomicBool,
    stamper: Stamper,
    current: CurrentTask,
    /// `None` until it is switched on for the first time. Nobody waits for the lock: in one context it is taken only
    /// for who ends the machine in the middle of a change.
    ring: SpinMutex<Option<Ring>>,
}

impl Trace {
    /// A trace of what the tasks of a reactor do; off.
    pub fn new(spawner: &Spawner, clock: &Clock) -> Trace {
        Trace(Arc::new(Inner {
            on: AtomicBool::new(false),
            stamper: clock.stamper(),
            current: spawner.current_task(),
            ring: SpinMutex::new(None),
        }))
    }

    /// Switches it on. Allocates 220 KiB the first time, which stay.
    ///
    /// # Errors
    /// [`Error::NoMemory`].
    pub fn enable(&self) -> Result<(), Error> {
        let mut ring = self.0.ring.try_lock().ok_or(Error::NoMemory)?;
        if ring.is_none() {
            *ring = Some(Ring::new()?);
        }
        self.0.on.store(true, Relaxed);
        Ok(())
    }

    /// Switches it off. What was recorded stays until it is drained, and open spans can be ended.
    pub fn disable(&self) {
        self.0.on.store(false, Relaxed);
    }

    /// Whether it is on.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.0.on.load(Relaxed)
    }

    /// Begins a span of the running task, which ends when it is dropped. A name is cut at 31 bytes.
    #[inline]
    pub fn span(&self, name: &'static str) -> Span {
        Span::begin(self, 0, name)
    }

    /// Records that something happens now, with a text such as `key=value`; each is cut at 31 bytes.
    #[inline]
    pub fn event(&self, name: &'static str, text: &str) {
        if self.is_on() {
            self.record(0, name, text);
        }
    }

    /// Takes out what was recorded, as lines. Spans that are not over are told of and stay.
    pub fn drain(&self) -> Drain {
        Drain::new(self.clone())
    }

    #[inline]
    fn with_ring<R>(&self, f: impl FnOnce(&mut Ring) -> R) -> Option<R> {
        self.0.ring.try_lock()?.as_mut().map(f)
    }

    /// When it is, as records have it: a stamp.
    fn now(&self) -> u64 {
        self.0.stamper.stamp()
    }

    /// The task that runs; 0: none.
    fn running(&self) -> u32 {
        self.0.current.id().unwrap_or(0) as u32
    }

    fn running_label(&self) -> Label {
        let running = self.0.current.get();
        Label::new(running.map_or("no task", |task| task.name))
    }

    /// Does something with the ring on behalf of the task that runs.
    #[inline]
    fn with_running<R>(&self, f: impl FnOnce(&mut Ring, u32) -> R) -> Option<R> {
        let task = self.running();
        self.with_ring(|ring| {
            ring.name(task, || self.running_label());
            f(ring, task)
        })
    }

    fn record(&self, span: u64, name: &str, text: &str) {
        let at = self.now();
        self.with_running(|ring, task| {
            ring.event(at, task, span, name.as_bytes(), text.as_bytes());
        });
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trace").field("on", &self.is_on()).finish()
    }
}

#[cfg(test)]
mod tests;
