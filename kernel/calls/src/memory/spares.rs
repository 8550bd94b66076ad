//! Which freed allocations are kept for the next one of their size: most programs ask for the sizes that they have just
//! freed, and to take a block from the allocator and to find a place for its record is half of an allocation's cost.
//!
//! Knows places of records and sizes, nothing else; `heap` says what becomes of them.

use core::alloc::Layout;

use super::address_map::Slot;
use super::block::GRANULE;

/// The largest blocks of any size that are kept, in granules.
const MAX_GRANULES: usize = 32;
/// Beyond, these are kept: what programs use as buffers. Larger ones cost more than their allocation wherever they are
/// used, and their memory may be wanted elsewhere.
const LARGE: [usize; 3] = [1024, 2048, 4096];
/// How many of a size are kept; with all sizes, at most 122 KiB. What is freed beyond goes back to the allocator.
const MAX_SPARES: usize = 8;

/// Spare blocks by size.
#[derive(Debug)]
pub(super) struct Spares([Stack; MAX_GRANULES + LARGE.len()]);

/// Those of one size, the last one freed last.
#[derive(Clone, Copy, Debug)]
struct Stack {
    slots: [Slot; MAX_SPARES],
    count: usize,
}

impl Default for Spares {
    fn default() -> Spares {
        let slots = [Slot::default(); MAX_SPARES];
        Spares([Stack { slots, count: 0 }; MAX_GRANULES + LARGE.len()])
    }
}

impl Spares {
    /// Keeps what is in a place. False where enough of that size is kept, or it is too large, or aligned in a way that
    /// few ask for.
    pub(super) fn push(&mut self, layout: Layout, slot: Slot) -> bool {
        let Some(stack) = self.of(layout) else {
            return false;
        };
        let Some(place) = stack.slots.get_mut(stack.count) else {
            return false;
        };
        *place = slot;
        stack.count += 1;
        true
    }

    /// One that has this layout.
    pub(super) fn pop(&mut self, layout: Layout) -> Option<Slot> {
        let stack = self.of(layout)?;
        stack.count = stack.count.checked_sub(1)?;
        stack.slots.get(stack.count).copied()
    }

    /// Any of them.
    pub(super) fn pop_any(&mut self) -> Option<Slot> {
        let stack = self.0.iter_mut().find(|stack| stack.count > 0)?;
        stack.count -= 1;
        stack.slots.get(stack.count).copied()
    }

    fn of(&mut self, layout: Layout) -> Option<&mut Stack> {
        let granules = layout.size() / GRANULE;
        let large = || LARGE.iter().position(|&size| size == layout.size());
        let index = match granules {
            _ if layout.align() != GRANULE || !layout.size().is_multiple_of(GRANULE) => None,
            1..=MAX_GRANULES => Some(granules - 1),
            _ => large().map(|number| MAX_GRANULES + number),
        };
        self.0.get_mut(index?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, GRANULE).unwrap()
    }

    #[test]
    fn what_was_freed_last_comes_first_and_only_for_its_size() {
        let mut spares = Spares::default();
        let [a, b, c] = [1, 2, 3].map(Slot::number);
        assert!(spares.push(layout(64), a) && spares.push(layout(64), b));
        assert!(spares.push(layout(80), c));
        assert_eq!(spares.pop(layout(48)), None);
        let found = [64, 64, 64, 80, 80].map(|size| spares.pop(layout(size)));
        assert_eq!(found, [Some(b), Some(a), None, Some(c), None]);
        assert_eq!(spares.pop_any(), None);
    }

    #[test]
    fn few_are_kept_and_none_that_is_large_or_odd() {
        let mut spares = Spares::default();
        let slot = Slot::number(7);
        for size in [16, 512, 4096] {
            let kept = (0..20).filter(|_| spares.push(layout(size), slot));
            assert_eq!(kept.count(), MAX_SPARES);
        }
        let page = Layout::from_size_align(64, 4096).unwrap();
        let odd = Layout::from_size_align(60, GRANULE).unwrap();
        for other in [layout(0), layout(528), layout(8192), page, odd] {
            assert!(!spares.push(other, slot) && spares.pop(other).is_none());
        }
        let all = core::iter::from_fn(|| spares.pop_any());
        assert_eq!(all.count(), 3 * MAX_SPARES);
    }
}
