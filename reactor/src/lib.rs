//! Tasks, timers and readiness for one asynchronous program: no device, no CPU, no std.
//!
//! The executor that everything else runs on. A [`Reactor`] runs futures as tasks in the context
//! (the core, or on a host the thread) that made it, and sleeps through its
//! [`Platform`](platform::Platform) when nothing is ready. One allocation for a spawned task, none
//! for a wake or a timer.
//!
//! | to | use |
//! | --- | --- |
//! | run the program | [`Reactor::block_on`] |
//! | start tasks | [`Spawner`], [`task::JoinHandle`] |
//! | wait for time | [`Clock`], [`timers`] |
//! | wait for an interrupt | [`irq::IrqEvent`] |
//! | wait for other tasks | [`sync`] |
//! | answer `io_poll` | [`readiness`] |
//! | drive a device | [`hardware::Hardware`] |
//! | test all of it on a host | [`testing`] (feature `testing`) |
//!
//! # What may be called from where
//!
//! Everything belongs to the reactor's own context, with these exceptions: a `Waker` may be used
//! anywhere but in an interrupt handler; [`irq::IrqLines::raise`] and [`task::CurrentTask::get`]
//! also there. Nothing in this crate waits, but [`Reactor::block_on`].
#![no_std]

extern crate alloc;
#[cfg(any(test, feature = "testing"))]
extern crate std;

mod budget;
mod clock;
mod current;
mod executor;
pub mod hardware;
pub mod irq;
mod main_task;
pub mod platform;
mod reactor;
pub mod readiness;
mod run_queue;
mod shared;
mod spawner;
mod stats;
pub mod sync;
pub mod task;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod time;
pub mod timers;

pub use clock::{Clock, Stamper, Stamps};
pub use reactor::Reactor;
pub use spawner::Spawner;
pub use stats::Stats;
