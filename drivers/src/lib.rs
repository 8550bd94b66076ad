//! Virtio devices, each as a Runner that owns the hardware and is one task, and a handle that
//! names no hardware type and may be dropped at any await. The kernel brings them up; `reactor`
//! gives them interrupts and time; the network device is a smoltcp `phy::Device`.
//!
//! The crate never touches a processor, never reads a clock but the reactor's, and never lets a
//! device reach memory that somebody else can use. Its README tells how.
#![no_std]

extern crate alloc;
#[cfg(any(test, feature = "testing"))]
extern crate std;

pub mod block;
mod error;
pub mod net;
pub mod rng;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod virtio;

pub use error::InitError;
