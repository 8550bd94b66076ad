//! How the program's calls come into the kernel, on the stack of the task that calls, and sleep there.
//!
//! Called by `calls::entry` only.

use alloc::rc::Rc;
use core::pin::Pin;

use calls::Task;
use calls::entry::Door;

use super::coroutine::Pause;
use super::fault;
use super::running::running;

/// The way in; there is one.
struct StackDoor;

/// Opens the calls to the program.
pub(super) fn open() {
    calls::entry::install(&StackDoor);
}

impl Door for StackDoor {
    fn enter(&self) -> Option<Rc<Task>> {
        let running = running()?;
        if !running.has_room()? {
            fault::overflow(running);
        }
        running.enter_kernel();
        Some(Rc::clone(&running.task))
    }

    fn leave(&self) {
        if let Some(running) = running() {
            running.leave_kernel();
        }
    }

    fn wait(&self, task: &Task, mut future: Pin<&mut dyn Future<Output = ()>>) -> bool {
        // The pointer stays right while this stack sleeps: it is the same task that wakes on it.
        let Some(running) = running() else {
            return false;
        };
        while !task.is_cancelled() {
            let polled = running.with_context(|cx| {
                let polled = future.as_mut().poll(cx);
                if polled.is_pending() {
                    task.sleeps(cx.waker());
                }
                polled
            });
            match polled {
                None => return false,
                Some(poll) if poll.is_ready() => return true,
                Some(_) => running.pause(Pause::Waiting),
            }
        }
        false
    }

    fn exit(&self, status: i32) -> ! {
        loop {
            // Nobody resumes a stack that paused so.
            if let Some(running) = running() {
                running.pause(Pause::Exit(status));
            }
        }
    }
}
