//! Panics: says what and where, and ends the machine.

use crate::{exit, memory};
use abi::exit::{OUT_OF_MEMORY, PANIC};
use core::panic::PanicInfo;

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    ::log::error!("{info}");
    let status = match memory::failed_allocation() {
        Some(_) => OUT_OF_MEMORY,
        None => PANIC,
    };
    exit::exit(status)
}
