//! The end of the virtual machine: what is left of the log, then the exit record, then power off.

use crate::{arch, log};
use abi::serial::EXIT_PREFIX;

/// Ends the machine with `status`, which the record on the serial line carries out, after sending
/// what waits in the log. From tasks and at boot.
pub fn exit(status: u8) -> ! {
    arch::disable_interrupts();
    log::flush();
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
