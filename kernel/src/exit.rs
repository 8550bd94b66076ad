//! The end of the virtual machine: what is left of the log, last words (a trace), then the exit record, then power off.
#![allow(unsafe_code, reason = "says that nothing goes on after the end")]

use crate::{arch, log};
use abi::serial::EXIT_PREFIX;
use conquer_once::spin::OnceCell;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// What else is to be written at the end. Set by who has something, so that nobody else links it.
static LAST_WORDS: OnceCell<fn()> = OnceCell::uninit();
/// Whether that has begun: a fault in it does not begin it again.
static SAID: AtomicBool = AtomicBool::new(false);

/// Has `write` called when the machine ends, after the log and any report; the first one that is set. It may find
/// itself in the middle of anything, so it must not wait, allocate, or take long.
pub(crate) fn set_last_words(write: fn()) {
    LAST_WORDS.init_once(|| write);
}

/// Writes the last words, once.
pub(crate) fn say_last_words() {
    if let Ok(write) = LAST_WORDS.try_get()
        && !SAID.swap(true, Relaxed)
    {
        write();
    }
}

/// Ends the machine with `status`, which the record on the serial line carries out, after sending
/// what waits in the log, and the last words. From tasks and at boot.
pub fn exit(status: u8) -> ! {
    arch::disable_interrupts();
    // SAFETY: interrupts are off, and this does not return.
    unsafe { log::flush_last() };
    say_last_words();
    exit_now(status)
}

/// Ends the machine with `status` without another look at the log.
pub(crate) fn exit_now(status: u8) -> ! {
    arch::serial::emergency(EXIT_PREFIX.as_bytes());
    arch::serial::emergency(decimal(status, &mut [0; 3]));
    arch::serial::emergency(b"\n");
    arch::shut_down()
}

/// `number` in decimal, without the formatting machinery, which may be what failed.
fn decimal(number: u8, room: &mut [u8; 3]) -> &[u8] {
    *room = [number / 100, number / 10 % 10, number % 10].map(|digit| b'0' + digit);
    let zeros = room[..2].iter().take_while(|&&d| d == b'0').count();
    &room[zeros..]
}
