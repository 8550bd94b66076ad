//! The kernel as a library (`libukernel_c.a`) whose workload is a program in C: everything but its `main`.
//!
//! `kernel/build/c.sh` links it with what the host's C compiler makes of the program's sources.
#![no_std]
#![allow(unsafe_code, reason = "names a function of the program")]

extern crate alloc;

use core::ffi::{c_char, c_int};

use ukernel::{Context, ExitCode};

unsafe extern "C" {
    /// The program's.
    safe fn main(argc: c_int, argv: *const *const c_char) -> c_int;
}

#[ukernel::main(bundle)]
async fn run(context: Context) -> ExitCode {
    ukernel::foreign::run(context, main).await
}
