//! Memory: the frames of RAM, the page tables, the heap that grows from the frames, address ranges
//! that are backed when they are touched, and stacks with a guard page.
//!
//! All RAM is mapped where it is, so the address of anything on the heap is also the address that a
//! device uses for it. Nothing here may be called from an interrupt handler.

pub mod frames;
pub mod range_set;

#[cfg(target_os = "none")]
mod heap;
#[cfg(target_os = "none")]
mod setup;

#[cfg(target_os = "none")]
pub use heap::{HeapStats, failed_allocation};
#[cfg(target_os = "none")]
pub use setup::{Setup, init};

use exclusive::Exclusive;
use frames::{FrameAllocator, FrameRange};

use crate::exclusive;

/// Bytes of a page and of a frame.
pub const PAGE_SIZE: u64 = 4096;

/// The machine's frames, once `init` has read the memory map.
static FRAMES: Exclusive<Option<FrameAllocator>> = Exclusive::new(None);

/// Takes `count` neighbouring frames; their contents are whatever was there. `None` where there is no such row.
pub fn allocate_frames(count: u64) -> Option<FrameRange> {
    FRAMES.try_with(|frames| frames.as_mut()?.allocate(count))?
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
