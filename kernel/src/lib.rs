//! A kernel for one asynchronous program: what a workload links.
//!
//! A program is an `async fn` that is handed the machine:
//!
//! ```no_run
//! # extern crate alloc;
//! use ukernel::net::{ListenOptions, TcpListener};
//! use ukernel::{Context, Result};
//!
//! # fn main() {} // there is none on bare metal
//! #[ukernel::main]
//! async fn serve(ctx: Context) -> Result {
//!     let listener = TcpListener::bind(ctx.network()?, 80, ListenOptions::default())?;
//!     let (mut stream, peer) = listener.accept().await;
//!     log::info!("hello: asked peer={peer}");
//!     stream.write_all(b"hello\n").await?;
//!     Ok(stream.shutdown().await?)
//! }
//! ```
//!
//! | a workload needs | it is in |
//! | --- | --- |
//! | the devices, clock, arguments, random numbers, statistics | [`Context`] |
//! | TCP, UDP, DNS | [`net`] |
//! | disks | [`block`] |
//! | files and settings that are packed beside it | [`bundle`](mod@bundle) |
//! | tasks, and what they wait for each other with | [`task`], [`sync`] |
//! | sleeping, timeouts, intervals | [`time`] |
//! | spans and events for a trace viewer | [`Context::trace`], [`trace`] |
//! | programs in C | `foreign` (feature `foreign`) |
//! | a machine for its tests on the host | `testing` (feature `testing`) |
//!
//! Errors travel with `?` into [`Error`]; what `main` returns becomes the machine's exit status
//! ([`Termination`]). Logs go through the `log` crate. The other modules are the kernel itself.
#![no_std]

extern crate alloc;
extern crate self as ukernel; // lets #[ukernel::main] be used in this crate's own examples

#[cfg(any(target_os = "none", ukernel_hard_float))]
pub mod arch;
pub mod boot;
#[cfg(any(all(test, not(miri)), ukernel_hard_float))] // Miri runs no assembly
mod builtins;
pub mod bundle;
pub mod clock;
pub mod command_line;
pub mod context;
#[cfg(any(target_os = "none", ukernel_hard_float))]
mod devices;
pub mod entropy;
pub mod exclusive;
#[cfg(any(target_os = "none", ukernel_hard_float))]
pub mod exit;
#[cfg(feature = "foreign")]
pub mod foreign;
pub mod input_ring;
pub mod interrupt_causes;
pub mod log;
pub mod memory;
#[cfg(any(target_os = "none", ukernel_hard_float))]
mod panic;
pub use ::policy;
#[cfg(test)]
mod property;
pub mod random;
#[cfg(any(target_os = "none", ukernel_hard_float))]
pub mod runtime;
pub mod scancodes;
pub mod serial_input;
pub mod shutdown;
pub mod stats;
pub mod termination;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod tracing;
pub mod workload;

pub use context::Context;
pub use stats::Stats;
pub use termination::{ExitCode, Termination};

/// Disks.
pub use drivers::block;
/// Networks: TCP, UDP and DNS.
pub use netstack as net;
/// What tasks wait for each other with: channels, mutex, semaphore.
pub use reactor::sync;
/// Tasks: spawning, joining, cancelling, yielding.
pub use reactor::task;

/// Spans and events: what [`Context::trace`] gives.
pub use ::trace;

/// What a workload fails with, if it has nothing more precise to say. `?` turns any error into it.
pub type Error = alloc::boxed::Box<dyn core::error::Error>;

/// The result of a function that fails with [`Error`] unless said otherwise.
pub type Result<T = (), E = Error> = core::result::Result<T, E>;

/// Time since boot, and waiting for it.
pub mod time {
    pub use reactor::Clock;
    pub use reactor::time::{Duration, Instant};
    pub use reactor::timers::{Elapsed, Interval, Sleep, Timeout};
}
pub use ukernel_macros::main;
