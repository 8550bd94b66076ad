//! The executor's own reference to a task, as a token that exists once.
//!
//! Owns the operations that only the executor may do: poll, clear, complete. Because there is one
//! token per live task, and each operation that ends its use consumes it, the executor itself is
//! safe code.
#![allow(
    unsafe_code,
    reason = "untyped calls into a task; the token proves they are exclusive"
)]

use core::ptr::NonNull;
use core::task::Context;

use crate::task::header::{COMPLETE, Header, JOINABLE, QUEUED, RUNNING, TaskRef};
use crate::task::waker;

/// The executor's reference to one live task. Neither `Send` nor `Clone`.
#[must_use = "a task whose token is lost never runs again"]
pub(crate) struct LocalTask(NonNull<Header>);

impl LocalTask {
    /// Takes the token up.
    ///
    /// # Safety
    ///
    /// The task is not complete, its token is not held anywhere else, and this is its reactor's
    /// context.
    pub(crate) unsafe fn from_token(header: NonNull<Header>) -> LocalTask {
        LocalTask(header)
    }

    /// Lays the token down in a queue, which keeps the pointer.
    pub(crate) fn into_token(self) -> NonNull<Header> {
        self.0
    }

    /// The pointer, which stays valid while the token is not consumed.
    pub(crate) fn as_ptr(&self) -> NonNull<Header> {
        self.0
    }

    pub(crate) fn header(&self) -> &Header {
        // SAFETY: the token is a counted reference.
        unsafe { self.0.as_ref() }
    }

    /// Polls the future once; true when it gave its output. Only between `RUNNING` being set and
    /// unset.
    pub(crate) fn poll(&self) -> bool {
        debug_assert!(self.header().has(RUNNING) && !self.header().has(COMPLETE));
        // SAFETY: the token outlives the poll.
        let waker = unsafe { waker::borrowed(self.0) };
        // SAFETY: not complete, and the only token is here: nobody else is at the future.
        unsafe { (self.header().vtable.poll)(self.0, &mut Context::from_waker(&waker)) }
    }

    /// Drops the future (or an output that was just made). Only between `RUNNING` being set and
    /// unset.
    pub(crate) fn clear(&self) {
        debug_assert!(self.header().has(RUNNING) && !self.header().has(COMPLETE));
        // SAFETY: as for `poll`.
        unsafe { (self.header().vtable.clear)(self.0) };
    }

    /// Lets the task wait: the token rests in the header, where a wake finds it.
    pub(crate) fn wait(self) {
        debug_assert!(!self.header().has(QUEUED | RUNNING | COMPLETE));
    }

    /// Ends the task, whose future is gone: drops an output that nobody can take, wakes who joins
    /// it, and gives up the executor's reference.
    pub(crate) fn complete(self) {
        // SAFETY: the token is the executor's counted reference, and `self` ends here.
        let task = unsafe { TaskRef::from_counted(self.0) };
        let header = task.header();
        header.set(COMPLETE);
        header.unset(RUNNING);
        if !header.has(JOINABLE) {
            // SAFETY: not running any more, and in the context, where tokens stay.
            unsafe { task.clear() };
        }
        if let Some(joiner) = header.take_joiner() {
            joiner.wake();
        }
    }
}
