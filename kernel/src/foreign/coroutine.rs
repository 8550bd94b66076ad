//! Runs each task of the program as a task of the reactor: a poll goes to the program's stack and comes back when the
//! program waits, ends or fails.
#![allow(
    unsafe_code,
    reason = "hands a stack to code that nobody checked, and takes it back"
)]

use alloc::rc::Rc;
use core::pin::Pin;
use core::ptr::NonNull;
use core::task::{Context, Poll};

use abi::Error;
use abi::number::{TASK_CANCELLED, TASK_FAULTED};
use calls::Task;
use calls::backend::{Runner, Start};
use corosensei::{Coroutine, CoroutineResult, Yielder};
use reactor::task::JoinHandle;

use super::fault::{Fault, Interrupted};
use super::running::Running;
use super::stacks::{StackPool, TaskStack};
use crate::arch::{self, FloatControl};
use crate::memory::image;

/// What reactor tasks of a program are called.
const NAME: &str = "c";

/// What a poll brings to the stack: its context, which is good until the stack pauses; none, when the task is to
/// end now.
pub(super) type Turn = Option<NonNull<Context<'static>>>;

/// Why a stack goes back to the reactor, being still in use.
#[derive(Debug)]
pub(super) enum Pause {
    /// Something is pending.
    Waiting,
    /// The task has ended: the stack is not to be resumed.
    Exit(i32),
    /// The stack is used up, as was found there: likewise.
    Overflow(Interrupted),
}

/// How a task ends.
#[derive(Debug)]
pub(super) enum Ending {
    /// With a status.
    Status(i32),
    /// By a fault.
    Fault(Fault),
}

/// Runs tasks on stacks of their own.
#[derive(Default)]
pub(super) struct Coroutines {
    stacks: Rc<StackPool>,
}

impl Runner for Coroutines {
    fn start(&self, task: &Rc<Task>, start: Start) -> Result<JoinHandle<()>, Error> {
        if !image::text().contains(start.entry) {
            return Err(Error::Invalid);
        }
        let body = Body::new(task, start, self.stacks.take(start.stack)?);
        let spawner = &task.program().machine().spawner;
        let spawned = spawner.task(NAME).try_spawn(body);
        spawned.map_err(|_| Error::NoMemory)
    }
}

/// A task of the program, as the reactor polls it.
struct Body {
    running: Rc<Running>,
    coroutine: Coroutine<Turn, Pause, Ending, TaskStack>,
    float: FloatControl,
}

impl Body {
    fn new(task: &Rc<Task>, start: Start, stack: TaskStack) -> Body {
        let running = Running::new(Rc::clone(task), stack.range());
        let known = Rc::as_ptr(&running);
        // What this captures and has is never dropped where the task does not return, so it owns nothing.
        let bottom = move |yielder: &Yielder<Turn, Pause>, turn: Turn| {
            // SAFETY: `Body` keeps the `Rc` for as long as the coroutine.
            run(unsafe { &*known }, yielder, turn, start)
        };
        let coroutine = Coroutine::with_stack(stack, bottom);
        running.leaves_by(coroutine.trap_handler());
        Body {
            running,
            coroutine,
            float: FloatControl::INITIAL,
        }
    }

    /// Goes to the task's stack. Answers how the task ended, if it did.
    fn resume(&mut self, turn: Turn) -> Option<Ending> {
        let coroutine = &mut self.coroutine;
        let float = &mut self.float;
        let resumed = self
            .running
            .while_running(|| float.keep(|| coroutine.resume(turn)));
        let ending = match resumed {
            CoroutineResult::Return(ending) => return Some(ending),
            CoroutineResult::Yield(Pause::Waiting) => return None,
            CoroutineResult::Yield(Pause::Exit(status)) => Ending::Status(status),
            CoroutineResult::Yield(Pause::Overflow(at)) => {
                Ending::Fault(Fault::new(at, &self.running))
            }
        };
        // SAFETY: nothing on the stack is to be dropped. `run` and the program's own frames own nothing. A call drops
        // what it has before it leaves this way: `calls::entry` says so of `Door::exit`; and `Door::enter`, which
        // leaves so when the stack is used up, has nothing yet.
        unsafe { self.coroutine.force_reset() };
        Some(ending)
    }

    /// Tells everybody that the task has ended.
    fn end(&self, ending: Ending) {
        let task = &self.running.task;
        let status = match ending {
            Ending::Status(status) => status,
            Ending::Fault(fault) => {
                FloatControl::reset();
                fault.report(task);
                TASK_FAULTED
            }
        };
        task.end(status);
    }
}

/// What is at the bottom of every stack.
fn run(running: &Running, yielder: &Yielder<Turn, Pause>, turn: Turn, start: Start) -> Ending {
    running.begins(yielder, turn, arch::frame_pointer());
    let entry = start.entry as *const ();
    // SAFETY: `Coroutines::start` saw that the address is one of code. That there is a function of this kind is the
    // word of the program (the header, `task_spawn`).
    let entry: extern "C" fn(u64) -> i32 = unsafe { core::mem::transmute(entry) };
    running.leave_kernel();
    let status = entry(start.argument);
    running.enter_kernel();
    Ending::Status(status)
}

impl Future for Body {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if !self.coroutine.started() && self.running.task.is_cancelled() {
            return Poll::Ready(()); // and `drop` ends it
        }
        match self.resume(Some(NonNull::from(cx).cast())) {
            Some(ending) => {
                self.end(ending);
                Poll::Ready(())
            }
            None => Poll::Pending,
        }
    }
}

/// Ends a task that nobody polls any more. One that has begun sleeps in a call: its future lies on that stack, pinned,
/// and must be dropped before the stack goes. So the call is resumed and told to give up.
impl Drop for Body {
    fn drop(&mut self) {
        if self.coroutine.done() {
            return;
        }
        let ending = if self.coroutine.started() {
            self.resume(None)
                .expect("a call that is told to give up ends the task")
        } else {
            Ending::Status(TASK_CANCELLED)
        };
        self.end(ending);
    }
}
