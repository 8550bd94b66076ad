//! The only door to a machine: the [`Platform`] trait.
//!
//! Owns nothing. The run loop calls it once a turn at most; the kernel implements it over its clock
//! and `hlt`, [`crate::testing`] over a virtual or a host clock. Nothing else in this crate may
//! read a clock, touch a device or wait.
#![allow(
    unsafe_code,
    reason = "declares an unsafe trait: who is where decides what wakers touch"
)]

use crate::irq::IrqLines;
use crate::time::Instant;

/// What a reactor needs of the machine it runs on.
///
/// `now`, `ticks`, `context` and `unpark` may be called from any thread; `park`, `look` and `pass` only on the
/// context that made the reactor. No method may wake a task, poll a future or call back into the
/// reactor.
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use reactor::{Reactor, irq::IrqLines, platform::Platform, time::{Duration, Instant}};
///
/// /// A machine whose clock counts how often it is read, with a single context.
/// struct Counting(AtomicU64, IrqLines);
///
/// // SAFETY: used on one thread only, as a kernel on one core is.
/// unsafe impl Platform for Counting {
///     fn now(&self) -> Instant {
///         Instant::from_nanos(self.0.fetch_add(1, Ordering::Relaxed))
///     }
///     fn park(&self, until: Option<Instant>, has_work: &dyn Fn() -> bool) {
///         while !has_work() && !self.1.pending() && until.is_some_and(|until| self.now() < until) {}
///     }
///     fn irq_lines(&self) -> &IrqLines {
///         &self.1
///     }
///     fn context(&self) -> usize {
///         0
///     }
///     fn unpark(&self) {}
/// }
///
/// let reactor = Reactor::new(std::sync::Arc::new(Counting(AtomicU64::new(0), IrqLines::new())));
/// reactor.block_on(reactor.clock().sleep(Duration::from_nanos(100)));
/// ```
///
/// # Safety
///
/// * [`context`](Platform::context) returns different values in any two threads (or cores) that can
///   run at the same time, and the same value for as long as a thread lives. Wakers decide by it
///   whether they may touch the reactor's unsynchronised run queue.
/// * Code that interrupts a context without being a thread of its own, such as an interrupt
///   handler, never wakes, clones or drops a waker: it only calls [`IrqLines::raise`].
pub unsafe trait Platform: Send + Sync {
    /// Time since boot. Never goes back, never faults, and is cheap: it is read once per poll of a
    /// task.
    fn now(&self) -> Instant;

    /// A count that goes up steadily and never back: for what is stamped often and looked at seldom, where reading the
    /// time costs more. From any thread.
    fn ticks(&self) -> u64 {
        self.now().as_nanos()
    }

    /// How many nanoseconds so many [`ticks`](Platform::ticks) are, as well as is known now.
    fn nanos_of_ticks(&self, ticks: u64) -> u64 {
        ticks
    }

    /// Sleeps until `until` (for ever if `None`), an interrupt that raised a line, or an
    /// [`unpark`](Platform::unpark).
    ///
    /// Returns at once if a line is raised or `has_work` says so, looked at in such a way that
    /// neither can happen unseen between the look and the sleep: the kernel looks with interrupts
    /// off, a host relies on the token that `unpark` leaves. Returning early is always allowed, and
    /// costs one turn.
    fn park(&self, until: Option<Instant>, has_work: &dyn Fn() -> bool);

    /// Looks for what has happened outside, where no interrupt tells of it: a host raises a line for what it finds. Whether
    /// it found something; what was found is known after one more turn. From the reactor's context.
    fn look(&self) -> bool {
        false
    }

    /// Called in place of [`park`](Platform::park) between two turns when something is ready: a reactor that is never idle
    /// is to hear of what happens outside too. Does nothing where interrupts come by themselves.
    fn pass(&self) {}

    /// The lines that interrupt handlers raise.
    fn irq_lines(&self) -> &IrqLines;

    /// Names the running thread: constant in the kernel, a thread's identity on a host.
    fn context(&self) -> usize;

    /// Ends a [`park`](Platform::park) that is going on, or the next one. Called from other threads
    /// after they queued a wake; does nothing in the kernel, where there are none.
    fn unpark(&self);
}
