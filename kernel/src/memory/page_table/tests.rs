//! The page tables on a host, against what the processor would find in them.

extern crate std;
use super::*;
use proptest::prelude::*;
use std::boxed::Box;
use std::vec::Vec;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Tables on the host's heap; table number n has the address n * 4096, from 1 on.
pub(in super::super) struct FakeTables {
    tables: Vec<Box<Table>>,
    limit: usize,
}

impl TableMemory for FakeTables {
    fn allocate(&mut self) -> Option<u64> {
        if self.tables.len() == self.limit {
            return None;
        }
        self.tables.push(Box::new(Table::new()));
        Some(self.tables.len() as u64 * PAGE_SIZE)
    }

    fn table(&mut self, address: u64) -> &mut Table {
        &mut self.tables[(address / PAGE_SIZE) as usize - 1]
    }
}

/// An address space whose tables are at most `limit`, its root among them.
pub(in super::super) fn space(limit: usize, gigabyte_pages: bool) -> (FakeTables, AddressSpace) {
    let mut memory = FakeTables {
        tables: Vec::new(),
        limit,
    };
    let space = AddressSpace::new(&mut memory, gigabyte_pages).unwrap();
    (memory, space)
}

/// What may be done with what is at an address.
pub(in super::super) fn access(
    space: &AddressSpace,
    memory: &mut FakeTables,
    address: u64,
) -> Option<Access> {
    let page = space.find(memory, address).ok()?;
    let kinds = [Access::Read, Access::Write, Access::Execute, Access::Device];
    let flags = Flags::from_bits_truncate(page.entry & !ADDRESS) - Flags::HUGE_PAGE;
    kinds.into_iter().find(|access| access.flags() == flags)
}

#[test]
fn maps_what_is_asked_and_nothing_beside_it() {
    let (mut memory, space) = space(16, true);
    let range = Range::new(0x3000, 5 * MIB + 0x1000);
    space
        .map(&mut memory, range, 0x3000, Access::Write)
        .unwrap();
    for address in [0x3000, 0x3fff, 2 * MIB, 4 * MIB - 1, 5 * MIB + 0xfff] {
        assert_eq!(space.translate(&mut memory, address), Some(address));
    }
    for address in [0, 0x2fff, 5 * MIB + 0x1000, GIB, ADDRESS_LIMIT, u64::MAX] {
        assert_eq!(space.translate(&mut memory, address), None);
    }
}

#[test]
fn large_pages_keep_the_tables_few() {
    let (mut memory, large) = space(64, true);
    let ram = Range::new(4 * GIB, 12 * GIB);
    large.map(&mut memory, ram, 4 * GIB, Access::Write).unwrap();
    assert_eq!(memory.tables.len(), 2);

    let (mut memory, small) = space(64, false);
    small.map(&mut memory, ram, 4 * GIB, Access::Write).unwrap();
    assert_eq!(memory.tables.len(), 2 + 8);
    assert_eq!(small.translate(&mut memory, 9 * GIB + 5), Some(9 * GIB + 5));
}

#[test]
fn addresses_and_frames_may_differ() {
    let (mut memory, space) = space(16, true);
    let range = Range::new(16 * GIB, 16 * GIB + 4 * MIB);
    space.map(&mut memory, range, 0x7000, Access::Read).unwrap();
    let found = space.translate(&mut memory, 16 * GIB + 3 * MIB + 1);
    assert_eq!(found, Some(0x7000 + 3 * MIB + 1));
}

#[test]
fn no_access_both_writes_and_executes() {
    for access in [Access::Read, Access::Write, Access::Execute, Access::Device] {
        let flags = access.flags();
        let executes = !flags.contains(Flags::NO_EXECUTE);
        assert!(!(executes && flags.contains(Flags::WRITABLE)), "{access:?}");
    }
    assert!(Access::Device.flags().contains(Flags::NO_CACHE));
}

#[test]
fn says_why_not() {
    let (mut memory, space) = space(4, true);
    let page = Range::new(0x5000, 0x6000);
    let mut map = |range, frame| space.map(&mut memory, range, frame, Access::Write);
    assert_eq!(map(page, 0x5000), Ok(()));
    assert_eq!(map(page, 0x5000), Err(MapError::Occupied));
    assert_eq!(map(page, 0x5001), Err(MapError::BadAddress));
    assert_eq!(
        map(Range::new(ADDRESS_LIMIT, ADDRESS_LIMIT + 0x1000), 0),
        Err(MapError::BadAddress)
    );
    assert_eq!(map(Range::new(2 * MIB, 4 * MIB), 2 * MIB), Ok(()));
    assert_eq!(
        map(Range::new(2 * MIB, 2 * MIB + 0x1000), 0),
        Err(MapError::Occupied)
    );
    assert_eq!(
        map(Range::new(512 * GIB, 512 * GIB + 0x1000), 0),
        Err(MapError::OutOfMemory)
    );
}

