//! Whose stack is in use: the program's task that runs, for calls, for exceptions and for the watchdog.
//!
//! Owns the pointer to it, which [`Running::while_running`] sets for the time of a resume, and the flag that says
//! whether it is the program that runs on that stack or the kernel on its behalf. Exception handlers read both.
#![allow(
    unsafe_code,
    reason = "turns the pointer to the running task into a reference"
)]

use alloc::rc::Rc;
use core::cell::{Cell, OnceCell};
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering, Ordering::Relaxed, compiler_fence};
use core::task::Context;

use calls::Task;
use corosensei::Yielder;
use corosensei::trap::CoroutineTrapHandler;

use super::coroutine::{Ending, Pause, Turn};
use crate::arch;
use crate::memory::range_set::Range;

/// Bytes of a task's stack that are the kernel's: a call that finds less ends the task, because an overflow in the
/// middle of the kernel's work would be the end of the machine. The deepest calls take half of it, which a test
/// measures.
pub(super) const RESERVE: u64 = 8 << 10;

/// The task whose stack is in use; null while the reactor runs on its own.
static RUNNING: AtomicPtr<Running> = AtomicPtr::new(ptr::null_mut());

/// A task of the program, as those see it who find themselves on its stack.
pub(super) struct Running {
    pub(super) task: Rc<Task>,
    /// Its stack, without the guard page.
    stack: Range,
    /// Whether the kernel runs on that stack, not the program. Set wherever the stack is not in use.
    in_kernel: AtomicBool,
    /// The way back to the reactor's stack; known once the task has begun.
    yielder: Cell<Option<NonNull<Yielder<Turn, Pause>>>>,
    /// What the reactor polls with; `None` while the task is not to wait any more.
    turn: Cell<Turn>,
    /// The frame below the program's first.
    bottom_frame: Cell<u64>,
    /// How a fault leaves the stack.
    trap: OnceCell<CoroutineTrapHandler<Ending>>,
}

impl Running {
    pub(super) fn new(task: Rc<Task>, stack: Range) -> Rc<Running> {
        Rc::new(Running {
            task,
            stack,
            in_kernel: AtomicBool::new(true),
            yielder: Cell::new(None),
            turn: Cell::new(None),
            bottom_frame: Cell::new(stack.end),
            trap: OnceCell::new(),
        })
    }

    /// How a fault is to leave the stack.
    pub(super) fn leaves_by(&self, trap: CoroutineTrapHandler<Ending>) {
        // Nobody was told before.
        let _ = self.trap.set(trap);
    }

    /// Calls `resume` while this is the running task.
    pub(super) fn while_running<R>(self: &Rc<Self>, resume: impl FnOnce() -> R) -> R {
        // A task does not resume another: what it calls wakes tasks and never polls them.
        RUNNING.store(Rc::as_ptr(self).cast_mut(), Relaxed);
        compiler_fence(Ordering::SeqCst);
        self.task.switched();
        let result = resume();
        self.enter_kernel();
        self.task.switched();
        compiler_fence(Ordering::SeqCst);
        RUNNING.store(ptr::null_mut(), Relaxed);
        result
    }

    /// The task begins: on its stack, with the way back. `frame` is that of the function which calls the program.
    pub(super) fn begins(&self, yielder: &Yielder<Turn, Pause>, turn: Turn, frame: u64) {
        self.yielder.set(Some(NonNull::from(yielder)));
        self.bottom_frame.set(frame);
        self.turn.set(turn);
    }

    /// From here on the program runs.
    pub(super) fn leave_kernel(&self) {
        compiler_fence(Ordering::SeqCst);
        self.in_kernel.store(false, Relaxed);
        compiler_fence(Ordering::SeqCst);
    }

    /// From here on the kernel runs.
    pub(super) fn enter_kernel(&self) {
        compiler_fence(Ordering::SeqCst);
        self.in_kernel.store(true, Relaxed);
        compiler_fence(Ordering::SeqCst);
    }

    /// Whether it is the program that runs.
    pub(super) fn is_in_program(&self) -> bool {
        !self.in_kernel.load(Relaxed)
    }

    /// Goes to the reactor's stack, and comes back when the task is polled again. Must be called on the task's stack.
    pub(super) fn pause(&self, pause: Pause) {
        let yielder = self
            .yielder
            .get()
            .expect("set before anything runs on the stack");
        // SAFETY: the coroutine made it on its own stack and keeps it as long as anything runs there (`begins`).
        let yielder = unsafe { yielder.as_ref() };
        self.turn.set(yielder.suspend(pause));
    }

    /// Calls `poll` with what the reactor polls this task with; `None`: it is to wait no more.
    pub(super) fn with_context<R>(&self, poll: impl FnOnce(&mut Context<'_>) -> R) -> Option<R> {
        let mut context = self.turn.get()?;
        // SAFETY: `coroutine` passes the context that it was polled with, and is in that very poll until this stack
        // pauses, after which there is another turn. Nobody else has the reference meanwhile: that poll is waiting for
        // this stack.
        Some(poll(unsafe { context.as_mut() }))
    }

    /// How far the stack pointer may sink until a call is refused; `None`: this is not the task's stack.
    pub(super) fn has_room(&self) -> Option<bool> {
        let pointer = arch::stack_pointer();
        let room = self
            .stack
            .contains(pointer)
            .then(|| pointer - self.stack.start)?;
        Some(room >= RESERVE)
    }

    pub(super) fn trap(&self) -> Option<&CoroutineTrapHandler<Ending>> {
        self.trap.get()
    }

    pub(super) fn stack(&self) -> Range {
        self.stack
    }

    /// Where the program's frames are.
    pub(super) fn frames(&self) -> Range {
        Range::new(self.stack.start, self.bottom_frame.get())
    }
}

/// The task whose stack is in use, for who runs on that stack or interrupted it.
pub(super) fn running<'a>() -> Option<&'a Running> {
    // SAFETY: `while_running` sets the pointer for as long as it borrows the `Rc`. Whoever asks runs meanwhile, on the
    // task's stack or on top of it; and while that stack is paused, its `coroutine` keeps the `Rc`.
    unsafe { RUNNING.load(Relaxed).as_ref() }
}

/// The number of the program's task that runs, for the watchdog.
pub(crate) fn number() -> Option<u64> {
    running().map(|running| running.task.id())
}
