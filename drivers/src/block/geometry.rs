//! What a disk says about itself: how large it is, and what a request may look like.

use super::DiskError;
use crate::InitError;
use crate::virtio::{Features, Registers, Transport};

/// Bytes of a sector, the unit in which requests count, whatever the device's blocks are
/// (virtio 1.2 §5.2.4).
pub const SECTOR: u64 = 512;

/// Most bytes in one request to the device; longer reads and writes are cut into several, one
/// after the other. Bounds what a bounce buffer costs.
pub const MAX_TRANSFER: usize = 1 << 20;

/// Largest block that is believed. The block bounds the smallest write.
const MAX_BLOCK: u32 = 1 << 16;

/// Descriptors of a request beside its data: header and status.
const OVERHEAD: u16 = 2;

/// Offsets in the configuration (§5.2.4).
const CAPACITY: usize = 0;
const SIZE_MAX: usize = 8;
const SEG_MAX: usize = 12;
const BLK_SIZE: usize = 20;

/// Limits of one disk, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Geometry {
    /// Size of the disk, a multiple of `block`.
    pub(super) bytes: u64,
    /// Bytes of a block, a power of two and at least [`SECTOR`]. The device takes only whole ones.
    pub(super) block: u64,
    pub(super) read_only: bool,
    /// There is a cache to be flushed.
    pub(super) flush: bool,
    /// Bytes in one request, and so in one segment: a multiple of `block`.
    pub(super) max_transfer: usize,
    /// Data segments in one request.
    pub(super) max_segments: usize,
}

impl Geometry {
    /// Reads the configuration as far as the negotiated features say that it is there.
    pub(super) fn read<T: Registers>(
        transport: &Transport<T>,
        features: Features,
    ) -> Result<Geometry, InitError> {
        let has = |feature| features.contains(feature);
        let (sectors, block, segment, segments) = transport.read_config(|config| {
            let optional = |feature, offset, default| {
                if has(feature) {
                    config.u32(offset)
                } else {
                    Ok(default)
                }
            };
            Ok((
                config.u64(CAPACITY)?,
                optional(Features::BLOCK_BLK_SIZE, BLK_SIZE, SECTOR as u32)?,
                optional(Features::BLOCK_SIZE_MAX, SIZE_MAX, u32::MAX)?,
                // A device that does not tell takes one: Firecracker reads exactly three
                // descriptors, header, data and status.
                optional(Features::BLOCK_SEG_MAX, SEG_MAX, 1)?,
            ))
        })?;
        if !block.is_power_of_two() || !(SECTOR as u32..=MAX_BLOCK).contains(&block) {
            return Err(InitError::ConfigInvalid("block size"));
        }
        let max_transfer = MAX_TRANSFER.min(segment as usize) & !(block as usize - 1);
        if max_transfer == 0 || segments == 0 {
            return Err(InitError::ConfigInvalid("no room for data in a request"));
        }
        let bytes = sectors
            .checked_mul(SECTOR)
            .ok_or(InitError::ConfigInvalid("capacity"))?;
        let block = u64::from(block);
        Ok(Geometry {
            bytes: bytes & !(block - 1),
            block,
            read_only: has(Features::BLOCK_RO),
            flush: has(Features::BLOCK_FLUSH),
            max_transfer,
            max_segments: segments as usize,
        })
    }

    /// Takes into account what the queue has room for.
    pub(super) fn limit_segments(&mut self, queue: u16) -> Result<(), InitError> {
        let room = queue.checked_sub(OVERHEAD).filter(|&room| room > 0);
        let room = room.ok_or(InitError::QueueTooSmall(0))?;
        self.max_segments = self.max_segments.min(room.into());
        Ok(())
    }

    /// Checks that a range lies inside the disk.
    pub(super) fn check_range(&self, offset: u64, len: usize) -> Result<(), DiskError> {
        let end = offset
            .checked_add(len as u64)
            .ok_or(DiskError::OutOfRange)?;
        if end > self.bytes {
            Err(DiskError::OutOfRange)
        } else {
            Ok(())
        }
    }

    /// Whether a range begins and ends at a block's edge.
    pub(super) fn is_aligned(&self, offset: u64, len: usize) -> bool {
        (offset | len as u64) & (self.block - 1) == 0
    }

    /// Checks that a range can be written.
    pub(super) fn check_write(&self, offset: u64, len: usize) -> Result<(), DiskError> {
        if self.read_only {
            return Err(DiskError::ReadOnly);
        }
        self.check_range(offset, len)?;
        if self.is_aligned(offset, len) {
            Ok(())
        } else {
            Err(DiskError::Misaligned)
        }
    }

    /// The whole blocks around a range, as far as one request takes them: where they begin, and
    /// how many bytes they are. The range is not empty and lies inside the disk.
    pub(super) fn window(&self, offset: u64, len: usize) -> (u64, usize) {
        let start = offset & !(self.block - 1);
        let wanted = (offset - start) + len as u64;
        let whole = wanted.next_multiple_of(self.block);
        (start, whole.min(self.max_transfer as u64) as usize)
    }
}
