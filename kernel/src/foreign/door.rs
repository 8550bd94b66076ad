//! How the program's calls come into the kernel, on the stack of the task that calls, and sleep there.
//!
//! Called by `calls::entry` only.

use alloc::rc::Rc;
use core::pin::Pin;

use calls::Task;
use calls::entry::Door;

use super::ground::Running;
use crate::arch;

/// The way in; there is one.
struct StackDoor;

/// Opens the calls to the program.
pub(super) fn open() {
    calls::entry::install(&StackDoor);
}

impl Door for StackDoor {
    fn enter(&self) -> Option<Rc<Task>> {
        Running::current()?.enter(arch::stack_pointer() as usize)
    }

    fn leave(&self) {
        if let Some(running) = Running::current() {
            running.leave_kernel();
        }
    }

    fn wait(&self, _: &Task, future: Pin<&mut dyn Future<Output = ()>>) -> bool {
        // The pointer stays right while this stack sleeps: it is the same task that wakes on it.
        Running::current().is_some_and(|running| running.wait(future))
    }

    fn exit(&self, status: i32) -> ! {
        loop {
            if let Some(running) = Running::current() {
                running.exit(status);
            }
        }
    }
}
