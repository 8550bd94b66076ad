//! The pair of interrupt controllers (Intel 8259A), through which all devices interrupt.
#![allow(unsafe_code, reason = "drives I/O ports")]

use super::line::CASCADE;
use super::traps::FIRST_INTERRUPT;
use core::sync::atomic::{AtomicU16, Ordering::Relaxed};
use pic8259::ChainedPics;
use x86_64::instructions::interrupts::without_interrupts;
use x86_64::instructions::port::Port;

const COMMANDS: [u16; 2] = [0x20, 0xa0];
/// Operation command word 3: the next read of the command port gives the in-service register.
const READ_IN_SERVICE: u8 = 0x0b;

/// A set bit keeps a line out; at first all but the cascade.
static MASKS: AtomicU16 = AtomicU16::new(!(1 << CASCADE));

/// The driver has no state but the ports' numbers, so it is made anew for each call.
fn pics() -> ChainedPics {
    // SAFETY: the controllers are at their standard ports, and the vectors are those in `traps`.
    unsafe { ChainedPics::new(FIRST_INTERRUPT, FIRST_INTERRUPT + 8) }
}

/// Moves the lines to vectors of their own, all masked. At boot, with interrupts off.
pub(super) fn init() {
    // SAFETY: every vector has a handler (`traps::init`).
    unsafe {
        pics().initialize();
        write_masks();
    }
}

/// Lets a line through. Harmless for one that is let through already.
pub(super) fn unmask(line: u8) {
    without_interrupts(|| {
        let masks = MASKS.load(Relaxed) & !(1u16.checked_shl(line.into()).unwrap_or(0));
        MASKS.store(masks, Relaxed);
        // SAFETY: the line has a handler (`interrupts::handle_line` knows all of them).
        unsafe { write_masks() };
    });
}

/// # Safety
///
/// Lines that are let through must have handlers.
unsafe fn write_masks() {
    let [low, high] = MASKS.load(Relaxed).to_le_bytes();
    // SAFETY: as the caller promises.
    unsafe { pics().write_masks(low, high) };
}

/// Whether line 7 or 15 was delivered for an interrupt that went away before it was taken: then the
/// controller has nothing in service on it (8259A data sheet, "default IR7 routine").
pub(super) fn is_spurious(line: u8) -> bool {
    if line % 8 != 7 {
        return false;
    }
    let mut command = Port::<u8>::new(COMMANDS[usize::from(line) / 8]);
    // SAFETY: selecting and reading the register has no other effect.
    let in_service = unsafe {
        command.write(READ_IN_SERVICE);
        command.read()
    };
    in_service & 0x80 == 0
}

/// Ends the handling of a spurious interrupt: of the second controller's, the first one has the cascade in service.
pub(super) fn end_spurious(line: u8) {
    if line >= 8 {
        end_of_interrupt(CASCADE);
    }
}

/// Ends the handling of a line.
pub(super) fn end_of_interrupt(line: u8) {
    // SAFETY: called at the end of that line's handler.
    unsafe { pics().notify_end_of_interrupt(FIRST_INTERRUPT + line) };
}
