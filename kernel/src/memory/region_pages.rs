//! Pages of regions in an address space in which all RAM is mapped where it is, too. While a page may be
//! executed, that other place does not allow writing to its frame: nothing can be written by one address
//! and executed by another.
//!
//! Called by `mapping`, which has the kernel's tables; the tables are reached through [`TableMemory`],
//! so this runs on a host.

use super::PAGE_SIZE;
use super::page_table::{Access, AddressSpace, MapError, TableMemory};
use super::range_set::Range;

/// An address space, its tables, and how the processor is told that an address changed.
pub struct RegionPages<'a, M> {
    /// The address space, with all RAM mapped where it is.
    pub space: &'a AddressSpace,
    /// Its tables.
    pub memory: &'a mut M,
    /// Takes an address out of the processor's translation cache.
    pub flush: fn(u64),
}

impl<M: TableMemory> RegionPages<'_, M> {
    /// Maps the page at `address` to a frame of RAM, or of a device for [`Access::Device`].
    ///
    /// # Errors
    ///
    /// The frame is the caller's then, and nothing refers to it.
    pub fn map(&mut self, address: u64, frame: u64, access: Access) -> Result<(), MapError> {
        let page = Range::with_size(address, PAGE_SIZE);
        if access != Access::Execute {
            return self.space.map(self.memory, page, frame, access);
        }
        self.space.map(self.memory, page, frame, Access::Read)?;
        if self.protect(address, access) {
            return Ok(());
        }
        // No table is needed for that: the page has just been mapped as a small one.
        let _ = self.space.unmap_page(self.memory, address);
        (self.flush)(address);
        Err(MapError::OutOfMemory)
    }

    /// Takes the page out; answers its frame, which is writable again.
    pub fn unmap(&mut self, page: u64) -> Option<u64> {
        if self.space.is_executable(self.memory, page) {
            self.protect(page, Access::Read);
        }
        // No table is needed, since regions are mapped by small pages: it cannot fail.
        let frame = self.space.unmap_page(self.memory, page);
        (self.flush)(page);
        frame.ok().flatten()
    }

    /// Changes what may be done with one page. False, with nothing changed for the page itself, where there
    /// is none, or no frame for a table.
    pub fn protect(&mut self, page: u64, access: Access) -> bool {
        let Some(frame) = self.space.translate(self.memory, page) else {
            return false;
        };
        let was_executable = self.space.is_executable(self.memory, page);
        match (was_executable, access == Access::Execute) {
            (false, true) => self.set(frame, Access::Read) && self.set(page, access),
            (true, false) => self.set(page, access) && self.set(frame, Access::Write),
            _ => self.set(page, access),
        }
    }

    fn set(&mut self, address: u64, access: Access) -> bool {
        let done = self.space.protect_page(self.memory, address, access);
        (self.flush)(address);
        done == Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::super::page_table::tests::{FakeTables, access, space};
    use super::*;

    const GIB: u64 = 1 << 30;
    /// A page of a region, beyond RAM.
    const PAGE: u64 = 600 * GIB;
    const FRAME: u64 = 0x12_3000;

    /// RAM of 1 GiB where it is, in one page, and tables for `more` changes.
    fn ram(more: usize) -> (FakeTables, AddressSpace) {
        let (mut memory, space) = space(2 + more, true);
        let ram = Range::new(0, GIB);
        assert_eq!(space.map(&mut memory, ram, 0, Access::Write), Ok(()));
        (memory, space)
    }

    fn pages<'a>(
        space: &'a AddressSpace,
        memory: &'a mut FakeTables,
    ) -> RegionPages<'a, FakeTables> {
        let flush = |_| {};
        RegionPages {
            space,
            memory,
            flush,
        }
    }

    /// Three tables lead to the page; two more break RAM's large page up around the frame.
    const ENOUGH: usize = 3 + 2;

    #[test]
    fn what_may_be_executed_is_written_by_no_address() {
        let (mut memory, space) = ram(ENOUGH);
        let mapped = pages(&space, &mut memory).map(PAGE, FRAME, Access::Execute);
        assert_eq!(mapped, Ok(()));
        let found = [PAGE, FRAME, FRAME + PAGE_SIZE].map(|at| access(&space, &mut memory, at));
        let expected = [Access::Execute, Access::Read, Access::Write].map(Some);
        assert_eq!(found, expected);

        assert!(pages(&space, &mut memory).protect(PAGE, Access::Write));
        let found = [PAGE, FRAME].map(|at| access(&space, &mut memory, at));
        assert_eq!(found, [Some(Access::Write); 2]);
    }

    #[test]
    fn a_frame_that_comes_back_is_writable() {
        let (mut memory, space) = ram(ENOUGH);
        let mut pages = pages(&space, &mut memory);
        assert_eq!(pages.map(PAGE, FRAME, Access::Execute), Ok(()));
        assert_eq!(pages.unmap(PAGE), Some(FRAME));
        assert_eq!(pages.unmap(PAGE), None);
        assert_eq!(access(&space, &mut memory, PAGE), None);
        assert_eq!(access(&space, &mut memory, FRAME), Some(Access::Write));
    }

    /// Wherever the tables run out, the page that could not be made is not there: the caller gives the
    /// frame to somebody else.
    #[test]
    fn a_page_that_fails_leaves_nothing_behind() {
        for short in 1..=ENOUGH {
            let (mut memory, space) = ram(ENOUGH - short);
            let mapped = pages(&space, &mut memory).map(PAGE, FRAME, Access::Execute);
            assert_eq!(mapped, Err(MapError::OutOfMemory), "{short} short");
            assert_eq!(access(&space, &mut memory, PAGE), None, "{short} short");
            let frame = access(&space, &mut memory, FRAME);
            assert_eq!(frame, Some(Access::Write), "{short} short");
        }
    }
}
