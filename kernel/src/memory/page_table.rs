//! Page tables of four levels (Intel SDM vol. 3, section 4.5): maps ranges of addresses with the
//! largest pages that fit, and takes them away again.
//!
//! The tables are reached through [`TableMemory`], so all of this runs on a host, too. Changing a
//! mapping that is in use needs a flush of the translation cache afterwards, which is the caller's.

use super::PAGE_SIZE;
use super::range_set::Range;
use x86_64::structures::paging::PageTableFlags as Flags;

/// The level of the root table; level 1 holds 4 KiB pages.
const ROOT_LEVEL: u32 = 4;
/// Entries of a table.
const ENTRIES: u64 = 512;
/// The part of an entry that is the address of a frame or of a table.
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
/// The first address that four levels do not reach in the lower half, where the kernel lives.
pub const ADDRESS_LIMIT: u64 = 1 << 47;

/// A table: entries of flags and an address. Plain numbers, because booting fills hundreds of them.
#[derive(Clone, Debug)]
#[repr(C, align(4096))]
pub struct Table([u64; ENTRIES as usize]);

impl Table {
    /// A table with no entry set.
    pub const fn new() -> Table {
        Table([0; ENTRIES as usize])
    }
}

impl Default for Table {
    fn default() -> Table {
        Table::new()
    }
}

fn has(entry: u64, flag: Flags) -> bool {
    entry & flag.bits() != 0
}

/// What may be done with memory. No memory can be both written and executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read only.
    Read,
    /// Read and write.
    Write,
    /// Read and execute.
    Execute,
    /// Read and write the registers of a device, past the caches.
    Device,
}

impl Access {
    fn flags(self) -> Flags {
        let flags = Flags::PRESENT;
        match self {
            Access::Read => flags | Flags::NO_EXECUTE,
            Access::Write => flags | Flags::NO_EXECUTE | Flags::WRITABLE,
            Access::Execute => flags,
            Access::Device => {
                let uncached = Flags::NO_CACHE | Flags::WRITE_THROUGH;
                flags | Flags::NO_EXECUTE | Flags::WRITABLE | uncached
            }
        }
    }
}

/// Why a mapping was not made. What came before the failing page is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapError {
    /// There is no frame for another table.
    OutOfMemory,
    /// Something is mapped there already.
    Occupied,
    /// Beyond [`ADDRESS_LIMIT`], or not on a page's boundary.
    BadAddress,
}

/// Where tables come from and how they are reached.
pub trait TableMemory {
    /// The address of a new table with no entry set.
    fn allocate(&mut self) -> Option<u64>;
    /// The table at an address that `allocate` gave.
    fn table(&mut self, address: u64) -> &mut Table;
}

/// A tree of tables.
#[derive(Clone, Copy, Debug)]
pub struct AddressSpace {
    root: u64,
    /// Whether the processor knows pages of 1 GiB.
    gigabyte_pages: bool,
}

/// A stretch of memory on its way into the tables.
#[derive(Clone, Copy)]
struct Mapping {
    address: u64,
    frame: u64,
    size: u64,
    flags: Flags,
}

impl Mapping {
    /// The next `size` bytes, which are then no longer part of `self`.
    fn split(&mut self, size: u64) -> Mapping {
        let piece = Mapping { size, ..*self };
        self.address += size;
        self.frame += size;
        self.size -= size;
        piece
    }
}

/// A page, and where its entry is.
#[derive(Clone, Copy, Debug)]
struct Place {
    table: u64,
    slot: usize,
    entry: u64,
    size: u64,
}

impl Place {
    fn set(self, memory: &mut impl TableMemory, entry: u64) {
        memory.table(self.table).0[self.slot] = entry;
    }
}

impl AddressSpace {
    /// An address space with nothing in it; `None` without a frame for the root.
    pub fn new(memory: &mut impl TableMemory, gigabyte_pages: bool) -> Option<AddressSpace> {
        Some(AddressSpace {
            root: memory.allocate()?,
            gigabyte_pages,
        })
    }

