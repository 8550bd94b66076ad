//! The future that `block_on` runs: a task like any other, but one that may borrow from its caller.
//!
//! Owns the proof that nothing of it is left when `block_on` returns or unwinds.
#![allow(
    unsafe_code,
    reason = "lets one task borrow from the stack of block_on"
)]

use alloc::alloc::{Layout, handle_alloc_error};
use core::future::Future;

use crate::executor::Core;
use crate::task::cell;
use crate::task::header::Header;
use crate::task::{JoinError, JoinHandle, Priority};

/// A main future on its way. Dropping it (`block_on` unwinds) drops the future.
pub(crate) struct MainTask<T> {
    handle: JoinHandle<T>,
}

impl<T> MainTask<T> {
    /// Queues `future` as the task "main" and passes it to `run`, which drives it to its result.
    pub(crate) fn with<F, R>(core: &Core, future: F, run: impl FnOnce(&MainTask<T>) -> R) -> R
    where
        F: Future<Output = T>,
    {
        let header = |vtable| {
            Header::new(
                core.shared.clone(),
                vtable,
                core.next_id(),
                "main",
                Priority::Normal,
            )
        };
        // SAFETY: `main` stays in this function, and its destructor, which runs when `run` returns
        // or unwinds, takes or drops future and output. What they borrow outlives this call.
        let task = unsafe { cell::allocate_unchecked(future, header) };
        let Ok((task, handle)) = task else {
            handle_alloc_error(Layout::new::<F>())
        };
        let main = MainTask { handle };
        core.start(task);
        run(&main)
    }

    /// The result, once there is one.
    pub(crate) fn result(&self) -> Option<Result<T, JoinError>> {
        self.handle.take_result()
    }
}

impl<T> Drop for MainTask<T> {
    fn drop(&mut self) {
        if !self.handle.is_finished() {
            self.handle.cancel();
            // SAFETY: the future is not being polled: `run` has ended, and a poll that unwinds
            // completes its task on the way. In the context. When the cancelled task's turn comes,
            // its future is gone.
            unsafe { self.handle.task().clear() };
        }
        // The output of a finished one, if it was not taken, goes with the join handle.
    }
}
