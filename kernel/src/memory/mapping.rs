//! The kernel's own address space: the tables that the processor uses.
#![allow(
    unsafe_code,
    reason = "reaches tables and frames by their addresses and switches CR3"
)]

use super::frames::FrameRange;
use super::page_table::{Access, AddressSpace, MapError, Table, TableMemory};
use super::range_set::Range;
use super::region_pages::RegionPages;
use super::{PAGE_SIZE, allocate_frames, free_frames, installed_ram};
use crate::exclusive::Exclusive;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use x86_64::registers::control::{Cr3, Cr3Flags};
use x86_64::structures::paging::PhysFrame;
use x86_64::{PhysAddr, VirtAddr};

/// Tables in the image's .bss, which is zero already: enough for a machine with pages of 1 GiB and a
/// few devices, so that booting clears no frames.
const POOL_SIZE: usize = 8;

static mut POOL: [Table; POOL_SIZE] = [const { Table::new() }; POOL_SIZE];
static POOL_USED: AtomicUsize = AtomicUsize::new(0);

/// The address space, once `install` has loaded it.
static SPACE: Exclusive<Option<AddressSpace>> = Exclusive::new(None);

/// Tables in the pool, then in frames. All of RAM is mapped where it is, so addresses are pointers.
pub(super) struct Tables;

impl TableMemory for Tables {
    fn allocate(&mut self) -> Option<u64> {
        let used = POOL_USED.load(Relaxed);
        if used < POOL_SIZE {
            POOL_USED.store(used + 1, Relaxed);
            let pool = &raw mut POOL;
            return Some(pool as u64 + used as u64 * PAGE_SIZE);
        }
        zeroed_frame()
    }

    fn table(&mut self, address: u64) -> &mut Table {
        // SAFETY: `address` came from `allocate`, straight or out of a table's entry, so it is a
        // table, mapped where it is (before `install` by the boot code: frames come lowest first).
        // The reference borrows `self`, and `SPACE` lets one caller at a time at the tables.
        unsafe { &mut *(address as *mut Table) }
    }
}

/// A frame full of zeros.
pub(super) fn zeroed_frame() -> Option<u64> {
    let frame = allocate_frames(1)?.address;
    // SAFETY: the frame is RAM, mapped where it is, and nobody else's.
    unsafe { (frame as *mut u8).write_bytes(0, PAGE_SIZE as usize) };
    Some(frame)
}

/// Makes `space` the one that the processor uses. What runs must be mapped in it.
pub(super) fn install(space: AddressSpace) {
    let root = PhysFrame::containing_address(PhysAddr::new_truncate(space.root()));
    // SAFETY: `setup` mapped the image, its stacks and all RAM where they are in this space.
    unsafe { Cr3::write(root, Cr3Flags::empty()) };
    SPACE.try_with(|slot| *slot = Some(space));
}

/// Calls `change` with the address space in use; `None` before it is installed.
fn with_space<R>(change: impl FnOnce(&AddressSpace) -> R) -> Option<R> {
    SPACE.try_with(|space| space.as_ref().map(change))?
}

/// Whether reading the byte at `address` faults or not. For the backtrace, which believes nothing.
pub fn is_mapped(address: u64) -> bool {
    with_space(|space| space.translate(&mut Tables, address)).is_some_and(|frame| frame.is_some())
}

/// Calls `change` with the pages of regions; `None` before there are any.
fn with_pages<R>(change: impl FnOnce(RegionPages<'_, Tables>) -> R) -> Option<R> {
    with_space(|space| {
        change(RegionPages {
            space,
            memory: &mut Tables,
            flush,
        })
    })
}

/// Maps one page to a frame. After an error nothing refers to the frame.
pub(super) fn map_page(address: u64, frame: u64, access: Access) -> Result<(), MapError> {
    with_pages(|mut pages| pages.map(address, frame, access)).ok_or(MapError::BadAddress)?
}

/// Takes the pages of `range` out and gives their frames back.
pub(super) fn unmap(range: Range) {
    let first = |range| with_space(|space| space.first_mapped(&mut Tables, range)).flatten();
    let mut rest = range;
    while let Some(page) = first(rest) {
        if let Some(address) = with_pages(|mut pages| pages.unmap(page)).flatten() {
            free_frames(FrameRange { address, count: 1 });
        }
        rest.start = page + PAGE_SIZE;
    }
}

/// Changes what may be done with one page of a region. False where there is no page, or no frame for a
/// table.
pub(super) fn protect_page(page: u64, access: Access) -> bool {
    with_pages(|mut pages| pages.protect(page, access)) == Some(true)
}

fn flush(address: u64) {
    x86_64::instructions::tlb::flush(VirtAddr::new_truncate(address));
}

/// Why a device's registers cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceError {
    /// There is RAM at that address.
    IsRam,
    /// Nothing can be mapped there.
    BadAddress,
    /// There is no frame for a table.
    OutOfMemory,
}

/// Makes the registers of a device readable and writable where they are, past the caches. Asking
/// again for pages that are mapped so already changes nothing. From task or boot context.
///
/// # Errors
///
/// An address from a command line may be anything: RAM is refused.
pub fn map_device(address: u64, size: u64) -> Result<(), DeviceError> {
    let registers = Range::with_size(address, size);
    if registers.is_empty() || registers.end == u64::MAX {
        return Err(DeviceError::BadAddress);
    }
    let pages = registers.grow_to(PAGE_SIZE);
    if installed_ram(|ram| ram.overlaps(pages)) {
        return Err(DeviceError::IsRam);
    }
    for page in (pages.start..pages.end).step_by(PAGE_SIZE as usize) {
        match map_page(page, page, Access::Device) {
            // Only this function maps anything but RAM where it is, so what is there is a device.
            Ok(()) | Err(MapError::Occupied) => {}
            Err(MapError::OutOfMemory) => return Err(DeviceError::OutOfMemory),
            Err(MapError::BadAddress) => return Err(DeviceError::BadAddress),
        }
    }
    Ok(())
}
