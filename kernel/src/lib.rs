//! A kernel for one asynchronous program.
#![no_std]

extern crate alloc;
extern crate self as ukernel; // lets #[ukernel::main] be used in this crate's own examples

#[cfg(target_os = "none")]
pub mod arch;
pub mod boot;
pub mod clock;
pub mod command_line;
pub mod entropy;
pub mod exclusive;
#[cfg(target_os = "none")]
pub mod exit;
pub mod log;
pub mod memory;
#[cfg(target_os = "none")]
mod panic;
pub mod random;
#[cfg(target_os = "none")]
pub mod runtime;
pub mod termination;

pub use termination::{ExitCode, Termination};
pub use ukernel_macros::main;
