//! virtio-blk (virtio 1.2 §5.2): [`new`] gives a [`Disk`], the handle that workloads read and
//! write through, and a [`DiskRunner`], the one task that owns the device.
//!
//! A request is a future. It waits its turn first-in first-out, is with the device together with
//! as many others as the queue takes, and completes in whatever order the device chooses. Its
//! buffers belong to the driver until then, so a future may be dropped at any await: what the
//! device still has comes back later and is freed.
//!
//! ```no_run
//! # async fn example(transport: drivers::virtio::Transport, irq: reactor::irq::IrqEvent,
//! #     clock: reactor::Clock, spawner: reactor::Spawner)
//! # -> Result<(), Box<dyn std::error::Error>> {
//! use drivers::block::{self, DiskConfig};
//! let (disk, runner) = block::new(transport, irq, clock, DiskConfig::default())?;
//! spawner.task("disk").spawn(runner.run());
//! let first = disk.read(0, 512).await?;
//! disk.write_at(512, &first).await?;
//! disk.flush().await?;
//! # Ok(()) }
//! ```

mod disk;
mod geometry;
mod runner;
mod table;
#[cfg(test)]
mod tests;

use alloc::rc::Rc;
use alloc::vec;
use core::fmt;
use core::time::Duration;

use log::debug;
use reactor::Clock;
use reactor::irq::IrqEvent;

use crate::InitError;
use crate::virtio::{Device, DeviceKind, Features, MmioSlot, Registers, Transport};

pub use disk::Disk;
pub use geometry::{MAX_TRANSFER, SECTOR};
pub use runner::DiskRunner;
pub use table::{DiskStats, MAX_REQUESTS};

use geometry::Geometry;
use table::SharedTable;

/// How long the device may take for one request before it is given up. Rate limiters and slow
/// storage hold requests back for seconds; nothing sound holds one for half a minute.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

const WANTED: Features = Features::from_bits(
    Features::EVENT_IDX.bits()
        | Features::INDIRECT.bits()
        | Features::BLOCK_SIZE_MAX.bits()
        | Features::BLOCK_SEG_MAX.bits()
        | Features::BLOCK_RO.bits()
        | Features::BLOCK_BLK_SIZE.bits()
        | Features::BLOCK_FLUSH.bits(),
);

/// How a disk is brought up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskConfig {
    /// Entries of the virtqueue, at most what the device has. A request takes one, or three where
    /// the device has no indirect descriptors.
    pub queue_size: u16,
    /// See [`REQUEST_TIMEOUT`].
    pub request_timeout: Duration,
}

impl Default for DiskConfig {
    /// 64 entries and [`REQUEST_TIMEOUT`].
    fn default() -> DiskConfig {
        DiskConfig {
            queue_size: 64,
            request_timeout: REQUEST_TIMEOUT,
        }
    }
}

/// Why a request failed. What was asked for may have happened in part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskError {
    /// The device reports an error in the medium or below.
    Io,
    /// The device does not know the request.
    Unsupported,
    /// The device reports success but wrote less than was asked for.
    Incomplete,
    /// The device completed the request with a status that the specification does not have, or
    /// with none (255).
    BadStatus(u8),
    /// The range does not lie inside the disk. The device was not asked.
    OutOfRange,
    /// A write does not begin and end at a block's edge. The device was not asked.
    Misaligned,
    /// The disk cannot be written. The device was not asked.
    ReadOnly,
    /// The device broke the rules or did not answer in time and was given up, or its runner is
    /// gone. No request will succeed any more.
    DeviceFailed,
    /// Memory for the request is short. The device was not asked.
    OutOfMemory,
}

impl fmt::Display for DiskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Io => "input/output error",
            Self::Unsupported => "request not supported by the device",
            Self::Incomplete => "device transferred less than it was asked for",
            Self::BadStatus(status) => return write!(f, "device gave status {status}"),
            Self::OutOfRange => "range not inside the disk",
            Self::Misaligned => "write not aligned to blocks",
            Self::ReadOnly => "disk is read-only",
            Self::DeviceFailed => "device failed",
            Self::OutOfMemory => "out of memory",
        })
    }
}

impl core::error::Error for DiskError {}

/// Brings a disk up. `irq` is raised by the handler of the device's line. For task context; does
/// not wait. Nothing moves until the runner's future is polled.
///
/// # Errors
/// [`InitError`]; the device is reset then.
pub fn new<T: Registers>(
    mut transport: Transport<T>,
    irq: IrqEvent,
    clock: Clock,
    config: DiskConfig,
) -> Result<(Disk, DiskRunner<T>), InitError> {
    let features = transport.negotiate(DeviceKind::Block, WANTED)?;
    let mut geometry = Geometry::read(&transport, features)?;
    let queue = transport.add_queue(0, config.queue_size, features)?;
    geometry.limit_segments(queue.max_segments())?;
    let (block, size) = (geometry.block, queue.size());
    let mut device = Device::new("disk", transport, vec![queue]);
    device.transport().start()?;
    let MmioSlot {
        base, irq: line, ..
    } = device.transport().slot();
    debug!(
        "disk: started base={base:#x} irq={line} features={features:?} block={block} queue={size}"
    );
    let table = Rc::new(SharedTable::new());
    let disk = Disk::new(Rc::clone(&table), geometry);
    Ok((
        disk,
        DiskRunner::new(device, irq, clock, table, config.request_timeout),
    ))
}
