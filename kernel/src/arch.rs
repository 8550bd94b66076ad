//! The processor and the devices that every machine has: everything below this module knows x86-64,
//! and nothing above it does. Compiled for the guest only.

mod boot;
pub mod serial;
mod shutdown;

pub use shutdown::shut_down;
