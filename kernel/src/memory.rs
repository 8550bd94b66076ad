//! Memory: the frames of RAM, the page tables, the heap that grows from the frames, address ranges
//! that are backed when they are touched, and stacks with a guard page.
//!
//! All RAM is mapped where it is, so the address of anything on the heap is also the address that a
//! device uses for it. Nothing here may be called from an interrupt handler.

pub mod address_ranges;
pub mod frames;
#[cfg(any(test, target_os = "none", ukernel_hard_float))]
mod growth;
pub mod page_table;
pub mod range_set;
pub mod region_pages;

#[cfg(any(target_os = "none", ukernel_hard_float))]
pub mod fault;
#[cfg(any(target_os = "none", ukernel_hard_float))]
mod heap;
#[cfg(any(target_os = "none", ukernel_hard_float))]
pub(crate) mod image;
#[cfg(any(target_os = "none", ukernel_hard_float))]
mod mapping;
#[cfg(any(target_os = "none", ukernel_hard_float))]
pub mod region;
#[cfg(any(target_os = "none", ukernel_hard_float))]
mod setup;
#[cfg(any(target_os = "none", ukernel_hard_float))]
pub mod stack;

#[cfg(any(target_os = "none", ukernel_hard_float))]
pub use machine::*;
/// Bytes of a page and of a frame.
pub const PAGE_SIZE: u64 = 4096;

/// Addresses below are never mapped: an access through a null pointer faults, also with an offset.
pub const LOWEST_ADDRESS: u64 = 64 << 10;

/// What needs a machine.
#[cfg(any(target_os = "none", ukernel_hard_float))]
mod machine {
    use super::frames::{FrameAllocator, FrameRange};
    use super::heap;
    use super::range_set::RangeSet;
    #[cfg(feature = "foreign")]
    use super::{image, range_set::Range};
    use crate::exclusive::Exclusive;

    pub use super::heap::{HeapStats, failed_allocation};
    pub use super::mapping::{DeviceError, is_mapped, map_device};
    pub(crate) use super::setup::init;
    pub use super::setup::{Setup, SetupError};

    /// The machine's frames, once `init` has read the memory map.
    pub(super) static FRAMES: Exclusive<Option<FrameAllocator>> = Exclusive::new(None);
    /// All RAM of the machine, in use or not.
    pub(super) static RAM: Exclusive<RangeSet> = Exclusive::new(RangeSet::new());

    /// The frames' figures.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct FrameStats {
        /// Frames that can be allocated now.
        pub free: u64,
        /// Frames that the kernel gives out, free or not.
        pub total: u64,
    }

    /// The frames' figures of this moment.
    pub fn frame_stats() -> FrameStats {
        FRAMES
            .try_with(|frames| {
                frames.as_ref().map(|frames| FrameStats {
                    free: frames.free_frames(),
                    total: frames.total_frames(),
                })
            })
            .flatten()
            .unwrap_or_default()
    }

    /// Takes `count` neighbouring frames; their contents are whatever was there. Where there are none the heap gives
    /// some of its free memory back. `None` where there is no such row then.
    pub fn allocate_frames(count: u64) -> Option<FrameRange> {
        take_frames(count).or_else(|| {
            heap::give_back(count);
            take_frames(count)
        })
    }

    /// The same without asking the heap: for the heap.
    pub(super) fn take_frames(count: u64) -> Option<FrameRange> {
        FRAMES.try_with(|frames| frames.as_mut()?.allocate(count))?
    }

    /// Whether `count` frames are free, after the heap has given some of its free memory back if need be. They
    /// need not lie in a row.
    #[cfg(feature = "foreign")]
    pub(crate) fn make_room(count: u64) -> bool {
        loop {
            let missing = count.saturating_sub(frame_stats().free);
            if missing == 0 {
                return true;
            }
            if missing > frame_stats().total || !heap::give_back(missing) {
                return false;
            }
        }
    }

    /// Gives frames back that [`allocate_frames`] gave.
    ///
    /// # Panics
    ///
    /// If one of them is free already.
    pub fn free_frames(range: FrameRange) {
        FRAMES.try_with(|frames| {
            if let Some(frames) = frames {
                frames.free(range);
            }
        });
    }

    /// Whether `range` is a part of the image that a foreign program may read, or also write: not the kernel's stacks and
    /// first tables; code and constants for reading only. What a program allocates is known elsewhere, and the
    /// rest of the heap is the kernel's.
    #[cfg(feature = "foreign")]
    pub fn may_touch(range: Range, write: bool) -> bool {
        if image::zeroed().covers(range) {
            return true; // nearly always, for a static variable of the program
        }
        let read_only = range.overlaps(image::text()) || range.overlaps(image::constants());
        image::all().covers(range) && !range.overlaps(image::pages()) && !(write && read_only)
    }

    /// Asks something about the machine's RAM.
    pub(super) fn installed_ram(question: impl FnOnce(&RangeSet) -> bool) -> bool {
        // Nobody holds it while asking, so it is never in use; if it were, `true` refuses most.
        RAM.try_with(|ram| question(ram)).unwrap_or(true)
    }
}
