//! Which parts of a window of addresses are in use: the bookkeeping behind regions.
//!
//! ```
//! use ukernel::memory::address_ranges::AddressRanges;
//! use ukernel::memory::range_set::Range;
//!
//! let mut ranges = AddressRanges::new(Range::new(0x10_0000, 0x20_0000));
//! let range = ranges.reserve(0x3000, "stack").unwrap();
//! assert_eq!(ranges.find(range.start + 5), Some((range, &"stack")));
//! assert_eq!(ranges.release(range.start), Some("stack"));
//! assert_eq!(ranges.find(range.start), None);
//! ```

use super::range_set::Range;
use alloc::collections::BTreeMap;

/// Reserved ranges of a window, each with a note of type `T`. Reserving takes a number of steps that grows with the
/// number of gaps between them, all else with its logarithm.
#[derive(Debug)]
pub struct AddressRanges<T> {
    window: Range,
    /// By first address: the end, and the note.
    reserved: BTreeMap<u64, (u64, T)>,
    /// What lies between reserved ranges, by first address, with its end. No two touch.
    gaps: BTreeMap<u64, u64>,
    /// Nothing is reserved from here on, and what is right below it is.
    end: u64,
}

impl<T> AddressRanges<T> {
    /// A window with nothing reserved.
    pub const fn new(window: Range) -> AddressRanges<T> {
        AddressRanges {
            window,
            reserved: BTreeMap::new(),
            gaps: BTreeMap::new(),
            end: window.start,
        }
    }

    /// Reserves the lowest gap of `size` addresses. `None` where there is none, or `size` is zero.
    pub fn reserve(&mut self, size: u64, note: T) -> Option<Range> {
        if size == 0 {
            return None;
        }
        let gap = self.gaps.iter().find(|(start, end)| *end - *start >= size);
        let range = match gap {
            Some((&start, &end)) => {
                self.gaps.remove(&start);
                if end - start > size {
                    self.gaps.insert(start + size, end);
                }
                Range::with_size(start, size)
            }
            None => {
                let end = self.end.checked_add(size);
                let end = end.filter(|end| *end <= self.window.end)?;
                Range::new(core::mem::replace(&mut self.end, end), end)
            }
        };
        self.reserved.insert(range.start, (range.end, note));
        Some(range)
    }

    /// Gives the range that begins at `start` back; answers its note, or `None` where none does.
    pub fn release(&mut self, start: u64) -> Option<T> {
        let (end, note) = self.reserved.remove(&start)?;
        self.widen(Range::new(start, end));
        Some(note)
    }

    /// Adds to the gaps, and joins those that touch.
    fn widen(&mut self, mut gap: Range) {
        if let Some((&start, _)) = self
            .gaps
            .range(..gap.start)
            .next_back()
            .filter(|below| *below.1 == gap.start)
        {
            self.gaps.remove(&start);
            gap.start = start;
        }
        if let Some(end) = self.gaps.remove(&gap.end) {
            gap.end = end;
        }
        if gap.end == self.end {
            self.end = gap.start;
        } else {
            self.gaps.insert(gap.start, gap.end);
        }
    }

    /// The reserved range that `address` lies in.
    pub fn find(&self, address: u64) -> Option<(Range, &T)> {
        let (&start, (end, note)) = self.reserved.range(..=address).next_back()?;
        (address < *end).then(|| (Range::new(start, *end), note))
    }

    /// How many ranges are reserved.
    pub fn len(&self) -> usize {
        self.reserved.len()
    }

    /// Whether nothing is reserved.
    pub fn is_empty(&self) -> bool {
        self.reserved.is_empty()
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    #[test]
    fn a_gap_is_used_again() {
        let mut ranges = AddressRanges::new(Range::new(100, 200));
        let first = ranges.reserve(30, ()).unwrap();
        ranges.reserve(30, ()).unwrap();
        ranges.release(first.start).unwrap();
        assert_eq!(ranges.reserve(31, ()).unwrap(), Range::new(160, 191));
        assert_eq!(ranges.reserve(30, ()).unwrap(), first);
        assert_eq!(ranges.reserve(10, ()), None);
        assert_eq!(ranges.reserve(9, ()).unwrap(), Range::new(191, 200));
    }

    #[test]
    fn gaps_that_touch_become_one() {
        let mut ranges = AddressRanges::new(Range::new(0, 100));
        let starts = [0; 5].map(|_| ranges.reserve(10, ()).unwrap().start);
        for start in [starts[1], starts[3], starts[2]] {
            ranges.release(start).unwrap();
        }
        assert_eq!(ranges.gaps.len(), 1);
        assert_eq!(ranges.reserve(30, ()).unwrap().start, starts[1]);
        assert!(ranges.gaps.is_empty());
        for start in [starts[1], starts[0], starts[4]] {
            ranges.release(start).unwrap();
        }
        assert_eq!(ranges.reserve(100, ()).unwrap(), Range::new(0, 100));
    }

    #[test]
    fn impossible_sizes_are_refused() {
        let mut ranges = AddressRanges::new(Range::new(100, 200));
        assert_eq!(ranges.reserve(0, ()), None);
        assert_eq!(ranges.reserve(u64::MAX, ()), None);
        assert!(ranges.is_empty());
    }

    proptest! {
        #![proptest_config(crate::property::cases(256))]

        #[test]
        fn ranges_are_disjoint_and_found(steps in prop::collection::vec((any::<bool>(), 1u64..16, any::<prop::sample::Index>()), 1..30)) {
            let mut ranges = AddressRanges::new(Range::new(1000, 1100));
            let mut held: Vec<(Range, usize)> = Vec::new();
            for (number, (reserve, size, index)) in steps.into_iter().enumerate() {
                if reserve {
                    if let Some(range) = ranges.reserve(size, number) {
                        prop_assert!(held.iter().all(|(old, _)| !old.overlaps(range)));
                        let fits = |start: &u64| held.iter().all(|(old, _)| !old.overlaps(Range::with_size(*start, size)));
                        prop_assert_eq!((1000..1100).find(fits), Some(range.start));
                        held.push((range, number));
                    }
                } else if !held.is_empty() {
                    let (range, note) = held.swap_remove(index.index(held.len()));
                    prop_assert_eq!(ranges.release(range.start), Some(note));
                }
                prop_assert_eq!(ranges.len(), held.len());
                for address in 990..1110 {
                    let expected = held.iter().find(|(range, _)| range.contains(address));
                    let found = ranges.find(address).map(|(range, note)| (range, *note));
                    prop_assert_eq!(found, expected.copied());
                }
            }
        }
    }
}