    /// The address of the root table, for CR3.
    pub fn root(&self) -> u64 {
        self.root
    }

    /// Maps the pages of `range` to the frames from `frame` on.
    ///
    /// # Errors
    ///
    /// Pages before the one that failed stay mapped.
    pub fn map(
        &self,
        memory: &mut impl TableMemory,
        range: Range,
        frame: u64,
        access: Access,
    ) -> Result<(), MapError> {
        let aligned = (range.start | range.end | frame).is_multiple_of(PAGE_SIZE);
        if !aligned || range.end > ADDRESS_LIMIT {
            return Err(MapError::BadAddress);
        }
        let mapping = Mapping {
            address: range.start,
            frame,
            size: range.size(),
            flags: access.flags(),
        };
        self.map_in(memory, self.root, ROOT_LEVEL, mapping)
    }

    /// Maps what lies under one table.
    fn map_in(
        &self,
        memory: &mut impl TableMemory,
        table: u64,
        level: u32,
        mut rest: Mapping,
    ) -> Result<(), MapError> {
        let span = span(level);
        while rest.size > 0 {
            let index = index(rest.address, level);
            let whole = self.whole_pages(level, &rest).min(ENTRIES - index);
            if whole > 0 {
                let pages = rest.split(whole * span);
                set_pages(memory.table(table), index as usize, level, pages)?;
            } else {
                let child = child(memory, table, index as usize)?;
                let piece = (span - rest.address % span).min(rest.size);
                let piece = rest.split(piece);
                self.map_in(memory, child, level - 1, piece)?;
            }
        }
        Ok(())
    }

    /// How many pages of this level's size a mapping begins with.
    fn whole_pages(&self, level: u32, mapping: &Mapping) -> u64 {
        let span = span(level);
        let possible = match level {
            1 | 2 => true,
            3 => self.gigabyte_pages,
            _ => false,
        };
        if possible && (mapping.address | mapping.frame).is_multiple_of(span) {
            mapping.size / span
        } else {
            0
        }
    }

    /// The page that `address` lies in. Otherwise the size of the gap: of what the entry that is not
    /// there would stand for.
    fn find(&self, memory: &mut impl TableMemory, address: u64) -> Result<Place, u64> {
        if address >= ADDRESS_LIMIT {
            return Err(PAGE_SIZE);
        }
        let mut table = self.root;
        let mut level = ROOT_LEVEL;
        loop {
            let slot = index(address, level) as usize;
            let entry = memory.table(table).0[slot];
            if !has(entry, Flags::PRESENT) {
                return Err(span(level));
            }
            if level == 1 || has(entry, Flags::HUGE_PAGE) {
                return Ok(Place {
                    table,
                    slot,
                    entry,
                    size: span(level),
                });
            }
            table = entry & ADDRESS;
            level -= 1;
        }
    }

    /// Where `address` is mapped to, or `None` where an access would fault.
    pub fn translate(&self, memory: &mut impl TableMemory, address: u64) -> Option<u64> {
        let page = self.find(memory, address).ok()?;
        Some((page.entry & ADDRESS) + address % page.size)
    }

    /// The first page of `range` that is mapped. Takes time for the tables on the way, not for the
    /// pages that are not there.
    pub fn first_mapped(&self, memory: &mut impl TableMemory, range: Range) -> Option<u64> {
        let mut address = range.start;
        while address < range.end {
            match self.find(memory, address) {
                Ok(_) => return Some(address),
                Err(gap) => address = (address / gap + 1) * gap,
            }
        }
        None
    }

    /// The 4 KiB page at `address`, made by breaking larger pages up where there are such. `None`
    /// where nothing is mapped.
    fn find_small(
        &self,
        memory: &mut impl TableMemory,
        address: u64,
    ) -> Result<Option<Place>, MapError> {
        loop {
            match self.find(memory, address) {
                Err(_) => return Ok(None),
                Ok(page) if page.size == PAGE_SIZE => return Ok(Some(page)),
                Ok(page) => break_up(memory, page)?,
            }
        }
    }

