//! Runs each task of a program as a task of the reactor: a poll goes to the program's stack and comes back when the
//! program waits, ends or fails.
//!
//! The same in the guest and in a process of Linux but for what stacks are made of, and what is known of faults:
//! [`Ground`].
#![allow(
    unsafe_code,
    reason = "hands a stack to code that nobody checked, and takes it back"
)]

mod running;

use alloc::rc::Rc;
use core::fmt;
use core::pin::Pin;
use core::ptr::NonNull;
use core::task::{Context, Poll};

use abi::Error;
use abi::number::{TASK_CANCELLED, TASK_FAULTED};
use corosensei::stack::Stack;
use corosensei::{Coroutine, CoroutineResult, Yielder};
use reactor::task::JoinHandle;

use crate::backend::{Runner, Start};
use crate::task::Task;

pub use running::Running;

/// What reactor tasks of a program are called.
const NAME: &str = "c";

/// What stacks stand on.
///
/// # Safety
///
/// [`current`](Ground::current) gives what [`set_current`](Ground::set_current) was given last on the same processor or
/// thread.
pub unsafe trait Ground: Sized + 'static {
    /// A stack with a guard below it.
    type Stack: Stack;
    /// Where a task was when its stack was found used up.
    type Interrupted: fmt::Debug;
    /// What is known of a fault.
    type Fault: fmt::Debug;
    /// What a task's code may change in the processor that a called function has to keep, where somebody has to care.
    type Registers: Default;

    /// A stack of at least so many bytes for the program, and what its calls need beside.
    ///
    /// # Errors
    /// [`Error::NoMemory`].
    fn stack(&self, size: usize) -> Result<Self::Stack, Error>;
    /// Whether there may be a function at an address.
    fn is_code(&self, address: u64) -> bool;
    /// Bytes of each stack that are the calls' own: a call that finds fewer ends the task.
    const RESERVE: usize;
    /// Bytes of the guard below each stack.
    const GUARD: usize;

    /// Says whose stack is in use from now on; null: the reactor's.
    fn set_current(running: *const Running<Self>);
    /// Whose stack is in use.
    fn current() -> *const Running<Self>;
    /// Calls `run`, which goes to the task's stack, with the task's registers.
    fn with_registers<R>(registers: &mut Self::Registers, run: impl FnOnce() -> R) -> R;

    /// The frame of the caller, where backtraces walk frames.
    fn frame_pointer() -> u64;
    /// Where the caller is, whose stack is used up: there is hardly any room for this.
    fn interrupted() -> Self::Interrupted;
    /// What is to be said of that. On the reactor's stack; the task's is as it was.
    fn overflow(at: Self::Interrupted, running: &Running<Self>) -> Self::Fault;
    /// Says what happened to a task. On the reactor's stack.
    fn report(fault: Self::Fault, task: &Task);
}

/// What a poll brings to the stack: its context, which is good until the stack pauses; none, when the task is to
/// end now.
type Turn = Option<NonNull<Context<'static>>>;

/// Why a stack goes back to the reactor, being still in use.
#[derive(Debug)]
enum Pause<I> {
    /// Something is pending.
    Waiting,
    /// The task has ended: the stack is not to be resumed.
    Exit(i32),
    /// The stack is used up, as was found there: likewise.
    Overflow(I),
}

/// How a task ends.
#[derive(Debug)]
pub enum Ending<F> {
    /// With a status.
    Status(i32),
    /// By a fault.
    Fault(F),
}

/// Runs tasks on stacks of their own.
#[derive(Debug, Default)]
pub struct Coroutines<G>(G);

impl<G: Ground> Coroutines<G> {
    /// Runs them on these.
    pub fn new(ground: G) -> Coroutines<G> {
        Coroutines(ground)
    }
}

