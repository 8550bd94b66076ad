//! Tests of the page-frame allocator.

extern crate std;
use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::vec;
use std::vec::Vec;

const MIB: u64 = 1 << 20;

pub(super) fn allocator(ranges: &[(u64, u64)]) -> FrameAllocator {
    let mut ram = RangeSet::new();
    for &(start, end) in ranges {
        ram.insert(Range::new(start, end));
    }
    let records = vec![MaybeUninit::uninit(); FrameAllocator::records_for(&ram)];
    FrameAllocator::new(&ram, records.leak())
}

#[test]
fn every_frame_is_handed_out_once() {
    let mut frames = allocator(&[(0x1000, 0x9f000), (MIB + 0x3000, 5 * MIB)]);
    let total = frames.free_frames();
    let mut seen = BTreeSet::new();
    while let Some(frame) = frames.allocate(1) {
        assert!(seen.insert(frame.address));
        let low = (0x1000..0x9f000).contains(&frame.address);
        let high = (MIB + 0x3000..5 * MIB).contains(&frame.address);
        assert!(low || high);
    }
    assert_eq!(seen.len() as u64, total);
    assert_eq!(frames.free_frames(), 0);
}

#[test]
fn a_machine_with_8_gib_opens_no_record_before_it_must() {
    let mut frames = allocator(&[(MIB, 3 << 30), (4 << 30, 9 << 30)]);
    assert!(frames.extents.iter().all(|extent| extent.opened == 0));
    frames.allocate(1).unwrap();
    let opened: u32 = frames.extents.iter().map(|extent| extent.opened).sum();
    assert_eq!(opened, 1);
}

#[test]
fn large_rows_come_from_whole_chunks_and_give_the_rest_back() {
    let mut frames = allocator(&[(MIB, 64 * MIB)]);
    let row = frames.allocate(513).unwrap();
    assert_eq!(row.address % (2 * MIB), 0);
    let next = frames.allocate(511).unwrap();
    assert_eq!(next.address, row.address + 513 * PAGE_SIZE);
    frames.free(row);
    frames.free(next);
    assert_eq!(frames.count_free(), frames.free_frames());
    assert_eq!(frames.free_frames(), 63 * 256);
}

#[test]
fn memory_above_4_gib_is_reached() {
    let mut frames = allocator(&[(2 * MIB, 4 * MIB), (4 << 30, (4 << 30) + 4 * MIB)]);
    let row = frames.allocate(1024).unwrap();
    assert_eq!(row.address, 4 << 30);
    assert_eq!(frames.allocate(513), None);
    assert_eq!(frames.allocate(512).unwrap().address, 2 * MIB);
}

#[test]
fn says_no_rather_than_going_wrong() {
    let mut frames = allocator(&[(2 * MIB, 4 * MIB)]);
    assert_eq!(frames.allocate(0), None);
    assert_eq!(frames.allocate(u64::MAX), None);
    assert_eq!(frames.allocate(513), None);
    let mut empty = allocator(&[(5, 4000)]);
    assert_eq!(empty.allocate(1), None);
}

#[test]
#[should_panic(expected = "freed twice")]
fn a_double_free_is_caught() {
    let mut frames = allocator(&[(MIB, 4 * MIB)]);
    let row = frames.allocate(4).unwrap();
    frames.free(row);
    frames.free(row);
}

#[test]
#[should_panic(expected = "were allocated here")]
fn a_foreign_frame_is_caught() {
    let mut frames = allocator(&[(MIB, 4 * MIB)]);
    frames.free(FrameRange {
        address: 8 * MIB,
        count: 1,
    });
}

#[test]
fn finds_the_last_gap_however_fragmented() {
    // More chunks than a quick search looks at; fewer under Miri, which is slow.
    let end = if cfg!(miri) { 6 * MIB } else { 66 * MIB };
    let mut frames = allocator(&[(2 * MIB, end)]);
    let all: Vec<_> = core::iter::from_fn(|| frames.allocate(1)).collect();
    let (odd, even): (Vec<_>, Vec<_>) = all.iter().partition(|f| f.address & PAGE_SIZE != 0);
    odd.iter().for_each(|&&frame| frames.free(frame));
    assert_eq!(frames.allocate(2), None);
    frames.free(*even[100]);
    assert_eq!(
        frames.allocate(3).unwrap().address,
        even[100].address - PAGE_SIZE
    );
}

proptest! {
    #![proptest_config(crate::property::cases(256))]

    /// Whatever is allocated and freed, no frame is in two hands and none is lost.
    #[test]
    fn no_frame_is_in_two_hands(steps in prop::collection::vec((any::<bool>(), 1u64..1200, any::<prop::sample::Index>()), 1..80)) {
        let mut frames = allocator(&[(0x1000, 0x9f000), (MIB + 0x5000, 7 * MIB), (9 * MIB, 13 * MIB)]);
        let total = frames.free_frames();
        let mut held: Vec<FrameRange> = Vec::new();
        for (allocate, count, index) in steps {
            if allocate {
                if let Some(new) = frames.allocate(count) {
                    let range = |f: &FrameRange| Range::with_size(f.address, f.bytes());
                    prop_assert!(held.iter().all(|old| !range(old).overlaps(range(&new))));
                    held.push(new);
                }
            } else if !held.is_empty() {
                frames.free(held.swap_remove(index.index(held.len())));
            }
            let used: u64 = held.iter().map(|f| f.count).sum();
            prop_assert_eq!(frames.free_frames(), total - used);
            prop_assert_eq!(frames.count_free(), frames.free_frames());
            prop_assert!(frames.counts_agree());
        }
    }
}
