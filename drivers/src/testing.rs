//! Devices for tests that run on the host: fakes that play the other side of a virtqueue on the
//! driver's own memory, raise their interrupt line, and misbehave when told to; and a model of the
//! rules that Firecracker enforces on registers, which the fakes live behind and which can judge a
//! trace that QEMU wrote.
//!
//! Behind the feature `testing`; uses std. Never part of a guest.
//!
//! ```
//! use drivers::testing::check_trace;
//! let report = check_trace(
//!     "virtio_mmio_write_offset virtio_mmio_write offset 0x70 value 0x0
//!      virtio_mmio_write_offset virtio_mmio_write offset 0x70 value 0x3",
//! );
//! assert_eq!(report.rejected.len(), 1, "ACKNOWLEDGE and DRIVER in one step");
//! ```

mod block;
mod bus;
mod net;
mod queue;
mod registers;
mod trace;

pub use block::{Command, FakeBlock};
pub use bus::{FakeBus, FakeRegisters};
pub use net::FakeNet;
pub use queue::{DeviceQueue, Request};
pub use registers::{QueueRegisters, RegisterModel, Rejection};
pub use trace::{TraceReport, check_trace};
/// What a fake can be.
pub use virtio_drivers::transport::DeviceType;
