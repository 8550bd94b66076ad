//! What a reactor has counted since it was made.
//!
//! Owns the public [`Stats`] and the private counters behind it. Counting costs one memory access
//! each.

use core::cell::Cell;

use crate::time::Duration;

/// A reactor's counters, from [`Spawner::stats`](crate::Spawner::stats).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Rounds of the run loop.
    pub turns: u64,
    /// Times that nothing was ready and the platform was asked to sleep.
    pub parks: u64,
    /// Time spent in those.
    pub idle: Duration,
    /// Polls of tasks, the main future's among them.
    pub polls: u64,
    /// Polls that took longer than the budget.
    pub slow_polls: u64,
    /// Times that a task entered the run queue: spawns, wakes, cancellations, without the repeated
    /// ones.
    pub wakes: u64,
    /// Those of them that came from other threads.
    pub remote_wakes: u64,
    /// Raised lines that turns found.
    pub irqs: u64,
    /// Tasks that have not ended.
    pub tasks_live: usize,
    /// Tasks ever spawned.
    pub tasks_spawned: u64,
    /// Tasks whose poll panicked.
    pub tasks_panicked: u64,
    /// Timers that wait for their deadline.
    pub timers_live: usize,
    /// Timers ever armed, by a first poll or a reset.
    pub timers_armed: u64,
    /// Timers whose deadline came.
    pub timers_fired: u64,
    /// Timers moved to a finer slot of the wheel: at most eight times each.
    pub timers_moved: u64,
    /// Turns that came for a deadline whose timer had been cancelled.
    pub timers_spurious: u64,
}

/// Counters of the run loop.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) turns: Counter,
    pub(crate) parks: Counter,
    pub(crate) idle_nanos: Counter,
    pub(crate) polls: Counter,
    pub(crate) slow_polls: Counter,
    pub(crate) irqs: Counter,
    pub(crate) tasks_spawned: Counter,
    pub(crate) tasks_panicked: Counter,
}

/// A number that only grows.
#[derive(Default)]
pub(crate) struct Counter(Cell<u64>);

impl Counter {
    pub(crate) fn add(&self, amount: u64) {
        self.0.set(self.0.get().wrapping_add(amount));
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.get()
    }
}
