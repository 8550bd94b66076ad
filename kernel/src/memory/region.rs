//! Ranges of addresses that are reserved first and backed with frames later: on the first touch, by
//! a handler, or when asked.
//!
//! Their addresses are not the frames' addresses, so a device must not be given a pointer into one.

use super::address_ranges::AddressRanges;
use super::fault::FaultHandler;
use super::frames::FrameRange;
use super::mapping;
use super::page_table::Access;
use super::range_set::Range;
use super::{PAGE_SIZE, free_frames};
use crate::exclusive::Exclusive;

/// Where regions lie: far above any RAM that is mapped where it is.
const WINDOW: Range = Range::new(1 << 45, 1 << 46);

static REGIONS: Exclusive<AddressRanges<Kind>> = Exclusive::new(AddressRanges::new(WINDOW));

/// How the pages of a region come to be.
#[derive(Clone, Copy, Debug)]
pub enum Backing {
    /// The first touch of a page gives it a frame of zeros.
    Lazy,
    /// The handler decides what a touch does.
    Handler(FaultHandler),
    /// Only [`Region::commit`] gives it frames; a touch elsewhere is an error.
    Explicit,
}

/// What is known about a region.
#[derive(Clone, Copy, Debug)]
struct Kind {
    backing: Backing,
    access: Access,
}

/// What the fault path wants to know about the region that was touched.
#[derive(Clone, Copy, Debug)]
pub(super) struct TouchedRegion {
    pub(super) backing: Backing,
    pub(super) access: Access,
    guard: u64,
}

impl TouchedRegion {
    pub(super) fn in_guard(self, address: u64) -> bool {
        Range::with_size(self.guard, PAGE_SIZE).contains(address)
    }
}

/// The region that `address` lies in, its guard page included.
pub(super) fn region_at(address: u64) -> Option<TouchedRegion> {
    REGIONS.try_with(|regions| {
        let (range, kind) = regions.find(address)?;
        Some(TouchedRegion {
            backing: kind.backing,
            access: kind.access,
            guard: range.start,
        })
    })?
}

/// Whether a foreign program may read `range`, or also write it: pages of one region that have frames.
#[cfg(feature = "foreign")]
pub fn may_touch(range: Range, write: bool) -> bool {
    if !WINDOW.covers(range) {
        return false;
    }
    let found =
        REGIONS.try_with(|regions| regions.find(range.start).map(|(all, kind)| (all, *kind)));
    let Some((all, kind)) = found.flatten() else {
        return false;
    };
    let allowed = match kind.access {
        Access::Write => true,
        Access::Read | Access::Execute => !write,
        Access::Device => false,
    };
    let pages = range.grow_to(PAGE_SIZE);
    allowed
        && Range::new(all.start + PAGE_SIZE, all.end).covers(range)
        && (pages.start..pages.end)
            .step_by(PAGE_SIZE as usize)
            .all(mapping::is_mapped)
}

/// Why a region could not be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegionError {
    /// There is no such gap among the addresses, or the size is zero.
    NoAddresses,
    /// There are not enough frames.
    OutOfMemory,
    /// The pages are not the region's.
    OutOfBounds,
}

/// A reserved range of addresses with an unmapped page below it. For task context. Dropping it gives
/// addresses and frames back, so nothing may point into it by then.
#[derive(Debug)]
pub struct Region {
    /// The pages behind the guard page.
    range: Range,
    access: Access,
}

impl Region {
    /// Reserves at least `size` bytes; takes no frame yet.
    ///
    /// # Errors
    ///
    /// [`RegionError::NoAddresses`].
    pub fn reserve(size: usize, access: Access, backing: Backing) -> Result<Region, RegionError> {
        let size = Range::new(0, size as u64).grow_to(PAGE_SIZE).size();
        if size == 0 || size >= WINDOW.size() {
            return Err(RegionError::NoAddresses);
        }
        let kind = Kind { backing, access };
        let with_guard = REGIONS
            .try_with(|regions| regions.reserve(size + PAGE_SIZE, kind))
            .flatten()
            .ok_or(RegionError::NoAddresses)?;
        Ok(Region {
            range: Range::new(with_guard.start + PAGE_SIZE, with_guard.end),
            access,
        })
    }

    /// The lowest byte. What may be done with it is what was asked for in [`Region::reserve`].
    pub fn as_ptr(&self) -> *mut u8 {
        self.range.start as *mut u8
    }

    /// How many bytes it spans: what was asked for, up to the next whole page.
    pub fn size(&self) -> usize {
        self.range.size() as usize
    }

    /// Gives frames of zeros to the pages that `size` bytes from `offset` on touch, where they have
    /// none.
    ///
    /// # Errors
    ///
    /// [`RegionError::OutOfBounds`], and [`RegionError::OutOfMemory`] with some pages backed.
    pub fn commit(&self, offset: usize, size: usize) -> Result<(), RegionError> {
        for page in self.pages(offset, size)? {
            if mapping::is_mapped(page) {
                continue;
            }
            let frame = mapping::zeroed_frame().ok_or(RegionError::OutOfMemory)?;
            mapping::map_page(page, frame, self.access).map_err(|_| {
                free_frames(FrameRange {
                    address: frame,
                    count: 1,
                });
                RegionError::OutOfMemory
            })?;
        }
        Ok(())
    }

    /// Takes the frames of these pages away; what was in them is gone.
    ///
    /// # Errors
    ///
    /// [`RegionError::OutOfBounds`].
    pub fn decommit(&mut self, offset: usize, size: usize) -> Result<(), RegionError> {
        mapping::unmap(self.part(offset, size)?);
        Ok(())
    }

    /// Changes what may be done with these pages, where they have frames. Pages that may be executed
    /// can be written nowhere.
    ///
    /// # Errors
    ///
    /// [`RegionError::OutOfBounds`]; [`RegionError::OutOfMemory`] with some pages changed.
    pub fn protect(
        &mut self,
        offset: usize,
        size: usize,
        access: Access,
    ) -> Result<(), RegionError> {
        for page in self.pages(offset, size)? {
            if mapping::is_mapped(page) && !mapping::protect_page(page, access) {
                return Err(RegionError::OutOfMemory);
            }
        }
        Ok(())
    }

    /// The addresses of the pages that a part of the region touches.
    fn pages(&self, offset: usize, size: usize) -> Result<impl Iterator<Item = u64>, RegionError> {
        let part = self.part(offset, size)?;
        Ok((part.start..part.end).step_by(PAGE_SIZE as usize))
    }

    /// A part of the region, in whole pages.
    fn part(&self, offset: usize, size: usize) -> Result<Range, RegionError> {
        let start = self.range.start.saturating_add(offset as u64);
        let part = Range::with_size(start, size as u64).grow_to(PAGE_SIZE);
        if part.start < self.range.start || part.end > self.range.end {
            return Err(RegionError::OutOfBounds);
        }
        Ok(part)
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        mapping::unmap(self.range);
        REGIONS.try_with(|regions| regions.release(self.range.start - PAGE_SIZE));
    }
}
