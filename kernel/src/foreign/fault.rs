//! Faults of the program: an exception in the program's own code, or a stack that is used up, ends the task that made
//! it, and no other. In the first task it ends the machine, as it does for a native program.
//!
//! The exception handler asks [`divert`] where to go on: at the bottom of the task's stack, whose contents are
//! forgotten, in a function that hands the [`Fault`] to the reactor's stack. Nothing of the kernel is lost by that: it
//! was not running. The processor's flags say as much, since handlers of interrupts, which run on top of anything, run
//! with interrupts off.
#![allow(
    unsafe_code,
    reason = "lets a stack go on elsewhere than where it was interrupted"
)]

use abi::exit::EXCEPTION;
use abi::serial::FRAME_PREFIX;
use calls::Task;
use core::fmt::{self, Write};
use corosensei::trap::TrapHandlerRegs;

use super::ground::Running;
use super::program::FIRST_TASK;
use crate::arch::Frames;
use crate::memory::range_set::Range;
use crate::panic;

/// What the processor was doing when it raised an exception.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Interrupted {
    /// What happened, in a word or two.
    pub(crate) what: &'static str,
    /// The instruction.
    pub(crate) instruction: u64,
    /// The frame pointer.
    pub(crate) frame: u64,
    /// The stack pointer.
    pub(crate) stack: u64,
    /// The address that was touched, for a page fault.
    pub(crate) address: Option<u64>,
}

/// A fault of a task, with as much of its stack as is known when that is gone.
#[derive(Debug)]
pub(super) struct Fault {
    at: Interrupted,
    frames: Frames,
}

impl Fault {
    /// Looks at the stack as it is.
    pub(super) fn new(at: Interrupted, running: &Running) -> Fault {
        Fault {
            at,
            frames: Frames::collect(at.instruction, at.frame, frames_of(running)),
        }
    }

    /// Says what happened; in the first task, as the machine's last words.
    pub(super) fn report(&self, task: &Task) {
        if task.id() == FIRST_TASK {
            panic::die(EXCEPTION, |report| {
                // A report goes out as far as it can.
                let _ = writeln!(report, "exception: {}\n  {self}", self.at.what);
                for address in self.frames.addresses() {
                    let _ = writeln!(report, "{FRAME_PREFIX}{address:016x}");
                }
            });
        }
        log::error!("program: task faulted task={} {self}", task.id());
        for address in self.frames.addresses() {
            crate::log::plain(format_args!("{FRAME_PREFIX}{address:016x}"));
        }
    }
}

/// Where the program's frames are.
fn frames_of(running: &Running) -> Range {
    Range::new(running.stack().start as u64, running.bottom_frame())
}

/// What, and where.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Interrupted {
            what,
            instruction,
            stack,
            address,
            ..
        } = self.at;
        write!(
            f,
            "exception=\"{what}\" rip={instruction:#018x} rsp={stack:#018x}"
        )?;
        match address {
            Some(address) => write!(f, " cr2={address:#x}"),
            None => Ok(()),
        }
    }
}

/// Where to go on after an exception that is the program's own, with which registers; `None` if it is not, or if it is
/// the first task's. For the exception handler, which must load all of them.
pub(crate) fn divert(at: Interrupted) -> Option<TrapHandlerRegs> {
    let running = Running::current().filter(|running| running.is_in_program())?;
    if running.task().id() == FIRST_TASK {
        return None;
    }
    let fault = Fault::new(at, running);
    // SAFETY: the program was running on this stack, which the exception has interrupted; the handler loads the registers.
    unsafe { running.divert(fault) }
}
