//! The processor and the devices that every machine has: everything below this module knows x86-64,
//! and nothing above it does. Compiled for the guest only.

mod backtrace;
mod boot;
mod cpu;
mod descriptors;
pub mod devices;
mod exceptions;
#[cfg(feature = "foreign")]
mod float;
pub mod interrupts;
mod keyboard;
mod lapic;
pub mod line;
mod pic;
mod pit;
mod platform;
pub mod serial;
mod shutdown;
pub mod stats;
pub mod time;
pub mod timer;
mod traps;
mod watchdog;

pub(crate) use backtrace::write_here as write_backtrace;
#[cfg(feature = "foreign")]
pub(crate) use backtrace::{Frames, frame_pointer, instruction_pointer, stack_pointer};
pub(crate) use boot::embedded_bundle;
#[cfg(feature = "foreign")]
pub(crate) use float::FloatControl;
pub use platform::Machine;
pub use shutdown::shut_down;

/// Keeps interrupts away for good: before the machine ends.
pub(crate) fn disable_interrupts() {
    x86_64::instructions::interrupts::disable();
}