#[test]
fn pages_come_and_go_one_by_one() {
    let (mut memory, space) = space(8, true);
    let range = Range::new(GIB, GIB + 0x3000);
    space
        .map(&mut memory, range, 0x9000, Access::Write)
        .unwrap();
    let middle = GIB + 0x1000;
    assert_eq!(space.unmap_page(&mut memory, middle), Ok(Some(0xa000)));
    assert_eq!(space.unmap_page(&mut memory, middle), Ok(None));
    assert_eq!(space.translate(&mut memory, middle), None);
    assert_eq!(
        space.protect_page(&mut memory, middle, Access::Read),
        Ok(false)
    );
    assert_eq!(space.protect_page(&mut memory, GIB, Access::Read), Ok(true));
    let entry = space.find(&mut memory, GIB).unwrap().entry;
    assert!(!has(entry, Flags::WRITABLE));
    assert!(has(entry, Flags::NO_EXECUTE));
}

#[test]
fn a_large_page_is_broken_up_around_a_small_one() {
    let (mut memory, space) = space(4, true);
    space
        .map(&mut memory, Range::new(GIB, 2 * GIB), GIB, Access::Write)
        .unwrap();
    let hole = GIB + 5 * MIB;
    assert_eq!(space.unmap_page(&mut memory, hole), Ok(Some(hole)));
    assert_eq!(space.translate(&mut memory, hole), None);
    for near in [GIB, hole - 1, hole + 0x1000, 2 * GIB - 1] {
        assert_eq!(space.translate(&mut memory, near), Some(near));
    }
    let page = space.find(&mut memory, hole + 0x1000).unwrap();
    assert_eq!(page.size, PAGE_SIZE);
    assert!(has(page.entry, Flags::NO_EXECUTE) && has(page.entry, Flags::WRITABLE));
    // There is no frame for another table.
    let elsewhere = GIB + 100 * MIB;
    assert_eq!(
        space.unmap_page(&mut memory, elsewhere),
        Err(MapError::OutOfMemory)
    );
    assert_eq!(space.translate(&mut memory, elsewhere), Some(elsewhere));
}

#[test]
fn gaps_are_skipped_table_by_table() {
    let (mut memory, space) = space(16, true);
    let all = Range::new(0, ADDRESS_LIMIT);
    assert_eq!(space.first_mapped(&mut memory, all), None);
    for page in [GIB - 0x1000, GIB + 0x5000, 600 * GIB] {
        let range = Range::with_size(page, PAGE_SIZE);
        space
            .map(&mut memory, range, 0x8000, Access::Write)
            .unwrap();
    }
    let mut found = Vec::new();
    while let Some(page) = space.first_mapped(&mut memory, all) {
        found.push(page);
        space.unmap_page(&mut memory, page).unwrap();
    }
    assert_eq!(found, [GIB - 0x1000, GIB + 0x5000, 600 * GIB]);
    let within = Range::new(GIB, GIB + 0x5000);
    assert_eq!(space.first_mapped(&mut memory, within), None);
}

proptest! {
    #![proptest_config(crate::property::cases(128))]

    /// A page of the range leads to its frame, and the pages around the range lead nowhere.
    #[test]
    fn every_page_leads_to_its_frame(first in 0u64..3000, count in 1u64..2000, shift in 0u64..1200, probe in any::<prop::sample::Index>()) {
        let (mut memory, space) = space(32, true);
        let range = Range::with_size(first * PAGE_SIZE, count * PAGE_SIZE);
        let frame = range.start + shift * PAGE_SIZE;
        space.map(&mut memory, range, frame, Access::Write).unwrap();
        let offset = probe.index(range.size() as usize) as u64;
        prop_assert_eq!(space.translate(&mut memory, range.start + offset), Some(frame + offset));
        prop_assert_eq!(space.translate(&mut memory, range.end), None);
        prop_assert_eq!(space.translate(&mut memory, range.start.wrapping_sub(1)), None);
    }
}
