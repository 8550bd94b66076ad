//! A piece of raw memory from the allocator, given back when it is dropped.
//!
//! Owns the only unsafe code of the calls `mem_*`. What is in a block is the program's: nothing here reads it, and no
//! reference to it is ever made.
#![allow(
    unsafe_code,
    reason = "takes memory from the allocator and gives it back"
)]

use alloc::alloc::{alloc, alloc_zeroed, dealloc};
use core::alloc::Layout;
use core::fmt;
use core::ptr::NonNull;

/// What the size of a block is rounded up to.
pub(crate) const GRANULE: usize = 16;

/// Some memory.
pub(crate) struct Block {
    first: NonNull<u8>,
    layout: Layout,
}

impl Block {
    /// A block of at least one byte; `None` where memory is short.
    pub(crate) fn new(layout: Layout, zeroed: bool) -> Option<Block> {
        if layout.size() == 0 {
            return None;
        }
        // SAFETY: the size is not 0.
        let first = unsafe {
            if zeroed {
                alloc_zeroed(layout)
            } else {
                alloc(layout)
            }
        };
        let block = Block {
            first: NonNull::new(first)?,
            layout,
        };
        // The program gets it as a number and passes it back as one (`user`).
        block.first.expose_provenance();
        Some(block)
    }

    /// Where it begins.
    pub(crate) fn address(&self) -> usize {
        self.first.addr().get()
    }

    /// How many bytes it has.
    pub(crate) fn len(&self) -> usize {
        self.layout.size()
    }

    /// What was asked for.
    pub(crate) fn layout(&self) -> Layout {
        self.layout
    }

    /// Fills a part with zeros.
    ///
    /// # Panics
    /// If it is not a part.
    pub(crate) fn clear(&self, offset: usize, len: usize) {
        assert!(
            offset <= self.len() && len <= self.len() - offset,
            "cleared beyond a block"
        );
        // SAFETY: within the allocation, by the assertion; nobody has a reference to it (module comment).
        unsafe { self.first.add(offset).write_bytes(0, len) };
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: `new` got it with this layout, and a block is dropped once.
        unsafe { dealloc(self.first.as_ptr(), self.layout) };
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}+{:#x}", self.address(), self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_as_asked_for() {
        for align in [1, 16, 4096] {
            let layout = Layout::from_size_align(100, align).unwrap();
            let block = Block::new(layout, true).unwrap();
            assert_eq!((block.address() % align, block.len()), (0, 100));
            block.clear(99, 1);
            block.clear(100, 0);
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "ends when memory is short")]
    fn what_cannot_be_is_no_block() {
        assert!(Block::new(Layout::from_size_align(0, 16).unwrap(), false).is_none());
        let huge = Layout::from_size_align(isize::MAX as usize - 15, 16).unwrap();
        assert!(Block::new(huge, false).is_none());
    }

    #[test]
    #[should_panic(expected = "cleared beyond a block")]
    fn clearing_stays_inside() {
        let block = Block::new(Layout::from_size_align(8, 1).unwrap(), false).unwrap();
        block.clear(8, 1);
    }
}
