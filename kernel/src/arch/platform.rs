//! The machine as the reactor sees it: a clock, and a place to sleep until something happens.
#![allow(
    unsafe_code,
    reason = "halts the processor; implements an unsafe trait"
)]

use super::interrupts::LINES;
use super::{cpu, time, timer, watchdog};
use crate::clock::rate::Rate;
use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use reactor::irq::IrqLines;
use reactor::platform::Platform;
use reactor::time::Instant;
use x86_64::instructions::interrupts;

/// The machine. There is one; values of this type are all the same.
#[derive(Clone, Copy, Debug)]
pub struct Machine;

/// How often the processor slept.
static HALTS: AtomicU64 = AtomicU64::new(0);
/// How often it woke too early and slept on without the reactor hearing of it, and not because the timer
/// reaches no further.
static SLEPT_ON: AtomicU64 = AtomicU64::new(0);

/// Sleeps, and those of them that ended early and were gone on with; re-arms of the timer not among the latter.
pub(super) fn counts() -> (u64, u64) {
    (HALTS.load(Relaxed), SLEPT_ON.load(Relaxed))
}

// SAFETY: there is one processor, so one context; interrupt handlers only raise lines
// (`arch::interrupts`).
unsafe impl Platform for Machine {
    fn now(&self) -> Instant {
        time::now()
    }

    fn ticks(&self) -> u64 {
        cpu::tsc()
    }

    fn nanos_of_ticks(&self, ticks: u64) -> u64 {
        Rate::from_hz(time::tsc_hz()).nanos(ticks)
    }

    fn park(&self, until: Option<Instant>, has_work: &dyn Fn() -> bool) {
        interrupts::disable();
        let mut slept = false;
        loop {
            let now = time::now();
            let due = until.is_some_and(|until| until <= now);
            if due || LINES.pending() || has_work() {
                break;
            }
            time::calibrate(now);
            let nearest = until.into_iter().chain(time::next_sample()).min();
            let rearmed = nearest.is_some_and(|deadline| timer::arm(deadline, now));
            if slept && !rearmed {
                SLEPT_ON.store(SLEPT_ON.load(Relaxed) + 1, Relaxed);
            }
            halt();
            slept = true;
        }
        watchdog::wake(time::now());
        interrupts::enable();
    }

    fn irq_lines(&self) -> &IrqLines {
        &LINES
    }

    fn context(&self) -> usize {
        0
    }

    fn unpark(&self) {}
}

/// Sleeps until the next interrupt, with interrupts off before and after.
fn halt() {
    HALTS.store(HALTS.load(Relaxed) + 1, Relaxed);
    watchdog::sleep();
    // SAFETY: `sti` takes effect after the next instruction, so no interrupt can come before `hlt`
    // and be slept through. Without `nomem`: handlers change memory.
    unsafe { asm!("sti", "hlt", "cli", options(nostack)) };
}
