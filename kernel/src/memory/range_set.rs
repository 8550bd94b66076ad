//! A set of addresses as disjoint ranges: how the memory map is turned into the RAM that the kernel
//! may use. Works before there is a heap, in a fixed amount of memory; `boot` fills it, `memory`
//! takes pieces out of it.
//!
//! ```
//! use ukernel::memory::range_set::{Range, RangeSet};
//!
//! let mut ram = RangeSet::new();
//! ram.insert(Range::new(0x10_0000, 0x80_0000));
//! ram.remove(Range::new(0x20_0000, 0x30_0000));
//! assert_eq!(ram.as_slice().len(), 2);
//! assert_eq!(ram.total(), 0x60_0000);
//! ```

/// How many ranges a set holds. Virtual machines have two to four stretches of RAM, and a module
/// splits one. What no longer fits is left out, so that RAM is lost but never handed out wrongly.
pub const MAX_RANGES: usize = 16;

/// The addresses from `start` to before `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first address.
    pub start: u64,
    /// The address behind the last one; not below `start`.
    pub end: u64,
}

impl Range {
    /// The range from `start` to before `end`; empty where `end` is not above `start`.
    pub const fn new(start: u64, end: u64) -> Range {
        let end = if end < start { start } else { end };
        Range { start, end }
    }

    /// The `size` addresses from `start` on, as far as the address space goes.
    pub const fn with_size(start: u64, size: u64) -> Range {
        Range::new(start, start.saturating_add(size))
    }

    /// How many addresses there are.
    pub const fn size(self) -> u64 {
        self.end - self.start
    }

    /// Whether there is no address in it.
    pub const fn is_empty(self) -> bool {
        self.end == self.start
    }

    /// Whether some address is in both.
    pub const fn overlaps(self, other: Range) -> bool {
        self.start < other.end && other.start < self.end
    }

    /// Whether all of `other`'s addresses are in it.
    pub const fn covers(self, other: Range) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    /// Whether `address` is in it.
    pub const fn contains(self, address: u64) -> bool {
        self.start <= address && address < self.end
    }

    /// The whole units of `alignment` (a power of two) that lie inside.
    pub const fn shrink_to(self, alignment: u64) -> Range {
        let mask = alignment - 1;
        Range::new(self.start.saturating_add(mask) & !mask, self.end & !mask)
    }

    /// The whole units of `alignment` (a power of two) that it touches.
    pub const fn grow_to(self, alignment: u64) -> Range {
        let mask = alignment - 1;
        Range::new(self.start & !mask, self.end.saturating_add(mask) & !mask)
    }
}

/// Disjoint, non-empty ranges in ascending order; neighbours that touch are one range.
#[derive(Clone, Debug)]
pub struct RangeSet {
    ranges: [Range; MAX_RANGES],
    len: usize,
    dropped: u32,
}

impl Default for RangeSet {
    fn default() -> RangeSet {
        RangeSet::new()
    }
}

impl RangeSet {
    /// The empty set.
    pub const fn new() -> RangeSet {
        RangeSet {
            ranges: [Range { start: 0, end: 0 }; MAX_RANGES],
            len: 0,
            dropped: 0,
        }
    }

    /// The ranges, in ascending order.
    pub fn as_slice(&self) -> &[Range] {
        &self.ranges[..self.len]
    }

    /// How many addresses are in the set.
    pub fn total(&self) -> u64 {
        self.as_slice().iter().map(|range| range.size()).sum()
    }

    /// How many times a range was left out because the set was full.
    pub fn dropped(&self) -> u32 {
        self.dropped
    }

    /// Whether some address of `range` is in the set.
    pub fn overlaps(&self, range: Range) -> bool {
        self.as_slice().iter().any(|known| known.overlaps(range))
    }

    /// Whether all addresses of `range`, which has some, are in the set.
    pub fn covers(&self, range: Range) -> bool {
        self.as_slice().iter().any(|known| known.covers(range))
    }

    /// Adds the addresses of `range`. In a full set a range that touches no other is left out.
    pub fn insert(&mut self, mut range: Range) {
        if range.is_empty() {
            return;
        }
        let first = self.count_while(|known| known.end < range.start);
        let past = self.count_while(|known| known.start <= range.end);
        if first < past {
            range.start = range.start.min(self.ranges[first].start);
            range.end = range.end.max(self.ranges[past - 1].end);
        }
        self.replace(first, past, &[range]);
    }

