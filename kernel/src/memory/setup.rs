//! Takes the machine's RAM into the kernel's hands, once, at boot.
#![allow(
    unsafe_code,
    reason = "turns addresses from the linker and the loader into memory"
)]

use super::frames::{Chunk, FrameAllocator};
use super::range_set::{Range, RangeSet};
use super::{FRAMES, PAGE_SIZE};
use crate::boot::LoaderInfo;
use core::mem::MaybeUninit;

unsafe extern "C" {
    static __kernel_start: u8;
    static __kernel_end: u8;
    static __boot_mapped_end: u8;
}

/// What `init` did, for the log, which does not exist yet when it runs.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// RAM that the loader's map offers, in bytes.
    pub ram: u64,
    /// RAM that is free for the heap and its like, in bytes.
    pub free: u64,
    /// Stretches of RAM that did not fit into the kernel's tables and are not used.
    pub dropped: u32,
}

/// The image with its .bss.
fn kernel_image() -> Range {
    Range::new(
        &raw const __kernel_start as u64,
        &raw const __kernel_end as u64,
    )
}

/// Reads the memory map, and lets the frame allocator own all RAM but page 0, the kernel and the
/// modules. `None` where there is not enough RAM to begin with.
///
/// What the loader left in low memory is overwritten from now on, so it must have been copied.
pub fn init(info: &LoaderInfo) -> Option<Setup> {
    let mut ram = RangeSet::new();
    for range in info.ram.as_slice() {
        ram.insert(range.shrink_to(PAGE_SIZE));
    }
    let offered = ram.total();
    let image = kernel_image();
    ram.remove(Range::new(0, PAGE_SIZE));
    ram.remove(image);
    for module in info.modules() {
        ram.remove(module.grow_to(PAGE_SIZE));
    }
    let records = take_records(&mut ram)?;
    let frames = FrameAllocator::new(&ram, records);
    let free = frames.free_frames() * PAGE_SIZE;
    FRAMES.try_with(|slot| *slot = Some(frames))?;
    Some(Setup {
        ram: offered,
        free,
        dropped: info.ram.dropped() + ram.dropped(),
    })
}

/// Takes the frame allocator's records out of `ram`: behind the kernel, in memory that the boot code
/// has mapped. Leaves out RAM at the top where there is no room for that many.
fn take_records(ram: &mut RangeSet) -> Option<&'static mut [MaybeUninit<Chunk>]> {
    let bytes = (FrameAllocator::records_for(ram) * size_of::<Chunk>()) as u64;
    let reachable = Range::new(kernel_image().end, &raw const __boot_mapped_end as u64);
    let place = ram
        .as_slice()
        .iter()
        .map(|range| {
            Range::new(
                range.start.max(reachable.start),
                range.end.min(reachable.end),
            )
        })
        .map(|range| range.shrink_to(PAGE_SIZE))
        .find(|range| range.size() >= bytes)?;
    let taken = Range::with_size(place.start, bytes).grow_to(PAGE_SIZE);
    ram.remove(taken);
    // SAFETY: the range is RAM that the boot code mapped, and was just taken out of what anybody
    // else can get. A chunk's record needs no initial value here.
    Some(unsafe {
        core::slice::from_raw_parts_mut(
            taken.start as *mut MaybeUninit<Chunk>,
            bytes as usize / size_of::<Chunk>(),
        )
    })
}
