//! Whose stack is in use: the program's task that runs, for its calls and for who looks at faults.
//!
//! [`Running::while_running`] sets the pointer to it for the time of a resume. A flag says whether it is the program that
//! runs on that stack or the kernel on its behalf. Handlers of exceptions and signals read both.
#![allow(
    unsafe_code,
    reason = "turns the pointer to the running task into a reference"
)]

use alloc::rc::Rc;
use core::cell::{Cell, OnceCell};
use core::fmt;
use core::ops::Range;
use core::pin::Pin;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicBool, Ordering, Ordering::Relaxed, compiler_fence};
use core::task::Context;

use corosensei::Yielder;
use corosensei::stack::Stack;
use corosensei::trap::{CoroutineTrapHandler, TrapHandlerRegs};

use super::{Ending, Ground, Pause, Turn};
use crate::task::Task;

type WayBack<G> = Yielder<Turn, Pause<<G as Ground>::Interrupted>>;

/// A task of the program, as those see it who find themselves on its stack.
pub struct Running<G: Ground> {
    task: Rc<Task>,
    /// The addresses of its stack, without the guard below.
    stack: Range<usize>,
    /// Whether the kernel runs on that stack, not the program. Set wherever the stack is not in use.
    in_kernel: AtomicBool,
    /// The way back to the reactor's stack; known once the task has begun.
    yielder: Cell<Option<NonNull<WayBack<G>>>>,
    /// What the reactor polls with; `None` while the task is not to wait any more.
    turn: Cell<Turn>,
    /// The frame below the program's first.
    bottom_frame: Cell<u64>,
    /// How a fault leaves the stack.
    trap: OnceCell<CoroutineTrapHandler<Ending<G::Fault>>>,
}

impl<G: Ground> Running<G> {
    pub(super) fn new(task: Rc<Task>, stack: &G::Stack) -> Rc<Running<G>> {
        let stack = stack.limit().get() + G::GUARD..stack.base().get();
        Rc::new(Running {
            task,
            in_kernel: AtomicBool::new(true),
            yielder: Cell::new(None),
            turn: Cell::new(None),
            bottom_frame: Cell::new(stack.end as u64),
            trap: OnceCell::new(),
            stack,
        })
    }

    /// The task whose stack is in use on this processor, or thread; for who runs on that stack or interrupted it.
    #[inline]
    pub fn current<'a>() -> Option<&'a Running<G>> {
        // SAFETY: `while_running` sets the pointer for as long as it borrows the `Rc`. Whoever asks runs meanwhile,
        // on the task's stack or on top of it; and while that stack is paused, its coroutine keeps the `Rc`.
        unsafe { G::current().as_ref() }
    }

    /// The task.
    pub fn task(&self) -> &Rc<Task> {
        &self.task
    }

    /// How a fault is to leave the stack.
    pub(super) fn leaves_by(&self, trap: CoroutineTrapHandler<Ending<G::Fault>>) {
        // Nobody was told before.
        let _ = self.trap.set(trap);
    }

    /// Calls `resume` while this is the running task.
    pub(super) fn while_running<R>(&self, resume: impl FnOnce() -> R) -> R {
        // A task does not resume another: what it calls wakes tasks and never polls them.
        G::set_current(self);
        compiler_fence(Ordering::SeqCst);
        self.task.switched();
        let result = resume();
        self.enter_kernel();
        self.task.switched();
        compiler_fence(Ordering::SeqCst);
        G::set_current(ptr::null());
        result
    }

    /// The task begins: on its stack, with the way back. `frame` is that of the function which calls the program.
    pub(super) fn begins(&self, yielder: &WayBack<G>, turn: Turn, frame: u64) {
        self.yielder.set(Some(NonNull::from(yielder)));
        self.bottom_frame.set(frame);
        self.turn.set(turn);
    }

    /// From here on the program runs.
    #[inline]
    pub fn leave_kernel(&self) {
        compiler_fence(Ordering::SeqCst);
        self.in_kernel.store(false, Relaxed);
        compiler_fence(Ordering::SeqCst);
    }

    /// From here on the kernel runs.
    #[inline]
    pub fn enter_kernel(&self) {
        compiler_fence(Ordering::SeqCst);
        self.in_kernel.store(true, Relaxed);
        compiler_fence(Ordering::SeqCst);
    }

