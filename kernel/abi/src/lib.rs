//! What the kernel, programs and the tools outside agree on, as plain data: the interface for programs
//! in C (`kernel/include/ukernel_abi.h`), the serial protocol and the exit statuses. Depends on
//! nothing, so that all sides can use it.
#![no_std]
#![forbid(unsafe_code)]

pub mod capability;
mod error;
pub mod exit;
pub mod handle;
pub mod layout;
pub mod number;
pub mod serial;
pub mod trace;

pub use error::{Error, OK};
