//! What interrupts do: they enter here and nowhere else. A handler acknowledges the device and the
//! controller, raises a bit in `LINES`, and returns. It never locks, allocates, logs or wakes: the
//! run loop turns bits into wakes.

use super::traps::{FIRST_INTERRUPT, InterruptFrame, SPURIOUS_VECTOR, TIMER_VECTOR};
use super::{devices, keyboard, lapic, line, pic, serial, timer, watchdog};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use reactor::irq::IrqLines;

/// Lines of the two controllers.
pub const LINE_COUNT: usize = 16;

/// The raised lines, for the reactor: 0 to 15 are the controllers', those in [`mod@line`] are ours.
pub(super) static LINES: IrqLines = IrqLines::new();
/// Interrupts taken, by line.
static COUNTS: [AtomicU64; LINE_COUNT] = [const { AtomicU64::new(0) }; LINE_COUNT];
/// Interrupts that had gone away when they were looked at.
static SPURIOUS: AtomicU64 = AtomicU64::new(0);

/// Interrupts taken, by line.
pub fn counts() -> [u64; LINE_COUNT] {
    core::array::from_fn(|line| COUNTS[line].load(Relaxed))
}

/// Interrupts that had gone away when they were looked at.
pub fn spurious() -> u64 {
    SPURIOUS.load(Relaxed)
}

/// Adds one. Handlers do not interrupt each other, so a load and a store are enough.
fn count(counter: &AtomicU64) {
    counter.store(counter.load(Relaxed) + 1, Relaxed);
}

/// Called by the assembly in `traps`, with interrupts off, on the stack for interrupts.
pub(super) extern "C" fn handle(frame: &InterruptFrame) {
    match frame.vector as u8 {
        TIMER_VECTOR => {
            lapic::end_of_interrupt();
            timer::fired();
            watchdog::check(frame);
        }
        SPURIOUS_VECTOR => count(&SPURIOUS),
        vector => handle_line(vector - FIRST_INTERRUPT, frame),
    }
}

fn handle_line(line: u8, frame: &InterruptFrame) {
    if pic::is_spurious(line) {
        count(&SPURIOUS);
        pic::end_spurious(line);
        return;
    }
    count(&COUNTS[usize::from(line) % LINE_COUNT]);
    match line {
        line::TIMER => timer::fired(),
        line::KEYBOARD => keyboard::handle(),
        line::SERIAL => serial::handle(),
        _ => {
            devices::acknowledge(line);
            LINES.raise(line);
        }
    }
    pic::end_of_interrupt(line);
    if line == line::TIMER {
        watchdog::check(frame);
    }
}