    /// Whether it is the program that runs.
    pub fn is_in_program(&self) -> bool {
        !self.in_kernel.load(Relaxed)
    }

    /// Begins a call on the stack that `pointer` is in: gives its task. `None`: it is not the task's. Where the stack
    /// is used up, the task ends here, before the kernel has anything there; it may overflow here, and is the
    /// program's then.
    #[inline]
    pub fn enter(&self, pointer: usize) -> Option<Rc<Task>> {
        if !self.stack.contains(&pointer) {
            return None;
        }
        if pointer - self.stack.start < G::RESERVE {
            self.pause(Pause::Overflow(G::interrupted()));
            unreachable!("a stack that is used up was resumed");
        }
        self.enter_kernel();
        Some(Rc::clone(&self.task))
    }

    /// Polls a future until it is ready, on the task's stack. `false`: the task is to end, and the future to be
    /// dropped.
    #[inline]
    pub fn wait(&self, mut future: Pin<&mut dyn Future<Output = ()>>) -> bool {
        while !self.task.is_cancelled() {
            let polled = self.with_context(|cx| {
                let polled = future.as_mut().poll(cx);
                if polled.is_pending() {
                    self.task.sleeps(cx.waker());
                }
                polled
            });
            match polled {
                None => return false,
                Some(poll) if poll.is_ready() => return true,
                Some(_) => self.pause(Pause::Waiting),
            }
        }
        false
    }

    /// Ends the task at once. Nothing on its stack is dropped.
    pub fn exit(&self, status: i32) -> ! {
        loop {
            // Nobody resumes a stack that paused so.
            self.pause(Pause::Exit(status));
        }
    }

    /// Goes to the reactor's stack, and comes back when the task is polled again. Must be called on the task's stack.
    fn pause(&self, pause: Pause<G::Interrupted>) {
        let yielder = self
            .yielder
            .get()
            .expect("set before anything runs on the stack");
        // SAFETY: the coroutine made it on its own stack and keeps it as long as anything runs there (`begins`).
        let yielder = unsafe { yielder.as_ref() };
        self.turn.set(yielder.suspend(pause));
    }

    /// Calls `poll` with what the reactor polls this task with; `None`: it is to wait no more.
    fn with_context<R>(&self, poll: impl FnOnce(&mut Context<'_>) -> R) -> Option<R> {
        let mut context = self.turn.get()?;
        // SAFETY: `coroutines` passes the context that it was polled with, and is in that very poll until this stack
        // pauses, after which there is another turn. Nobody else has the reference meanwhile: that poll is waiting for
        // this stack.
        Some(poll(unsafe { context.as_mut() }))
    }

    /// The addresses of its stack.
    #[inline]
    pub fn stack(&self) -> &Range<usize> {
        &self.stack
    }

    /// The same with the guard below, where an overflow ends up.
    pub fn stack_and_guard(&self) -> Range<usize> {
        self.stack.start - G::GUARD..self.stack.end
    }

    /// The frame below the program's first.
    pub fn bottom_frame(&self) -> u64 {
        self.bottom_frame.get()
    }

    /// Where an exception in the task's own code is to go on, with which registers: at the bottom of its stack, whose
    /// contents are forgotten, where `fault` ends the task. The caller must load all of them.
    ///
    /// # Safety
    /// The program was running ([`Running::is_in_program`]) on this stack, was interrupted, and goes on there.
    pub unsafe fn divert(&self, fault: G::Fault) -> Option<TrapHandlerRegs> {
        let trap = self.trap.get()?;
        self.enter_kernel();
        // SAFETY: the program was running, so whatever it wrote it wrote in code that the compiler knows nothing of,
        // and nothing on the stack is the kernel's but the way back at its bottom, which stays. The coroutine is
        // being resumed, so it is alive. Where the stack pointer is does not matter: the caller gives it up.
        Some(unsafe { trap.setup_trap_handler(move || Ending::Fault(fault)) })
    }
}

impl<G: Ground> fmt::Debug for Running<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running")
            .field("task", &self.task)
            .field("stack", &self.stack)
            .finish_non_exhaustive()
    }
}
