//! Which task is being polled right now, for those who cannot ask the executor: a panic handler, a
//! watchdog in a timer interrupt, another thread.
//!
//! Owns the cell that the executor writes at the start and the end of each poll. Made of atomics
//! only: reading takes no lock and never waits.
#![allow(
    unsafe_code,
    reason = "puts a static string together again from its two atomic halves"
)]

use alloc::sync::Arc;
use core::fmt;
use core::ptr::null_mut;
use core::slice;
use core::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering, fence};

use crate::shared::Shared;
use crate::time::Instant;

/// A task that is being polled, as an interrupt handler or another thread sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunningTask {
    /// The name it was spawned with.
    pub name: &'static str,
    /// Its number, as [`JoinHandle::id`](crate::task::JoinHandle::id) gives it.
    pub id: u64,
    /// When this poll began.
    pub since: Instant,
}

/// Tells which task a reactor polls right now; from
/// [`Reactor::current_task`](crate::Reactor::current_task).
///
/// May be kept in a static, sent to other threads, and read from an interrupt or panic handler. It
/// outlives its reactor harmlessly.
///
/// ```
/// use reactor::{Reactor, testing::VirtualClock};
/// let reactor = Reactor::new(VirtualClock::new());
/// let current = reactor.current_task();
/// let name = reactor.spawner().task("worker").spawn({
///     let current = current.clone();
///     async move { current.get().filter(|task| current.id() == Some(task.id)).map(|task| task.name) }
/// });
/// assert_eq!(reactor.block_on(name), Ok(Some("worker")));
/// assert_eq!((current.get(), current.id()), (None, None));
/// ```
#[derive(Clone)]
pub struct CurrentTask(pub(crate) Arc<Shared>);

impl CurrentTask {
    /// The task that is being polled, or whose future is being dropped. `None` between polls, and
    /// if the writer was caught in the middle of a change. Never waits.
    pub fn get(&self) -> Option<RunningTask> {
        self.0.current.get()
    }

    /// The number of that task, at the price of two loads. From the reactor's own context; from elsewhere it may be
    /// that of the task before.
    #[inline]
    pub fn id(&self) -> Option<u64> {
        let current = &self.0.current;
        let polling = !current.name.load(Ordering::Relaxed).is_null();
        polling.then(|| current.id.load(Ordering::Relaxed))
    }
}

impl fmt::Debug for CurrentTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CurrentTask").field(&self.get()).finish()
    }
}

/// A sequence lock with one writer whose readers give up instead of trying again: one that
/// interrupted the writer would try for ever.
#[derive(Default)]
pub(crate) struct CurrentCell {
    /// Odd while the fields below are being changed.
    sequence: AtomicUsize,
    /// Null when no task is polled.
    name: AtomicPtr<u8>,
    name_len: AtomicUsize,
    id: AtomicU64,
    since: AtomicU64,
}

impl CurrentCell {
    /// The executor begins a poll. In the reactor's context only.
    pub(crate) fn begin(&self, name: &'static str, id: u64, since: Instant) {
        let sequence = self.sequence.load(Ordering::Relaxed);
        self.sequence
            .store(sequence.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        self.name.store(name.as_ptr().cast_mut(), Ordering::Relaxed);
        self.name_len.store(name.len(), Ordering::Relaxed);
        self.id.store(id, Ordering::Relaxed);
        self.since.store(since.as_nanos(), Ordering::Relaxed);
        self.sequence
            .store(sequence.wrapping_add(2), Ordering::Release);
    }

    /// The poll is over. Leaves the other fields, which belong together as before.
    pub(crate) fn end(&self) {
        self.name.store(null_mut(), Ordering::Relaxed);
    }

    fn get(&self) -> Option<RunningTask> {
        let before = self.sequence.load(Ordering::Acquire);
        let name = self.name.load(Ordering::Relaxed);
        let len = self.name_len.load(Ordering::Relaxed);
        let id = self.id.load(Ordering::Relaxed);
        let since = Instant::from_nanos(self.since.load(Ordering::Relaxed));
        fence(Ordering::Acquire);
        let unchanged = before == self.sequence.load(Ordering::Relaxed);
        if name.is_null() || !unchanged || before % 2 == 1 {
            return None;
        }
        // SAFETY: `begin` wrote pointer and length of one `&'static str` between two changes of the
        // sequence, and the sequence was even and the same before and after they were read: they
        // belong together.
        let name = unsafe { str::from_utf8_unchecked(slice::from_raw_parts(name, len)) };
        Some(RunningTask { name, id, since })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_task_between_begin_and_end() {
        let cell = CurrentCell::default();
        assert_eq!(cell.get(), None);
        cell.begin("net", 7, Instant::from_nanos(9));
        let seen = cell.get();
        assert_eq!(
            seen,
            Some(RunningTask {
                name: "net",
                id: 7,
                since: Instant::from_nanos(9)
            })
        );
        cell.end();
        assert_eq!(cell.get(), None);
    }

    #[test]
    fn a_reader_that_interrupts_the_writer_gives_up() {
        let cell = CurrentCell::default();
        cell.begin("net", 7, Instant::ZERO);
        cell.sequence.fetch_add(1, Ordering::Relaxed); // as `begin` does first
        assert_eq!(cell.get(), None);
    }

    #[test]
    fn halves_of_two_names_are_never_put_together() {
        extern crate std;
        let cell = CurrentCell::default();
        let names = ["a", "four", "a name that is rather long"];
        let rounds = if cfg!(miri) { 50 } else { 20_000 };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for round in 0..rounds {
                    cell.begin(names[round % 3], round as u64 % 3, Instant::ZERO);
                    cell.end();
                }
            });
            for _ in 0..rounds {
                if let Some(task) = cell.get() {
                    assert_eq!(task.name, names[task.id as usize]);
                }
            }
        });
    }
}
