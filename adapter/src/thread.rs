//! Which kernel the running thread is in.
//!
//! Owns the thread's stack of entered kernels, of which the last is the one that its calls go to. Whether a kernel
//! may be entered is the [`registry`](crate::registry)'s business.

use std::cell::{Cell, RefCell};
use std::ptr;
use std::rc::Rc;

use crate::coroutine::{self, Running};
use crate::fault;
use crate::kernel::Kernel;

/// How deep kernels are entered within each other.
pub(crate) const MAX_DEPTH: usize = 16;

thread_local! {
    /// The number of the kernel that is entered; 0: none. Apart from the rest, because wakers on any thread ask.
    static CONTEXT: Cell<usize> = const { Cell::new(0) };
    /// Each kernel with whose stack the thread was on before.
    static ENTERED: RefCell<Vec<(Rc<Kernel>, *const Running)>> = const { RefCell::new(Vec::new()) };
}

/// The number of the kernel that this thread is in; 0, which no kernel has: in none.
pub(crate) fn context() -> usize {
    CONTEXT.try_with(Cell::get).unwrap_or_default()
}

/// The kernel that this thread is in.
pub(crate) fn current() -> Option<Rc<Kernel>> {
    ENTERED
        .try_with(|entered| Some(Rc::clone(&entered.borrow().last()?.0)))
        .ok()?
}

/// How many kernels this thread has entered and not left.
pub(crate) fn depth() -> usize {
    ENTERED.with_borrow(Vec::len)
}

/// The thread's calls go to that kernel from now on.
pub(crate) fn push(kernel: Rc<Kernel>) {
    CONTEXT.set(kernel.number());
    fault::catch();
    let stack = coroutine::replace_current(ptr::null());
    ENTERED.with_borrow_mut(|entered| entered.push((kernel, stack)));
}

/// Calls `f` as if the kernel of that number were entered, as far as wakers are concerned.
pub(crate) fn with_context(number: usize, f: impl FnOnce()) {
    let before = CONTEXT.replace(number);
    f();
    CONTEXT.set(before);
}

/// They go to the one before again. What was left.
pub(crate) fn pop() -> Option<Rc<Kernel>> {
    ENTERED.with_borrow_mut(|entered| {
        let (left, stack) = entered.pop()?;
        let before = entered.last();
        CONTEXT.set(before.map_or(0, |(kernel, _)| kernel.number()));
        coroutine::replace_current(stack);
        Some(left)
    })
}
