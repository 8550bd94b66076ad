//! Exit statuses that the kernel itself gives. A workload's own status is 0 to 99 by convention;
//! any byte is passed on.
//!
//! ```
//! assert_eq!(abi::exit::SUCCESS, 0);
//! assert_ne!(abi::exit::PANIC, abi::exit::EXCEPTION);
//! ```

/// The workload returned `Ok`.
pub const SUCCESS: u8 = 0;
/// The workload returned an error.
pub const FAILURE: u8 = 1;
/// A task or the kernel panicked; the same number that a Rust process gives.
pub const PANIC: u8 = 101;
/// The processor raised an exception that nothing handled, a stack overflow among them.
pub const EXCEPTION: u8 = 102;
/// An allocation failed where the caller had no way to be told.
pub const OUT_OF_MEMORY: u8 = 103;
/// The machine lacks something that the kernel cannot do without.
pub const UNSUPPORTED_MACHINE: u8 = 104;
/// The workload's bundle is missing, damaged, or not to be used; the log says why.
pub const BUNDLE: u8 = 105;
