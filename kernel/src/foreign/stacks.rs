//! The stacks of a program's tasks. One of the usual size is kept when its task has ended, for the next task: to map
//! and clear a new one takes ten times as long as all else that a task begins with.
#![allow(unsafe_code, reason = "promises what a stack of a coroutine must be")]

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::num::NonZeroUsize;

use abi::Error;
use calls::program::DEFAULT_STACK;

use crate::memory::range_set::Range;
use crate::memory::stack::Stack;
use crate::memory::{PAGE_SIZE, frame_stats, make_room};

/// How many stacks are kept at most: 1 MiB of them.
const MAX_IDLE: usize = 16;
/// Frames that stacks leave to everybody else, 256 KiB: a program that spawns as many tasks as there can be must not
/// take what the network needs for its next packet.
const RESERVED_FRAMES: u64 = 64;

/// Makes stacks, and keeps some.
#[derive(Default)]
pub(super) struct StackPool {
    idle: RefCell<Vec<Stack>>,
}

impl StackPool {
    /// A stack of at least `size` bytes, with whatever was on it.
    ///
    /// # Errors
    /// [`Error::NoMemory`].
    pub(super) fn take(self: &Rc<Self>, size: usize) -> Result<TaskStack, Error> {
        let idle = match size {
            DEFAULT_STACK => self.idle.borrow_mut().pop(),
            _ => None,
        };
        let stack = match idle {
            Some(stack) => stack,
            None => self.make(size)?,
        };
        Ok(TaskStack {
            stack: Some(stack),
            pool: Rc::clone(self),
        })
    }

    fn make(&self, size: usize) -> Result<Stack, Error> {
        let frames = size as u64 / PAGE_SIZE + 1;
        if frame_stats().free < frames + RESERVED_FRAMES {
            self.idle.borrow_mut().clear();
        }
        if !make_room(frames + RESERVED_FRAMES) {
            return Err(Error::NoMemory);
        }
        Stack::new(size).map_err(|_| Error::NoMemory)
    }

    fn keep(&self, stack: Stack) {
        let mut idle = self.idle.borrow_mut();
        let usual = stack.size() == DEFAULT_STACK;
        if usual && idle.len() < MAX_IDLE && frame_stats().free >= RESERVED_FRAMES {
            idle.push(stack);
        }
    }
}

/// The stack of a task. Dropping it lets another task have it, so nothing may run on it by then.
pub(super) struct TaskStack {
    /// There until the drop.
    stack: Option<Stack>,
    pool: Rc<StackPool>,
}

impl TaskStack {
    /// Its addresses, without the guard page.
    pub(super) fn range(&self) -> Range {
        let stack = self
            .stack
            .as_ref()
            .map(|stack| (stack.bottom(), stack.top()));
        let (bottom, top) = stack.expect("there until the drop");
        Range::new(bottom as u64, top as u64)
    }
}

// SAFETY: `memory::stack` keeps an unmapped page below the stack, and gives it whole pages.
unsafe impl corosensei::stack::Stack for TaskStack {
    fn base(&self) -> NonZeroUsize {
        address(self.range().end)
    }

    fn limit(&self) -> NonZeroUsize {
        address(self.range().start - PAGE_SIZE)
    }
}

fn address(address: u64) -> NonZeroUsize {
    NonZeroUsize::new(address as usize).expect("regions lie far above 0")
}

impl Drop for TaskStack {
    fn drop(&mut self) {
        if let Some(stack) = self.stack.take() {
            self.pool.keep(stack);
        }
    }
}