    /// Takes the addresses of `range` out. Where that splits a range of a full set, the upper part
    /// is lost as well.
    pub fn remove(&mut self, range: Range) {
        if range.is_empty() {
            return;
        }
        let first = self.count_while(|known| known.end <= range.start);
        let past = self.count_while(|known| known.start < range.end);
        if first >= past {
            return;
        }
        let below = Range::new(self.ranges[first].start, range.start);
        let above = Range::new(range.end, self.ranges[past - 1].end);
        match (below.is_empty(), above.is_empty()) {
            (true, true) => self.replace(first, past, &[]),
            (false, true) => self.replace(first, past, &[below]),
            (true, false) => self.replace(first, past, &[above]),
            (false, false) => self.replace(first, past, &[below, above]),
        }
    }

    /// How many ranges from the front on satisfy `condition`.
    fn count_while(&self, condition: impl Fn(&Range) -> bool) -> usize {
        self.as_slice().iter().take_while(|r| condition(r)).count()
    }

    /// Puts `new` in the place of the ranges from `first` to before `past`, dropping what no longer
    /// fits at the end of `new`.
    fn replace(&mut self, first: usize, past: usize, new: &[Range]) {
        let room = MAX_RANGES - (self.len - (past - first));
        let kept = &new[..new.len().min(room)];
        self.dropped += (new.len() - kept.len()) as u32;
        self.ranges.copy_within(past..self.len, first + kept.len());
        self.ranges[first..first + kept.len()].copy_from_slice(kept);
        self.len = self.len - (past - first) + kept.len();
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    #[test]
    fn aligns_towards_the_side_asked_for() {
        let range = Range::new(0x1001, 0x4fff);
        assert_eq!(range.shrink_to(0x1000), Range::new(0x2000, 0x4000));
        assert_eq!(range.grow_to(0x1000), Range::new(0x1000, 0x5000));
        assert!(Range::new(0x1001, 0x1fff).shrink_to(0x1000).is_empty());
    }

    #[test]
    fn a_range_ends_at_the_top_of_the_address_space() {
        let range = Range::with_size(u64::MAX - 10, 100);
        assert_eq!(range.end, u64::MAX);
        assert_eq!(range.shrink_to(0x1000).size(), 0);
    }

    #[test]
    fn a_range_is_covered_by_one_that_has_all_of_it() {
        let mut set = RangeSet::new();
        set.insert(Range::new(100, 200));
        set.insert(Range::new(200, 300));
        set.insert(Range::new(400, 500));
        for (start, end, covered) in [(100, 300, true), (199, 201, true), (99, 101, false)] {
            assert_eq!(set.covers(Range::new(start, end)), covered, "{start}");
        }
        assert!(!set.covers(Range::new(250, 450)));
    }

    #[test]
    fn a_full_set_loses_memory_and_invents_none() {
        let mut set = RangeSet::new();
        for i in 0..MAX_RANGES as u64 {
            set.insert(Range::with_size(i * 100, 50));
        }
        set.insert(Range::with_size(1_000_000, 50));
        assert_eq!(set.dropped(), 1);
        assert_eq!(set.total(), MAX_RANGES as u64 * 50);

        set.remove(Range::with_size(10, 5));
        assert_eq!(set.as_slice()[0], Range::new(0, 10));
        assert_eq!(set.as_slice()[1], Range::new(100, 150));
        assert_eq!(set.dropped(), 2);
    }

    proptest! {
        #![proptest_config(crate::property::cases(256))]

        /// The set against a row of booleans.
        #[test]
        fn behaves_as_a_set(steps in prop::collection::vec((any::<bool>(), 0u64..120, 0u64..40), 0..60)) {
            let mut set = RangeSet::new();
            let mut model = [false; 200];
            for (add, start, size) in steps {
                let range = Range::with_size(start, size);
                if add { set.insert(range) } else { set.remove(range) }
                model[start as usize..(start + size) as usize].fill(add);
            }
            let members: Vec<u64> = (0..200).filter(|&a| model[a as usize]).collect();
            let found: Vec<u64> = set.as_slice().iter().flat_map(|r| r.start..r.end).collect();
            prop_assert_eq!(members, found);
            prop_assert!(set.as_slice().windows(2).all(|w| w[0].end < w[1].start));
            prop_assert!(set.as_slice().iter().all(|r| !r.is_empty()));
        }
    }
}
