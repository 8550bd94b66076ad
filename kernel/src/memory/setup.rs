//! Takes the machine's RAM into the kernel's hands, once, at boot: the frame allocator, and page
//! tables in which nothing is both writable and executable.
#![allow(
    unsafe_code,
    reason = "turns addresses from the linker and the loader into memory"
)]

use super::frames::{Chunk, FrameAllocator};
use super::mapping::{self, Tables};
use super::page_table::{Access, AddressSpace, MapError};
use super::range_set::{Range, RangeSet};
use super::{FRAMES, LOWEST_ADDRESS, PAGE_SIZE, RAM, fault, image};
use crate::boot::LoaderInfo;
use core::mem::MaybeUninit;

unsafe extern "C" {
    static __boot_mapped_end: u8;
}

/// What `init` did, for the log.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// RAM that the loader's map offers, in bytes.
    pub ram: u64,
    /// RAM that is free for the heap and its like, in bytes.
    pub free: u64,
    /// Stretches of RAM that did not fit into the kernel's tables and are not used.
    pub dropped: u32,
}

/// Why the memory cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetupError {
    /// There is no RAM behind the kernel for the kernel's tables.
    TooLittleMemory,
    /// A boot module does not lie in RAM, or overlaps the kernel's image.
    BadModule,
    /// The memory map and the kernel's image contradict each other.
    Map(MapError),
}

/// Reads the memory map, lets the frame allocator own all RAM but the lowest 64 KiB, the kernel
/// and the modules, and switches to the kernel's own page tables. `guards` are the pages of the image that
/// are left unmapped, each below a stack.
///
/// What the loader left in low memory is overwritten from now on, so it must have been copied.
#[inline(never)] // a phase of the boot that benchmarks tell apart
pub(crate) fn init(
    info: &LoaderInfo,
    guards: &[u64],
    gigabyte_pages: bool,
) -> Result<Setup, SetupError> {
    let mut ram = RangeSet::new();
    for range in info.ram.as_slice() {
        ram.insert(range.shrink_to(PAGE_SIZE));
    }
    ram.remove(Range::new(0, LOWEST_ADDRESS));
    let kernel = image::all();
    if !info.modules_are_usable(&ram, kernel) {
        return Err(SetupError::BadModule);
    }
    let mut free = ram.clone();
    free.remove(kernel);
    for module in info.modules() {
        free.remove(module.grow_to(PAGE_SIZE));
    }
    let records = take_records(&mut free).ok_or(SetupError::TooLittleMemory)?;
    let frames = FrameAllocator::new(&free, records);
    let setup = Setup {
        ram: ram.total(),
        free: frames.free_frames() * PAGE_SIZE,
        dropped: info.ram.dropped() + free.dropped(),
    };
    FRAMES.try_with(|slot| *slot = Some(frames));
    let space = build_space(&ram, guards, gigabyte_pages).map_err(SetupError::Map)?;
    mapping::install(space);
    fault::set_static_guards(guards);
    RAM.try_with(|slot| *slot = ram);
    Ok(setup)
}

/// Takes the frame allocator's records out of `ram`: behind the kernel, in memory that the boot code
/// has mapped, which is enough for hundreds of GiB.
fn take_records(ram: &mut RangeSet) -> Option<&'static mut [MaybeUninit<Chunk>]> {
    let count = FrameAllocator::records_for(ram);
    let bytes = (count * size_of::<Chunk>()) as u64;
    let reachable = Range::new(image::all().end, &raw const __boot_mapped_end as u64);
    let place = ram
        .as_slice()
        .iter()
        .map(|range| {
            Range::new(
                range.start.max(reachable.start),
                range.end.min(reachable.end),
            )
        })
        .find(|range| range.size() >= bytes)?;
    let taken = Range::with_size(place.start, bytes).grow_to(PAGE_SIZE);
    ram.remove(taken);
    // SAFETY: the range is RAM that the boot code mapped, and was just taken out of what anybody
    // else can get. A record needs no initial value here.
    Some(unsafe { core::slice::from_raw_parts_mut(taken.start as *mut MaybeUninit<Chunk>, count) })
}

/// All RAM where it is, readable and writable; of the kernel's image, code executable, constants
/// read-only, and the guard pages left out.
fn build_space(
    ram: &RangeSet,
    guards: &[u64],
    gigabyte_pages: bool,
) -> Result<AddressSpace, MapError> {
    let space = AddressSpace::new(&mut Tables, gigabyte_pages).ok_or(MapError::OutOfMemory)?;
    let map = |range: Range, access| space.map(&mut Tables, range, range.start, access);
    let (text, constants) = (image::text(), image::constants());
    map(text, Access::Execute)?;
    map(constants, Access::Read)?;
    let mut writable = ram.clone();
    writable.insert(image::data());
    writable.remove(text);
    writable.remove(constants);
    for &range in writable.as_slice() {
        map(range, Access::Write)?;
    }
    for &guard in guards {
        space.unmap_page(&mut Tables, guard)?;
    }
    Ok(space)
}
