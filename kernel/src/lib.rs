//! A kernel for one asynchronous program.
#![no_std]

extern crate alloc;
extern crate self as ukernel; // lets #[ukernel::main] be used in this crate's own examples

pub mod command_line;
pub mod entropy;
pub mod random;
pub mod termination;

pub use termination::{ExitCode, Termination};
pub use ukernel_macros::main;
