//! The keyboard controller (i8042), of which one thing is wanted: Ctrl-Alt-Del from outside means
//! "please stop".
#![allow(unsafe_code, reason = "drives I/O ports")]

use super::interrupts::LINES;
use super::line;
use crate::scancodes::Recognizer;
use x86_64::instructions::port::Port;

const DATA: u16 = 0x60;
const STATUS: u16 = 0x64;
const OUTPUT_FULL: u8 = 1;
/// Bytes taken in one interrupt; the controller keeps 16.
const MAX_BYTES: usize = 32;

static RECOGNIZER: Recognizer = Recognizer::new();

/// Empties the controller, so that it can interrupt again.
pub(super) fn handle() {
    let mut status = Port::<u8>::new(STATUS);
    let mut data = Port::<u8>::new(DATA);
    for _ in 0..MAX_BYTES {
        // SAFETY: reading the status has no effect, and reading a code removes it.
        let code = unsafe {
            if status.read() & OUTPUT_FULL == 0 {
                break;
            }
            data.read()
        };
        if RECOGNIZER.feed(code) {
            LINES.raise(line::SHUTDOWN);
        }
    }
}
