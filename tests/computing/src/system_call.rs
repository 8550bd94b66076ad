//! What a crate might do that takes the hard-float target for Linux.
#![allow(unsafe_code, reason = "executes an instruction in order to fault")]

use core::arch::asm;

pub(crate) fn make() {
    // SAFETY: none: the kernel knows no system calls.
    unsafe { asm!("syscall", out("rcx") _, out("r11") _) };
}
