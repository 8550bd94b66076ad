//! Names a task that does not return: cooperative tasks that keep the processor keep it from
//! everybody.
//!
//! While tasks run, the timer is always set to fire within two seconds; `platform` sees to that when it
//! wakes, at the price of one setting a second at most. The handler here then looks how long the present poll
//! has taken. It only reads atomics and writes to the serial port's registers.

use super::traps::InterruptFrame;
use super::{backtrace, serial, time, timer};
use crate::log::line::Line;
use crate::panic;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use log::Level;
use reactor::time::{Duration, Instant};

/// A poll that takes longer is reported.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often it is looked while tasks run.
const PERIOD: Duration = Duration::from_secs(2);

/// Whether the machine sleeps: then nothing keeps the processor.
static ASLEEP: AtomicBool = AtomicBool::new(false);
/// When the poll began that was reported last.
static REPORTED: AtomicU64 = AtomicU64::new(u64::MAX);
static REPORTS: AtomicU64 = AtomicU64::new(0);

/// How many polls were reported.
pub(super) fn reports() -> u64 {
    REPORTS.load(Relaxed)
}

/// The machine goes to sleep.
pub(super) fn sleep() {
    ASLEEP.store(true, Relaxed);
}

/// The machine woke, and tasks are about to run. Interrupts must be off.
pub(super) fn wake(now: Instant) {
    ASLEEP.store(false, Relaxed);
    let soon = now + PERIOD;
    if timer::armed().is_none_or(|at| at > soon) {
        timer::arm(soon, now);
    }
}

/// The timer fired: looks at the task that it interrupted, and sets the timer anew.
pub(super) fn check(frame: &InterruptFrame) {
    if ASLEEP.load(Relaxed) {
        return;
    }
    let now = time::now();
    timer::arm(now + PATIENCE, now);
    let Some(task) = panic::current_task() else {
        return;
    };
    let taken = now - task.since;
    if taken < PATIENCE || REPORTED.swap(task.since.as_nanos(), Relaxed) == task.since.as_nanos() {
        return;
    }
    REPORTS.store(REPORTS.load(Relaxed) + 1, Relaxed);
    let line = Line::compose(
        now,
        Level::Warn,
        format_args!(
            "watchdog: task does not return task={} id={}{} running_ms={}",
            task.name,
            task.id,
            program_task(),
            taken.as_millis() as u64
        ),
    );
    // The log may be in the middle of a line.
    serial::emergency(b"\n");
    serial::emergency(line.as_bytes());
    backtrace::write(&mut serial::Emergency, Some(frame.rip), frame.rbp);
}

/// The number by which a foreign program knows its task that runs.
#[cfg(feature = "foreign")]
fn program_task() -> impl core::fmt::Display {
    core::fmt::from_fn(|f| match crate::foreign::running_task() {
        Some(number) => write!(f, " number={number}"),
        None => Ok(()),
    })
}

#[cfg(not(feature = "foreign"))]
fn program_task() -> &'static str {
    ""
}
