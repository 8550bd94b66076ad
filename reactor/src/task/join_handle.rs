//! The handle that a spawn returns: the task's output, its cancellation, its detachment.
//!
//! Owns [`JoinHandle`] and [`JoinError`]. Lives in the reactor's context (it is not `Send`).
#![allow(unsafe_code, reason = "takes the typed output out of an untyped task")]

use core::fmt;
use core::future::Future;
use core::marker::PhantomData;
use core::pin::Pin;
use core::task::{Context, Poll};

use crate::task::header::{CANCELLED, COMPLETE, JOINABLE, PANICKED, TaskRef};
use crate::task::{Priority, TaskInfo};

/// Why a task has no output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinError {
    /// It was cancelled, or its reactor was dropped.
    Cancelled,
    /// Its poll panicked. (Seen on a host only: in the kernel a panic ends the machine.)
    Panicked,
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            JoinError::Cancelled => "task was cancelled",
            JoinError::Panicked => "task panicked",
        })
    }
}

impl core::error::Error for JoinError {}

/// Awaits, cancels or detaches a spawned task.
///
/// Awaiting it gives the output, or a [`JoinError`]; after that it must not be polled again.
/// Dropping it detaches the task, which goes on, and drops an output that was not taken.
///
/// ```
/// use reactor::{Reactor, task::JoinError, testing::VirtualClock, time::Duration};
/// let reactor = Reactor::new(VirtualClock::new());
/// let (spawner, clock) = (reactor.spawner(), reactor.clock());
/// reactor.block_on(async move {
///     let sum = spawner.spawn(async { 40 + 2 });
///     assert_eq!(sum.await, Ok(42));
///     let sleeper = spawner.spawn(async move { clock.sleep(Duration::from_secs(60)).await });
///     sleeper.cancel();
///     assert_eq!(sleeper.await, Err(JoinError::Cancelled));
/// });
/// ```
pub struct JoinHandle<T> {
    task: TaskRef,
    /// Owns a `T` in the reactor's context; so neither `Send` nor `Sync`.
    _output: PhantomData<(T, *const ())>,
}

impl<T> Unpin for JoinHandle<T> {}

impl<T> JoinHandle<T> {
    /// # Safety
    ///
    /// `task` is the join handle's own reference to a `JOINABLE` task whose output is a `T`.
    pub(crate) unsafe fn new(task: TaskRef) -> JoinHandle<T> {
        JoinHandle {
            task,
            _output: PhantomData,
        }
    }

    /// Asks the task to end. The executor drops its future when the task's turn comes (also if the
    /// task is cancelling itself: then once its poll returns), never inside this call. An output
    /// that is there before stays; otherwise awaiting the handle gives [`JoinError::Cancelled`].
    pub fn cancel(&self) {
        let header = self.task.header();
        if !header.has(COMPLETE) {
            header.set(CANCELLED);
            self.task.wake_local();
        }
    }

    /// Lets the task go on by itself; its output will be dropped. The same as dropping the handle,
    /// but says so.
    pub fn detach(self) {}

    /// Whether the task has ended, in whatever way. Its future is gone then.
    pub fn is_finished(&self) -> bool {
        self.task.header().has(COMPLETE)
    }

    /// The task's number, unique in its reactor.
    pub fn id(&self) -> u64 {
        self.task.header().id
    }

    /// The name that the task was spawned with.
    pub fn name(&self) -> &'static str {
        self.task.header().name
    }

    /// What is known of the task; also when it has ended.
    pub fn info(&self) -> TaskInfo {
        TaskInfo::from(self.task.header())
    }

    /// Changes the class that the task is queued in, from its next wake on.
    pub fn set_priority(&self, priority: Priority) {
        self.task.header().priority.set(priority);
    }

    pub(crate) fn task(&self) -> &TaskRef {
        &self.task
    }

    /// The result of a task that has ended; `None` before that.
    ///
    /// # Panics
    ///
    /// If the result was taken already.
    pub(crate) fn take_result(&self) -> Option<Result<T, JoinError>> {
        let header = self.task.header();
        if !header.has(COMPLETE) {
            return None;
        }
        // SAFETY: complete, the output is a `T` (`new`), and a handle stays in the context.
        Some(match unsafe { self.task.take_output::<T>() } {
            Some(output) => Ok(output),
            None if header.has(PANICKED) => Err(JoinError::Panicked),
            None if header.has(CANCELLED) => Err(JoinError::Cancelled),
            None => panic!(
                "join handle of task '{}' awaited after it gave the output",
                header.name
            ),
        })
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.take_result() {
            Some(result) => Poll::Ready(result),
            None => {
                self.task.header().set_joiner(cx.waker());
                Poll::Pending
            }
        }
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        let header = self.task.header();
        header.unset(JOINABLE);
        drop(header.take_joiner());
        if header.has(COMPLETE) {
            // SAFETY: complete, so not running; handles stay in the context.
            unsafe { self.task.clear() };
        }
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle")
            .field("name", &self.name())
            .field("id", &self.id())
            .field("finished", &self.is_finished())
            .finish()
    }
}
