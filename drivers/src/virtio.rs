//! What virtio devices have in common: finding them, their registers, their queues. The kernel
//! calls [`probe()`] and [`Transport::open`] at boot and hands each transport to the driver of its
//! kind; the drivers use the rest. Nothing here knows what a particular device does.
//!
//! ```
//! use drivers::virtio::{MmioSlot, probe};
//! let mut slots = probe("virtio_mmio.device=512@0xfeb00e00:12");
//! assert_eq!(slots.next(), Some(MmioSlot { base: 0xfeb0_0e00, size: 512, irq: 12 }));
//! // in the kernel: unsafe { Transport::open(slot) }, then net::VirtioNet::new or block::new
//! ```

mod buffer;
mod device;
mod features;
mod probe;
mod queue;
mod transport;

pub use buffer::Buffer;
pub(crate) use device::{Device, Failure};
pub use features::Features;
pub use probe::{MAX_SLOTS, MmioSlot, Probe, ProbeError, parse, probe};
pub use queue::{Fault, MAX_SIZE as MAX_QUEUE_SIZE, Queue, Segment, Token, Used};
pub use transport::{Config, DeviceKind, OpenError, Transport};

/// The registers that a driver needs, as virtio-drivers defines them: its MMIO transport in the
/// kernel, a fake in tests.
pub use virtio_drivers::transport::Transport as Registers;
