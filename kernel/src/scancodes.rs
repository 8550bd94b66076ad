//! Recognises Ctrl-Alt-Del in what a keyboard controller sends: Firecracker's and QEMU's way to ask
//! a guest to stop.
//!
//! ```
//! use ukernel::scancodes::Recognizer;
//!
//! let recognizer = Recognizer::new();
//! let pressed = [0x14, 0x11, 0xe0, 0x71].map(|code| recognizer.feed(code));
//! assert_eq!(pressed, [false, false, false, true]);
//! ```

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Press control, alt, delete in scan code set 2: what Firecracker sends, and QEMU where no firmware
/// set the controller up.
const SET_2: u32 = 0x1411_e071;
/// The same in set 1, into which a controller that firmware set up translates.
const SET_1: u32 = 0x1d38_e053;

/// The last four codes. Made of one atomic, for an interrupt handler.
#[derive(Debug, Default)]
pub struct Recognizer(AtomicU32);

impl Recognizer {
    /// Nothing was pressed yet.
    pub const fn new() -> Recognizer {
        Recognizer(AtomicU32::new(0))
    }

    /// Takes the next code; true if it completes Ctrl-Alt-Del. For one caller at a time.
    pub fn feed(&self, code: u8) -> bool {
        let last = self.0.load(Relaxed) << 8 | u32::from(code);
        self.0.store(last, Relaxed);
        last == SET_2 || last == SET_1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn presses(codes: &[u8]) -> usize {
        let recognizer = Recognizer::new();
        codes.iter().filter(|&&code| recognizer.feed(code)).count()
    }

    #[test]
    fn both_code_sets_are_known() {
        assert_eq!(presses(&[0x14, 0x11, 0xe0, 0x71]), 1);
        assert_eq!(presses(&[0x1d, 0x38, 0xe0, 0x53]), 1);
    }

    #[test]
    fn other_keys_before_do_not_matter_and_between_do() {
        assert_eq!(presses(&[0x14, 0x14, 0x11, 0xe0, 0x71, 0xf0]), 1);
        assert_eq!(presses(&[0x14, 0x11, 0x1c, 0xe0, 0x71]), 0);
        assert_eq!(presses(&[0x11, 0xe0, 0x71]), 0);
    }

    #[test]
    fn may_be_pressed_twice() {
        assert_eq!(presses(&[0x14, 0x11, 0xe0, 0x71].repeat(2)), 2);
    }
}
