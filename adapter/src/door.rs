//! How the program's calls come into its kernel, and how they wait: a spawned task leaves its stack, and the thread
//! itself runs everything until it may go on.
//!
//! Called by `calls::entry` only.
#![allow(
    unsafe_code,
    reason = "has a function called when the library is loaded"
)]

use std::pin::Pin;
use std::rc::Rc;

use abi::Error;
use abi::number::TASK_CANCELLED;
use calls::Task;
use calls::entry::Door;

use crate::coroutine::Running;
use crate::kernel::Kernel;
use crate::{registry, thread};

/// The way in; there is one.
struct ThreadDoor;

/// Opens the calls to the process, when the library is loaded: the first of them may be any.
#[used]
#[unsafe(link_section = ".init_array")]
static OPEN: extern "C" fn() = {
    extern "C" fn open() {
        calls::entry::install(&ThreadDoor);
        registry::notice_forks();
    }
    open
};

/// The kernel that this thread is in; where it is in none, one of its own.
fn kernel() -> Result<Rc<Kernel>, Error> {
    if let Some(kernel) = thread::current() {
        return match kernel.is_ours() {
            true => Ok(kernel),
            false => Err(registry::refuse_after_fork(kernel.number())),
        };
    }
    registry::enter_own()?;
    thread::current().ok_or(Error::Invalid)
}

impl Door for ThreadDoor {
    fn enter(&self) -> Option<Rc<Task>> {
        let kernel = kernel().ok()?;
        match Running::current() {
            Some(running) => {
                drop(kernel); // this does not return where the stack is used up
                let here = 0_u8;
                running.enter((&raw const here).addr())
            }
            None => Some(Rc::clone(kernel.first())),
        }
    }

    fn refusal(&self) -> Error {
        match kernel() {
            Ok(_) => Error::Invalid,
            Err(error) => error,
        }
    }

    fn leave(&self) {
        if let Some(kernel) = thread::current() {
            kernel.descriptors().platform().program_runs();
        }
        if let Some(running) = Running::current() {
            running.leave_kernel();
        }
    }

    fn wait(&self, _: &Task, future: Pin<&mut dyn Future<Output = ()>>) -> bool {
        match (Running::current(), thread::current()) {
            (Some(running), _) => running.wait(future),
            (None, Some(kernel)) => kernel.wait(future),
            (None, None) => false,
        }
    }

    fn exit(&self, status: i32) -> ! {
        if let Some(running) = Running::current() {
            running.exit(status);
        }
        // The first task: the program ends.
        match status {
            TASK_CANCELLED => std::process::exit(1),
            status => std::process::exit(status & 0xff),
        }
    }
}
