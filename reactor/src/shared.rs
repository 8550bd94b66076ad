//! What wakers on any thread can reach: the way into the run queue, and the platform.
//!
//! Owns the injection queue for wakes from elsewhere, the run queue for wakes from the reactor's
//! own context, and the test that tells the two apart. Lives until the last task's memory is freed,
//! so that a waker which outlives its reactor finds a closed door instead of freed memory.
#![allow(
    unsafe_code,
    reason = "shared between threads, with one part that belongs to the context alone"
)]

use alloc::sync::Arc;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};

use crossbeam_queue::SegQueue;

use crate::current::CurrentCell;
use crate::platform::Platform;
use crate::run_queue::RunQueue;
use crate::task::header::TaskRef;

/// How many injected wakes one turn accepts; the rest wait for the next turn, so that threads that
/// wake without pause cannot hold the run loop.
const MAX_INJECTED_PER_TURN: usize = 1024;

pub(crate) struct Shared {
    /// What `_platform` holds. A pointer of its own, because each access through an `Arc<dyn _>`
    /// computes where the value is from its alignment: noticeable at several calls a turn.
    platform: NonNull<dyn Platform>,
    _platform: Arc<dyn Platform>,
    /// The reactor's own context; constant.
    context: usize,
    /// Touched in the reactor's own context only.
    pub(crate) queue: RunQueue,
    /// At most one entry for each task (`Header::injected`). `SegQueue` allocates a block every 31
    /// pushes: the price of a wake from elsewhere only.
    injected: SegQueue<TaskRef>,
    injections: AtomicU64,
    closed: AtomicBool,
    pub(crate) current: CurrentCell,
}

// SAFETY: all fields but `queue` are thread-safe by themselves (a `Platform` is `Send + Sync`). `queue` is reached by
// `TaskRef::wake_local` after `is_local`, and by the executor and join handles, which never leave
// the context; `Platform`'s contract makes "local" mean that no other thread with that answer runs
// at the same time. Dropping an empty run queue (elsewhere, with the last reference) touches no
// task, and `close` has emptied it.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    /// Makes the calling context the reactor's own.
    pub(crate) fn new(platform: Arc<dyn Platform>) -> Shared {
        Shared {
            context: platform.context(),
            platform: NonNull::from(&*platform),
            _platform: platform,
            queue: RunQueue::default(),
            injected: SegQueue::new(),
            injections: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            current: CurrentCell::default(),
        }
    }

    pub(crate) fn platform(&self) -> &dyn Platform {
        // SAFETY: in the `Arc` beside it, which is never replaced.
        unsafe { self.platform.as_ref() }
    }

    /// Whether the caller runs in the reactor's own context.
    pub(crate) fn is_local(&self) -> bool {
        self.platform().context() == self.context
    }

    /// Takes a wake from another thread. Never waits; frees nothing but memory.
    pub(crate) fn inject(&self, task: TaskRef) {
        self.injected.push(task);
        self.injections.fetch_add(1, Ordering::Relaxed);
        fence(Ordering::SeqCst); // pairs with `close`: one of the two sees the other
        if self.closed.load(Ordering::Relaxed) {
            self.discard_injected();
        } else {
            self.platform().unpark();
        }
    }

    /// Whether another thread's wake waits to be accepted.
    pub(crate) fn has_injected(&self) -> bool {
        !self.injected.is_empty()
    }

    /// Puts what other threads woke into the run queue. In the context only.
    pub(crate) fn accept_injected(&self) {
        // Looking first is cheaper than a pop: an empty one fences.
        if self.has_injected() {
            self.accept_some();
        }
    }

    #[cold]
    fn accept_some(&self) {
        for _ in 0..MAX_INJECTED_PER_TURN {
            match self.injected.pop() {
                Some(task) => task.accept(),
                None => return,
            }
        }
    }

    /// Turns wakes from elsewhere away from now on. Called when the reactor is dropped, all tasks
    /// complete.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst); // pairs with `inject`
        self.discard_injected();
    }

    /// Breaks the circle queue → task → `Shared` of tasks that nobody will accept any more.
    fn discard_injected(&self) {
        while let Some(task) = self.injected.pop() {
            drop(task);
        }
    }

    /// How many wakes came from other threads.
    pub(crate) fn injections(&self) -> u64 {
        self.injections.load(Ordering::Relaxed)
    }
}
