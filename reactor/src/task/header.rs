//! The part of a task that does not depend on its future: state, links, counters, reference count.
//!
//! Owns the layout of a task in memory (one allocation: this header, then the future or its output)
//! and the proof of who may touch what. Called by the executor, wakers and join handles of this
//! crate. Must never be reached from an interrupt handler.
//!
//! # Who touches what
//!
//! *The context* is the thread (the core) that made the reactor; [`Shared::is_local`] tells whether
//! one is on it. Any thread may use `refs`, `injected` and `shared`. Everything else, the cells
//! included, is touched in the context only.
//!
//! # States
//!
//! ```text
//!             spawn                 pop                    pending, not woken
//!        ───────────► QUEUED ─────────────► RUNNING ───────────────────────────► (waiting)
//!                       ▲                     │  │                                  │
//!                       │ pending, woken      │  │ ready, cancelled or panicked     │ wake, cancel
//!                       ├─────────────────────┘  └───────────► COMPLETE             │
//!                       └───────────────────────────────────────────────────────────┘
//! ```
//!
//! `QUEUED` with `RUNNING` means: woken during its own poll, to be queued when that poll is over. A
//! task that completes is therefore never in the run queue.
//!
//! # Reference count
//!
//! One for the executor until `COMPLETE`, one for the join handle, one for each waker, one while
//! the task is in the injection queue. The executor's is the [`LocalTask`] token: in the run queue
//! while `QUEUED`, in the executor's hands while `RUNNING`, and resting in the header while the
//! task waits. The future is dropped before the executor's reference is given up, the output before
//! the join handle's is, so the last owner, which may be a waker on another thread, frees memory
//! and drops nothing of the program's.
#![allow(
    unsafe_code,
    reason = "one allocation per task, shared by untyped pointers"
)]

use alloc::sync::Arc;
use core::cell::Cell;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use core::task::{Context, Waker};

use crate::shared::Shared;
use crate::task::{Priority, local::LocalTask};

/// In the run queue, or to be put there after the poll that is going on.
pub(crate) const QUEUED: u8 = 1;
/// Being polled or dropped right now.
pub(crate) const RUNNING: u8 = 1 << 1;
/// The future is gone; the output is there if the task neither was cancelled nor panicked.
pub(crate) const COMPLETE: u8 = 1 << 2;
/// Asked to end; its future is dropped instead of polled.
pub(crate) const CANCELLED: u8 = 1 << 3;
/// Its poll, or the drop of its future, unwound.
pub(crate) const PANICKED: u8 = 1 << 4;
/// A join handle exists.
pub(crate) const JOINABLE: u8 = 1 << 5;

/// What depends on the type of the future.
pub(crate) struct Vtable {
    /// Polls the future; when it is ready, replaces it by its output and returns true.
    pub(crate) poll: unsafe fn(NonNull<Header>, &mut Context<'_>) -> bool,
    /// Drops the future or the output, whichever is there.
    pub(crate) clear: unsafe fn(NonNull<Header>),
    /// Moves the output into the `Option<Output>` behind the pointer; leaves it alone if there is
    /// none.
    pub(crate) take_output: unsafe fn(NonNull<Header>, *mut ()),
    /// Frees the allocation.
    pub(crate) free: unsafe fn(NonNull<Header>),
}

/// The head of a task's allocation. What a wake touches comes first, within one cache line.
#[repr(C)]
pub(crate) struct Header {
    refs: AtomicUsize,
    /// In the injection queue.
    injected: AtomicBool,
    state: Cell<u8>,
    /// The class it is queued in from the next time on.
    pub(crate) priority: Cell<Priority>,
    pub(crate) shared: Arc<Shared>,
    /// The task behind this one in the run queue.
    pub(crate) next_queued: Cell<Option<NonNull<Header>>>,
    pub(crate) vtable: &'static Vtable,
    pub(crate) polls: Cell<u64>,
    pub(crate) busy_nanos: Cell<u64>,
    pub(crate) id: u64,
    pub(crate) name: &'static str,
    /// Neighbours in the list of all live tasks.
    pub(crate) previous: Cell<Option<NonNull<Header>>>,
    pub(crate) next: Cell<Option<NonNull<Header>>>,
    /// Who awaits the join handle.
    joiner: Cell<Option<Waker>>,
}

impl Header {
    /// A header in state `QUEUED | JOINABLE` with two references: the executor's and the join
    /// handle's.
    pub(crate) fn new(
        shared: Arc<Shared>,
        vtable: &'static Vtable,
        id: u64,
        name: &'static str,
        priority: Priority,
    ) -> Header {
        Header {
            refs: AtomicUsize::new(2),
            injected: AtomicBool::new(false),
            state: Cell::new(QUEUED | JOINABLE),
            priority: Cell::new(priority),
            shared,
            next_queued: Cell::new(None),
            vtable,
            polls: Cell::new(0),
            busy_nanos: Cell::new(0),
            id,
            name,
            previous: Cell::new(None),
            next: Cell::new(None),
            joiner: Cell::new(None),
        }
    }

    /// Whether any of `flags` is set. In the context only, as all of the state.
    pub(crate) fn has(&self, flags: u8) -> bool {
        self.state.get() & flags != 0
    }

    pub(crate) fn set(&self, flags: u8) {
        self.state.set(self.state.get() | flags);
    }

    pub(crate) fn unset(&self, flags: u8) {
        self.state.set(self.state.get() & !flags);
    }

