//! Who called whom, by frame pointers: each frame begins with the caller's frame pointer and the
//! address it returns to. A report may be about a destroyed stack, so nothing read is believed
//! before it is checked.
#![allow(unsafe_code, reason = "reads frames by their addresses")]

use crate::memory::is_mapped;
use abi::serial::FRAME_PREFIX;
use core::fmt::Write;

/// The longest backtrace; deeper callers are left out.
const MAX_FRAMES: usize = 48;

unsafe extern "C" {
    static __kernel_start: u8;
    static __text_end: u8;
}

/// Writes one line per frame: first `instruction`, if given, then the callers from frame pointer
/// `frame` on. An address on a line lies inside the instruction that called, not behind it.
pub(super) fn write(out: &mut impl Write, instruction: Option<u64>, frame: u64) {
    let mut line = |address: u64| {
        let _ = writeln!(out, "{FRAME_PREFIX}{address:016x}");
    };
    instruction.into_iter().for_each(&mut line);
    callers(frame).take(MAX_FRAMES).for_each(line);
}

/// The frame pointer of the function that calls this one.
#[inline(always)]
pub(super) fn frame_pointer() -> u64 {
    let frame;
    // SAFETY: reads a register.
    unsafe { core::arch::asm!("mov {}, rbp", out(reg) frame, options(nomem, nostack)) };
    frame
}

/// The addresses of the calls on a stack, innermost first.
fn callers(mut frame: u64) -> impl Iterator<Item = u64> {
    core::iter::from_fn(move || {
        let (next, address) = read_frame(frame)?;
        // The stack grows down, so a caller's frame lies higher; anything else ends the walk.
        frame = if next > frame { next } else { 0 };
        Some(address - 1)
    })
}

/// What a frame holds: the caller's frame pointer and the return address, if it looks like one.
fn read_frame(frame: u64) -> Option<(u64, u64)> {
    let readable = frame.is_multiple_of(8) && is_mapped(frame) && is_mapped(frame.checked_add(8)?);
    if !readable {
        return None;
    }
    // SAFETY: the two words are mapped and aligned; whatever they hold is a number.
    let [next, address] = unsafe { (frame as *const [u64; 2]).read_volatile() };
    let text = &raw const __kernel_start as u64..&raw const __text_end as u64;
    text.contains(&address).then_some((next, address))
}

/// Writes the callers of the function that calls this one.
#[inline(always)]
pub(crate) fn write_here(out: &mut impl Write) {
    write(out, None, frame_pointer());
}
