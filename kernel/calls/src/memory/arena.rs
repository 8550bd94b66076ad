//! Allocations that are freed together: each is the next piece of a chunk.

use alloc::vec::Vec;
use core::alloc::Layout;
use core::cell::{Cell, RefCell};

use abi::Error;

use super::account::Account;
use super::block::GRANULE;
use super::heap::{Heap, whole_granules};

/// Bytes of an arena's first chunk; each further one is twice as long as the one before, up to [`LAST_CHUNK`].
const FIRST_CHUNK: usize = 4 << 10;
/// Bytes of the longest chunks, but for allocations that are longer.
const LAST_CHUNK: usize = 1 << 20;

/// An arena. Its chunks are on the account of the task that made it; dropping it frees them.
pub(crate) struct Arena {
    heap: Heap,
    account: Account,
    /// The most bytes that its allocations may come to, each in whole granules.
    limit: u64,
    used: Cell<u64>,
    /// Where the chunks are.
    chunks: RefCell<Vec<usize>>,
    /// What is left of the last one.
    rest: Cell<Rest>,
}

/// A range that nobody has yet.
#[derive(Clone, Copy, Default)]
struct Rest {
    start: usize,
    end: usize,
}

impl Rest {
    /// Cuts a piece off; `None` where it is too short.
    fn cut(&mut self, layout: Layout) -> Option<usize> {
        let start = self.start.checked_next_multiple_of(layout.align())?;
        let end = start.checked_add(layout.size())?;
        if self.start == 0 || end > self.end {
            return None;
        }
        self.start = end;
        Some(start)
    }
}

impl Arena {
    pub(super) fn new(heap: &Heap, account: &Account, limit: u64) -> Arena {
        Arena {
            heap: heap.clone(),
            account: account.clone(),
            limit: if limit == 0 { u64::MAX } else { limit },
            used: Cell::new(0),
            chunks: RefCell::default(),
            rest: Cell::default(),
        }
    }

    /// The next piece of memory.
    ///
    /// # Errors
    /// [`Error::NoMemory`]: beyond its limit or the account's, or memory is short.
    pub(super) fn allocate(&self, layout: Layout, zeroed: bool) -> Result<usize, Error> {
        let used = self.used.get().saturating_add(layout.size() as u64);
        if used > self.limit {
            return Err(Error::NoMemory);
        }
        let address = match self.cut(layout) {
            Some(address) => address,
            None => {
                self.grow(layout)?;
                self.cut(layout).ok_or(Error::NoMemory)?
            }
        };
        self.used.set(used);
        if zeroed {
            self.heap.clear(address, layout.size());
        }
        Ok(address)
    }

    fn cut(&self, layout: Layout) -> Option<usize> {
        let mut rest = self.rest.get();
        let address = rest.cut(layout)?;
        self.rest.set(rest);
        Some(address)
    }

    /// Gets a chunk that this piece fits into: a long one if there is room for it, else one just for it.
    fn grow(&self, layout: Layout) -> Result<(), Error> {
        let mut chunks = self.chunks.borrow_mut();
        chunks.try_reserve(1).map_err(|_| Error::NoMemory)?;
        let doublings = chunks
            .len()
            .min((LAST_CHUNK / FIRST_CHUNK).ilog2() as usize);
        let left = self.limit - self.used.get();
        let len = (FIRST_CHUNK << doublings).min(usize::try_from(left).unwrap_or(usize::MAX));
        let (address, len) = self
            .chunk(len.max(layout.size()), layout.align())
            .or_else(|_| self.chunk(layout.size(), layout.align()))?;
        chunks.push(address);
        self.rest.set(Rest {
            start: address,
            end: address + len,
        });
        Ok(())
    }

    fn chunk(&self, len: usize, align: usize) -> Result<(usize, usize), Error> {
        let len = whole_granules(len).ok_or(Error::NoMemory)?;
        let layout = Layout::from_size_align(len, align.max(GRANULE));
        let layout = layout.map_err(|_| Error::NoMemory)?;
        let address = self.heap.allocate_chunk(&self.account, layout)?;
        Ok((address, len))
    }

    /// Frees everything.
    pub(super) fn reset(&self) {
        self.rest.take();
        self.used.set(0);
        for chunk in self.chunks.take() {
            self.heap.free_chunk(chunk);
        }
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        self.reset();
    }
}