    /// From `QUEUED` to `RUNNING`.
    pub(crate) fn set_running(&self) {
        self.state.set(self.state.get() & !QUEUED | RUNNING);
    }

    /// Remembers who to wake when the task is complete.
    pub(crate) fn set_joiner(&self, waker: &Waker) {
        let old = self.joiner.take();
        let same = old.as_ref().is_some_and(|old| old.will_wake(waker));
        self.joiner
            .set(if same { old } else { Some(waker.clone()) });
    }

    pub(crate) fn take_joiner(&self) -> Option<Waker> {
        self.joiner.take()
    }

    /// Counts the time of a poll, or of a drop of the future.
    pub(crate) fn count_run(&self, nanos: u64, polled: bool) {
        self.polls.set(self.polls.get() + u64::from(polled));
        self.busy_nanos
            .set(self.busy_nanos.get().wrapping_add(nanos));
    }
}

/// One counted reference to a task. May be sent to, used and dropped on any thread.
pub(crate) struct TaskRef(NonNull<Header>);

// SAFETY: through a `TaskRef` other threads reach only what the module's text lists as theirs:
// `refs`, `injected` and `shared`. `wake` checks the context before it touches anything else.
unsafe impl Send for TaskRef {}
// SAFETY: as above.
unsafe impl Sync for TaskRef {}

impl TaskRef {
    /// Takes over one reference that is already counted.
    ///
    /// # Safety
    ///
    /// `header` comes from `cell::allocate` and the caller gives up one counted reference to it.
    pub(crate) unsafe fn from_counted(header: NonNull<Header>) -> TaskRef {
        TaskRef(header)
    }

    /// Counts one more reference to a task.
    ///
    /// # Safety
    ///
    /// `header` comes from `cell::allocate` and the task is live: some counted reference outlasts
    /// this call.
    pub(crate) unsafe fn count(header: NonNull<Header>) -> TaskRef {
        // SAFETY: the contract; `ManuallyDrop` leaves that other reference in place.
        let other = ManuallyDrop::new(unsafe { TaskRef::from_counted(header) });
        TaskRef::clone(&other)
    }

    /// Gives the reference away without ending it; `from_counted` takes it back.
    pub(crate) fn into_counted(self) -> NonNull<Header> {
        let header = self.0;
        core::mem::forget(self);
        header
    }

    pub(crate) fn header(&self) -> &Header {
        // SAFETY: the allocation lives as long as a reference is counted, and this is one.
        unsafe { self.0.as_ref() }
    }

    /// Makes the task run again soon. From any thread.
    #[inline(always)] // of the two functions of a waker, which are called through a table
    pub(crate) fn wake(&self) {
        if self.header().shared.is_local() {
            self.wake_local();
        } else {
            self.wake_remote();
        }
    }

    /// Puts a waiting task into the run queue. In the context only.
    #[inline(always)] // a part of nearly every wake
    pub(crate) fn wake_local(&self) {
        let header = self.header();
        let state = header.state.get();
        if state & (QUEUED | COMPLETE) != 0 {
            return;
        }
        header.set(QUEUED);
        if state & RUNNING == 0 {
            // SAFETY: neither queued, running nor complete, so the executor's token rests in the
            // header (the module's text), and the flag just set makes that untrue from now on.
            header
                .shared
                .queue
                .push(unsafe { LocalTask::from_token(self.0) });
        }
    }

    #[cold]
    fn wake_remote(&self) {
        // AcqRel: a waker that finds the flag set relies on the take in `accept` to see its writes.
        if !self.header().injected.swap(true, Ordering::AcqRel) {
            self.header().shared.inject(self.clone());
        }
    }

    /// The context took the task out of the injection queue: lets it be injected again, and queues
    /// it.
    pub(crate) fn accept(self) {
        self.header().injected.swap(false, Ordering::AcqRel);
        self.wake_local();
    }

    /// Moves the output out, if the task left one that was not taken yet.
    ///
    /// # Safety
    ///
    /// `T` is the output type of the task's future, and the task is complete. In the context only.
    pub(crate) unsafe fn take_output<T>(&self) -> Option<T> {
        let mut output: Option<T> = None;
        // SAFETY: `output` has the type that the caller vouches for; complete, so nobody else is at
        // the cell.
        unsafe { (self.header().vtable.take_output)(self.0, (&raw mut output).cast()) };
        output
    }

    /// Drops the future or the output, whichever is there.
    ///
    /// # Safety
    ///
    /// The task is not running, and this is its context.
    pub(crate) unsafe fn clear(&self) {
        // SAFETY: not running, so nobody else is at the cell.
        unsafe { (self.header().vtable.clear)(self.0) };
    }
}

impl Clone for TaskRef {
    fn clone(&self) -> TaskRef {
        // Relaxed, as in `Arc`: a new reference is made from one that keeps the task alive
        // meanwhile. Overflow takes 2^64 wakers forgotten in a loop: centuries, so it is not
        // checked.
        self.header().refs.fetch_add(1, Ordering::Relaxed);
        TaskRef(self.0)
    }
}

impl Drop for TaskRef {
    fn drop(&mut self) {
        if self.header().refs.fetch_sub(1, Ordering::Release) == 1 {
            fence(Ordering::Acquire); // everything done through other references happened before
            let free = self.header().vtable.free;
            // SAFETY: the last reference; future and output are gone (the module's text).
            unsafe { free(self.0) };
        }
    }
}
