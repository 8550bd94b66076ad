//! What the kernel and the tools outside it agree on, as plain data: the serial protocol and the
//! exit statuses. Depends on nothing, so that both sides can use it.
#![no_std]
#![forbid(unsafe_code)]

pub mod exit;
pub mod serial;
