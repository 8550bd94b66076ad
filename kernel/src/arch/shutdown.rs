//! Ends the virtual machine.
#![allow(unsafe_code, reason = "resets the processor")]

use core::arch::asm;
use x86_64::instructions::port::Port;

/// Ends the machine, by the first of these that it knows: the keyboard controller's reset line
/// (Firecracker; QEMU with `-device i8042`), a triple fault (QEMU with `-no-reboot`).
pub fn shut_down() -> ! {
    // SAFETY: the machine ends here; nothing runs after either.
    unsafe {
        Port::<u8>::new(0x64).write(0xfe_u8);
        // With an empty interrupt table any exception is a triple fault.
        let empty = [0_u8; 10];
        asm!("lidt [{}]", "int3", in(reg) &empty);
    }
    loop {
        // SAFETY: waits for ever, with interrupts off.
        unsafe { asm!("cli", "hlt") };
    }
}