impl<G: Ground> Runner for Coroutines<G> {
    fn start(&self, task: &Rc<Task>, start: Start) -> Result<JoinHandle<()>, Error> {
        if !self.0.is_code(start.entry) {
            return Err(Error::Invalid);
        }
        let body = Body::<G>::new(task, start, self.0.stack(start.stack)?);
        let spawner = &task.program().machine().spawner;
        let spawned = spawner.task(NAME).try_spawn(body);
        spawned.map_err(|_| Error::NoMemory)
    }
}

type Stackful<G> = Coroutine<
    Turn,
    Pause<<G as Ground>::Interrupted>,
    Ending<<G as Ground>::Fault>,
    <G as Ground>::Stack,
>;

/// A task of the program, as the reactor polls it.
struct Body<G: Ground> {
    running: Rc<Running<G>>,
    coroutine: Stackful<G>,
    registers: G::Registers,
}

// Nothing of it is pinned: what has to stay lies on the stack.
impl<G: Ground> Unpin for Body<G> {}

impl<G: Ground> Body<G> {
    fn new(task: &Rc<Task>, start: Start, stack: G::Stack) -> Body<G> {
        let running = Running::new(Rc::clone(task), &stack);
        let known = Rc::as_ptr(&running);
        // What this captures and has is never dropped where the task does not return, so it owns nothing.
        let bottom = move |yielder: &Yielder<Turn, Pause<G::Interrupted>>, turn: Turn| {
            // SAFETY: `Body` keeps the `Rc` for as long as the coroutine.
            run(unsafe { &*known }, yielder, turn, start)
        };
        let coroutine = Coroutine::with_stack(stack, bottom);
        running.leaves_by(coroutine.trap_handler());
        Body {
            running,
            coroutine,
            registers: G::Registers::default(),
        }
    }

    /// Goes to the task's stack. Answers how the task ended, if it did.
    fn resume(&mut self, turn: Turn) -> Option<Ending<G::Fault>> {
        let (coroutine, registers) = (&mut self.coroutine, &mut self.registers);
        let resumed = self
            .running
            .while_running(|| G::with_registers(registers, || coroutine.resume(turn)));
        let ending = match resumed {
            CoroutineResult::Return(ending) => return Some(ending),
            CoroutineResult::Yield(Pause::Waiting) => return None,
            CoroutineResult::Yield(Pause::Exit(status)) => Ending::Status(status),
            CoroutineResult::Yield(Pause::Overflow(at)) => {
                Ending::Fault(G::overflow(at, &self.running))
            }
        };
        // SAFETY: nothing on the stack is to be dropped. `run` and the program's own frames own nothing. A call drops
        // what it has before it leaves this way: `entry` says so of `Door::exit`; and `Door::enter`, which leaves so
        // when the stack is used up, has nothing yet.
        unsafe { self.coroutine.force_reset() };
        Some(ending)
    }

    /// Tells everybody that the task has ended.
    fn end(&self, ending: Ending<G::Fault>) {
        let task = self.running.task();
        let status = match ending {
            Ending::Status(status) => status,
            Ending::Fault(fault) => {
                G::report(fault, task);
                TASK_FAULTED
            }
        };
        task.end(status);
    }
}

/// What is at the bottom of every stack.
fn run<G: Ground>(
    running: &Running<G>,
    yielder: &Yielder<Turn, Pause<G::Interrupted>>,
    turn: Turn,
    start: Start,
) -> Ending<G::Fault> {
    running.begins(yielder, turn, G::frame_pointer());
    let entry = start.entry as *const ();
    // SAFETY: `Coroutines::start` saw that the address is one of code. That there is a function of this kind is the
    // word of the program (the header, `task_spawn`).
    let entry: extern "C" fn(u64) -> i32 = unsafe { core::mem::transmute(entry) };
    running.leave_kernel();
    let status = entry(start.argument);
    running.enter_kernel();
    Ending::Status(status)
}

impl<G: Ground> Future for Body<G> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if !self.coroutine.started() && self.running.task().is_cancelled() {
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
impl<G: Ground> Drop for Body<G> {
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
