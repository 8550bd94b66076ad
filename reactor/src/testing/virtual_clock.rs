//! A platform whose time moves only when everything waits.
#![allow(unsafe_code, reason = "implements the unsafe trait Platform")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::vec::Vec;

use crate::irq::IrqLines;
use crate::platform::Platform;
use crate::time::{Duration, Instant};

/// Virtual time: jumps to the next deadline when everything waits, and panics when nothing can
/// wake.
///
/// Starts at [`Instant::ZERO`]. A test of an hour takes no time, gives the same result every run,
/// and a hang fails as "nothing can wake". Interrupts can be raised now or planned for an instant.
/// Wakes from other threads are seen when they come before the reactor parks; to wait for them, use
/// [`ThreadPlatform`](crate::testing::ThreadPlatform).
///
/// ```
/// use reactor::{Reactor, testing::VirtualClock, time::{Duration, Instant}};
/// let clock = VirtualClock::new();
/// let reactor = Reactor::new(clock.clone());
/// let event = reactor.irq_event(3);
/// clock.raise_at(Instant::ZERO + Duration::from_secs(9), 3);
/// reactor.block_on(event.raised());
/// assert_eq!(clock.now(), Instant::from_nanos(9_000_000_000));
/// ```
#[derive(Debug, Default)]
pub struct VirtualClock {
    nanos: AtomicU64,
    lines: IrqLines,
    /// What a sleep is rounded up to.
    step: Duration,
    /// Lines to raise, by when.
    planned: Mutex<BTreeMap<Instant, Vec<u8>>>,
}

impl VirtualClock {
    /// A clock at zero whose sleeps end exactly at their deadline.
    pub fn new() -> Arc<VirtualClock> {
        Arc::new(VirtualClock::default())
    }

    /// A clock whose sleeps end at the first multiple of `step` at or after the deadline, as those
    /// of a hardware timer do.
    pub fn with_step(step: Duration) -> Arc<VirtualClock> {
        Arc::new(VirtualClock {
            step,
            ..VirtualClock::default()
        })
    }

    /// The virtual time.
    pub fn now(&self) -> Instant {
        Instant::from_nanos(self.nanos.load(Ordering::Relaxed))
    }

    /// Moves time on: what a computation that takes so long does. Raises the interrupts planned
    /// meanwhile.
    pub fn advance(&self, span: Duration) {
        self.move_to(self.now() + span);
    }

    /// Raises a line now, as its interrupt handler would.
    pub fn raise(&self, line: u8) {
        self.lines.raise(line);
    }

    /// Plans an interrupt.
    pub fn raise_at(&self, instant: Instant, line: u8) {
        let mut planned = self.planned.lock().expect("no code panics with the lock");
        planned.entry(instant).or_default().push(line);
    }

    /// Never moves back.
    fn move_to(&self, instant: Instant) {
        self.nanos.fetch_max(instant.as_nanos(), Ordering::Relaxed);
        let mut planned = self.planned.lock().expect("no code panics with the lock");
        while let Some(entry) = planned.first_entry()
            && *entry.key() <= self.now()
        {
            entry
                .remove()
                .into_iter()
                .for_each(|line| self.lines.raise(line));
        }
    }

    fn next_planned(&self) -> Option<Instant> {
        let planned = self.planned.lock().expect("no code panics with the lock");
        planned.keys().next().copied()
    }

    fn round_up(&self, instant: Instant) -> Instant {
        let step = crate::time::saturating_nanos(self.step).max(1);
        Instant::from_nanos(instant.as_nanos().div_ceil(step).saturating_mul(step))
    }
}

// SAFETY: `thread_context` gives every thread a number of its own, and there are no interrupts.
unsafe impl Platform for VirtualClock {
    fn now(&self) -> Instant {
        VirtualClock::now(self)
    }

    fn park(&self, until: Option<Instant>, has_work: &dyn Fn() -> bool) {
        if self.lines.pending() || has_work() {
            return;
        }
        let until = until.map(|until| self.round_up(until));
        match until.into_iter().chain(self.next_planned()).min() {
            Some(instant) => self.move_to(instant),
            None => {
                panic!("nothing can wake: every task waits, no timer and no interrupt is planned")
            }
        }
    }

    fn irq_lines(&self) -> &IrqLines {
        &self.lines
    }

    fn context(&self) -> usize {
        super::thread_context()
    }

    fn unpark(&self) {} // `park` never waits
}
