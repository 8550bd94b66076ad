//! Ends the virtual machine.
#![allow(unsafe_code, reason = "resets the processor")]

use core::arch::asm;
use x86_64::instructions::port::Port;

const KEYBOARD_CONTROLLER: u16 = 0x64;
const RESET: u8 = 0xfe;
/// How often the controller's status is read before its reset line is given up: a tenth of a second
/// at least, since each reading is an exit to the hypervisor.
const PATIENCE: u32 = 100_000;

/// Ends the machine, by the first of these that it knows: the keyboard controller's reset line
/// (Firecracker; QEMU with `-device i8042`), a triple fault (QEMU with `-no-reboot`).
///
/// Between the two it waits. Firecracker takes the reset line as a request to its main thread, and a
/// triple fault that comes before that has acted as a failure of the machine.
pub fn shut_down() -> ! {
    let mut controller = Port::<u8>::new(KEYBOARD_CONTROLLER);
    // SAFETY: the machine ends here; nothing runs after any of these.
    unsafe {
        controller.write(RESET);
        for _ in 0..PATIENCE {
            controller.read();
        }
        // With an empty interrupt table any exception is a triple fault.
        let empty = [0_u8; 10];
        asm!("lidt [{}]", "int3", in(reg) &empty);
    }
    loop {
        // SAFETY: waits for ever, with interrupts off.
        unsafe { asm!("cli", "hlt") };
    }
}
