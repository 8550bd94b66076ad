//! Who called whom, by frame pointers: each frame begins with the caller's frame pointer and the
//! address it returns to. A report may be about a destroyed stack, so nothing read is believed
//! before it is checked.
#![allow(unsafe_code, reason = "reads frames by their addresses")]

use crate::memory::range_set::Range;
use crate::memory::{image, is_mapped};
use abi::serial::FRAME_PREFIX;
use core::fmt::Write;

/// The longest backtrace; deeper callers are left out.
const MAX_FRAMES: usize = 48;

/// Writes one line per frame: first `instruction`, if given, then the callers from frame pointer
/// `frame` on. An address on a line lies inside the instruction that called, not behind it.
pub(super) fn write(out: &mut impl Write, instruction: Option<u64>, frame: u64) {
    let mut line = |address: u64| {
        let _ = writeln!(out, "{FRAME_PREFIX}{address:016x}");
    };
    instruction.into_iter().for_each(&mut line);
    let anywhere = Range::new(0, u64::MAX);
    callers(frame, anywhere).take(MAX_FRAMES).for_each(line);
}

/// The frame pointer of the function that calls this one.
#[inline(always)]
pub(crate) fn frame_pointer() -> u64 {
    let frame;
    // SAFETY: reads a register.
    unsafe { core::arch::asm!("mov {}, rbp", out(reg) frame, options(nomem, nostack)) };
    frame
}

/// The stack pointer of the function that calls this one.
#[cfg(feature = "foreign")]
#[inline(always)]
pub(crate) fn stack_pointer() -> u64 {
    let pointer;
    // SAFETY: reads a register.
    unsafe {
        core::arch::asm!("mov {}, rsp", out(reg) pointer, options(nomem, nostack, preserves_flags));
    };
    pointer
}

/// An instruction of the function that calls this one.
#[cfg(feature = "foreign")]
#[inline(always)]
pub(crate) fn instruction_pointer() -> u64 {
    let pointer;
    // SAFETY: reads a register.
    unsafe {
        core::arch::asm!("lea {}, [rip]", out(reg) pointer, options(nomem, nostack, preserves_flags));
    };
    pointer
}

/// The addresses of the calls on a stack, innermost first.
fn callers(mut frame: u64, stack: Range) -> impl Iterator<Item = u64> {
    core::iter::from_fn(move || {
        let (next, address) = read_frame(frame).filter(|(next, _)| stack.contains(*next))?;
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
    image::text().contains(address).then_some((next, address))
}

/// A backtrace that is written later.
#[cfg(feature = "foreign")]
#[derive(Debug)]
pub(crate) struct Frames {
    addresses: [u64; MAX_KEPT_FRAMES],
    len: usize,
}

/// The frames that are kept of a longer backtrace.
#[cfg(feature = "foreign")]
const MAX_KEPT_FRAMES: usize = 16;

#[cfg(feature = "foreign")]
impl Frames {
    /// The instruction, and the callers from frame pointer `frame` on whose frames lie on `stack`.
    pub(crate) fn collect(instruction: u64, frame: u64, stack: Range) -> Frames {
        let mut addresses = [0; MAX_KEPT_FRAMES];
        let mut len = 0;
        let known = core::iter::once(instruction).chain(callers(frame, stack));
        for (slot, address) in addresses.iter_mut().zip(known) {
            *slot = address;
            len += 1;
        }
        Frames { addresses, len }
    }

    /// The addresses, innermost first, as [`write()`] writes them.
    pub(crate) fn addresses(&self) -> &[u64] {
        &self.addresses[..self.len]
    }
}

/// Writes the callers of the function that calls this one.
#[inline(always)]
pub(crate) fn write_here(out: &mut impl Write) {
    write(out, None, frame_pointer());
}
