//! What the tasks of a program stand on in a machine: its memory, the processor's control words, exceptions.
//!
//! How a task is run on its stack is the crate `calls`'s (`coroutines`), on Linux as here. Owns the pointer to the
//! task whose stack is in use, which exception handlers and the watchdog read.
#![allow(
    unsafe_code,
    reason = "promises that there is one processor, and so one task that runs"
)]

use alloc::rc::Rc;
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering::Relaxed};

use abi::Error;
use calls::Task;
use calls::coroutines::{self, Ground};

use super::fault::{Fault, Interrupted};
use super::stacks::{StackPool, TaskStack};
use crate::arch::{self, FloatControl};
use crate::memory::PAGE_SIZE;
use crate::memory::image;

/// A task of the program, as those see it who find themselves on its stack.
pub(super) type Running = coroutines::Running<Machine>;

/// The task whose stack is in use; null while the reactor runs on its own.
static RUNNING: AtomicPtr<Running> = AtomicPtr::new(ptr::null_mut());

/// The machine, for the stacks of tasks.
#[derive(Default)]
pub(super) struct Machine {
    stacks: Rc<StackPool>,
}

// SAFETY: there is one processor, and interrupts change nothing of `RUNNING`.
unsafe impl Ground for Machine {
    type Stack = TaskStack;
    type Interrupted = Interrupted;
    type Fault = Fault;
    type Registers = FloatControl;

    /// An overflow in the middle of the kernel's work would be the end of the machine. The deepest calls take half of
    /// this, which a test measures.
    const RESERVE: usize = 8 << 10;
    const GUARD: usize = PAGE_SIZE as usize;

    fn stack(&self, size: usize) -> Result<TaskStack, Error> {
        self.stacks.take(size)
    }

    fn is_code(&self, address: u64) -> bool {
        image::text().contains(address)
    }

    #[inline]
    fn set_current(running: *const Running) {
        RUNNING.store(running.cast_mut(), Relaxed);
    }

    #[inline]
    fn current() -> *const Running {
        RUNNING.load(Relaxed)
    }

    #[inline]
    fn with_registers<R>(registers: &mut FloatControl, run: impl FnOnce() -> R) -> R {
        registers.keep(run)
    }

    #[inline(always)]
    fn frame_pointer() -> u64 {
        arch::frame_pointer()
    }

    #[inline(always)]
    fn interrupted() -> Interrupted {
        Interrupted {
            what: "stack overflow",
            instruction: arch::instruction_pointer(),
            frame: arch::frame_pointer(),
            stack: arch::stack_pointer(),
            address: None,
        }
    }

    fn overflow(at: Interrupted, running: &Running) -> Fault {
        Fault::new(at, running)
    }

    fn report(fault: Fault, task: &Task) {
        FloatControl::reset();
        fault.report(task);
    }
}

/// The number of the program's task that runs, for the watchdog.
pub(crate) fn number() -> Option<u64> {
    Running::current().map(|running| running.task().id())
}