    /// Takes the 4 KiB page at `address` out; answers the frame that was there, or `None` where
    /// nothing is mapped.
    ///
    /// # Errors
    ///
    /// [`MapError::OutOfMemory`], with nothing changed: a larger page has to be broken up and there
    /// is no frame for the table.
    pub fn unmap_page(
        &self,
        memory: &mut impl TableMemory,
        address: u64,
    ) -> Result<Option<u64>, MapError> {
        let page = self.find_small(memory, address)?;
        Ok(page.map(|page| {
            page.set(memory, 0);
            page.entry & ADDRESS
        }))
    }

    /// Whether what is at `address` may be executed.
    pub fn is_executable(&self, memory: &mut impl TableMemory, address: u64) -> bool {
        self.find(memory, address)
            .is_ok_and(|page| !has(page.entry, Flags::NO_EXECUTE))
    }

    /// Changes what may be done with the 4 KiB page at `address`. False where nothing is mapped.
    ///
    /// # Errors
    ///
    /// As [`AddressSpace::unmap_page`].
    pub fn protect_page(
        &self,
        memory: &mut impl TableMemory,
        address: u64,
        access: Access,
    ) -> Result<bool, MapError> {
        let page = self.find_small(memory, address)?;
        Ok(page
            .map(|page| page.set(memory, page.entry & ADDRESS | access.flags().bits()))
            .is_some())
    }
}

/// Replaces a page by a table of the next smaller pages.
fn break_up(memory: &mut impl TableMemory, page: Place) -> Result<(), MapError> {
    let table = memory.allocate().ok_or(MapError::OutOfMemory)?;
    let step = page.size / ENTRIES;
    let mut entry = if step == PAGE_SIZE {
        page.entry & !Flags::HUGE_PAGE.bits()
    } else {
        page.entry
    };
    for slot in &mut memory.table(table).0 {
        *slot = entry;
        entry += step;
    }
    let flags = Flags::PRESENT | Flags::WRITABLE;
    page.set(memory, table | flags.bits());
    Ok(())
}

/// How much memory an entry of this level stands for.
fn span(level: u32) -> u64 {
    PAGE_SIZE << (9 * (level - 1))
}

/// Which entry of a table of this level an address belongs to.
fn index(address: u64, level: u32) -> u64 {
    address / span(level) % ENTRIES
}

/// Fills the entries from `first` on with the pages of `mapping`.
fn set_pages(
    table: &mut Table,
    first: usize,
    level: u32,
    mapping: Mapping,
) -> Result<(), MapError> {
    let huge = if level > 1 {
        Flags::HUGE_PAGE
    } else {
        Flags::empty()
    };
    let span = span(level);
    let count = (mapping.size / span) as usize;
    let mut page = mapping.frame | (mapping.flags | huge).bits();
    for entry in &mut table.0[first..first + count] {
        if *entry != 0 {
            return Err(MapError::Occupied);
        }
        *entry = page;
        page += span;
    }
    Ok(())
}

/// The table that an entry points to, made if there is none. The pages at the end decide what may
/// be done with memory, so tables allow everything.
fn child(memory: &mut impl TableMemory, table: u64, slot: usize) -> Result<u64, MapError> {
    let entry = memory.table(table).0[slot];
    if has(entry, Flags::HUGE_PAGE) {
        return Err(MapError::Occupied);
    }
    if entry != 0 {
        return Ok(entry & ADDRESS);
    }
    let child = memory.allocate().ok_or(MapError::OutOfMemory)?;
    let flags = Flags::PRESENT | Flags::WRITABLE;
    memory.table(table).0[slot] = child | flags.bits();
    Ok(child)
}

#[cfg(test)]
pub(super) mod tests;
