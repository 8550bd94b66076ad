//! The stacks of tasks, from the process's memory.
//!
//! What runs on them is [`calls::coroutines`]. The pages of a stack that are never touched take no memory, so each is
//! a good deal larger than the program asked for: what Rust's own library needs in a call is no business of the
//! program's.
#![allow(
    unsafe_code,
    reason = "promises that what is running is kept for each thread"
)]

use std::cell::{Cell, RefCell};
use std::fmt;
use std::num::NonZeroUsize;
use std::ptr;
use std::rc::Rc;

use abi::Error;
use calls::Task;
use calls::coroutines::{self, Ground};
use calls::program::DEFAULT_STACK;
use corosensei::stack::{DefaultStack, Stack};

use crate::{registry, space, thread};

/// A task of the program, as its calls see it.
pub(crate) type Running = coroutines::Running<Stacks>;

/// Bytes of every stack for what calls do, beside what the program asked for. A call that finds fewer left ends its
/// task.
const RESERVE: usize = 64 << 10;
/// Below each stack a page is left out.
const PAGE: usize = 4 << 10;
/// How many stacks of the usual size are kept for the next tasks.
const MAX_IDLE: usize = 64;

/// Makes stacks, and keeps some.
#[derive(Default)]
pub(crate) struct Stacks {
    idle: Rc<RefCell<Vec<DefaultStack>>>,
}

/// A fault of a task.
#[derive(Debug)]
pub(crate) struct Fault {
    what: &'static str,
    instruction: usize,
}

impl Fault {
    /// What happened, and at which instruction.
    pub(crate) fn new(what: &'static str, instruction: usize) -> Fault {
        Fault { what, instruction }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fault=\"{}\" rip={:#x}", self.what, self.instruction)
    }
}

thread_local! {
    /// Whose stack this thread is on. Of constant initialisation, so that handlers of signals may read it.
    static CURRENT: Cell<*const Running> = const { Cell::new(ptr::null()) };
}

/// Says whose stack this thread is on; gives whose it was.
pub(crate) fn replace_current(running: *const Running) -> *const Running {
    CURRENT.replace(running)
}

// SAFETY: both use this thread's `CURRENT`. Where a task enters another kernel, `thread` keeps it for when that is
// left.
unsafe impl Ground for Stacks {
    type Stack = TaskStack;
    type Interrupted = ();
    type Fault = Fault;
    type Registers = ();

    const RESERVE: usize = RESERVE;
    const GUARD: usize = PAGE;

    fn stack(&self, size: usize) -> Result<TaskStack, Error> {
        let idle = match size {
            DEFAULT_STACK => self.idle.borrow_mut().pop(),
            _ => None,
        };
        let made = idle.map_or_else(|| DefaultStack::new(size + RESERVE), Ok);
        Ok(TaskStack {
            stack: Some(made.map_err(|_| Error::NoMemory)?),
            usual: size == DEFAULT_STACK,
            idle: Rc::clone(&self.idle),
        })
    }

    fn is_code(&self, address: u64) -> bool {
        space::is_code(address)
    }

    fn set_current(running: *const Running) {
        // A task that ends in a kernel that it has entered has forgotten to leave it.
        while running.is_null() && CURRENT.get().is_null() && registry::leave().is_ok() {
            log::warn!("kernel: entered by a task and not left");
        }
        replace_current(running);
        // It may have begun or ended, and so have run, without a call.
        if running.is_null()
            && let Some(kernel) = thread::current()
        {
            kernel.descriptors().platform().program_runs();
        }
    }

    fn current() -> *const Running {
        CURRENT.get()
    }

    fn with_registers<R>((): &mut (), run: impl FnOnce() -> R) -> R {
        run()
    }

    fn frame_pointer() -> u64 {
        0
    }

    fn interrupted() {}

    fn overflow((): (), _: &Running) -> Fault {
        Fault::new("stack overflow", 0)
    }

    fn report(fault: Fault, task: &Task) {
        log::error!("program: task faulted task={} {fault}", task.id());
    }
}

/// The stack of a task. Dropping it lets another task have it, so nothing may run on it by then.
pub(crate) struct TaskStack {
    /// There until the drop.
    stack: Option<DefaultStack>,
    usual: bool,
    idle: Rc<RefCell<Vec<DefaultStack>>>,
}

impl TaskStack {
    fn get(&self) -> &DefaultStack {
        self.stack.as_ref().expect("there until the drop")
    }
}

// SAFETY: as the stack in it, which stays where it is.
unsafe impl Stack for TaskStack {
    fn base(&self) -> NonZeroUsize {
        self.get().base()
    }

    fn limit(&self) -> NonZeroUsize {
        self.get().limit()
    }
}

impl Drop for TaskStack {
    fn drop(&mut self) {
        let mut idle = self.idle.borrow_mut();
        if self.usual && idle.len() < MAX_IDLE {
            idle.extend(self.stack.take());
        }
    }
}
