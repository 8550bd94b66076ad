//! What a task's allocations come to, and where their list begins.

use alloc::rc::Rc;
use core::cell::Cell;

use abi::layout::MemoryUsage;

use super::address_map::Slot;

/// No limit but the machine's.
const UNLIMITED: u64 = u64::MAX;

/// A task's account. Clones are the same one: what is charged to it may outlive the task.
#[derive(Clone, Debug, Default)]
pub(crate) struct Account(Rc<Figures>);

#[derive(Debug)]
struct Figures {
    bytes: Cell<u64>,
    allocations: Cell<u64>,
    limit: Cell<u64>,
    /// The allocation that was made last, of those that end with the task.
    first: Cell<Option<Slot>>,
}

impl Default for Figures {
    fn default() -> Figures {
        Figures {
            bytes: Cell::new(0),
            allocations: Cell::new(0),
            limit: Cell::new(UNLIMITED),
            first: Cell::new(None),
        }
    }
}

impl Account {
    /// Whether there is room for so many bytes more.
    pub(super) fn affords(&self, bytes: usize) -> bool {
        let total = self.0.bytes.get().checked_add(bytes as u64);
        total.is_some_and(|total| total <= self.0.limit.get())
    }

    /// One allocation more.
    pub(super) fn charge(&self, bytes: usize) {
        self.0.bytes.set(self.0.bytes.get() + bytes as u64);
        self.0.allocations.set(self.0.allocations.get() + 1);
    }

    /// One allocation less.
    pub(super) fn refund(&self, bytes: usize) {
        self.0.bytes.set(self.0.bytes.get() - bytes as u64);
        self.0.allocations.set(self.0.allocations.get() - 1);
    }

    /// What it comes to.
    pub(crate) fn usage(&self) -> MemoryUsage {
        MemoryUsage {
            bytes: self.0.bytes.get(),
            allocations: self.0.allocations.get(),
            limit: self.0.limit.get(),
        }
    }

    /// The most bytes from now on.
    pub(crate) fn limit(&self) -> u64 {
        self.0.limit.get()
    }

    pub(crate) fn set_limit(&self, bytes: u64) {
        self.0.limit.set(bytes);
    }

    pub(super) fn first(&self) -> Option<Slot> {
        self.0.first.get()
    }

    pub(super) fn set_first(&self, first: Option<Slot>) {
        self.0.first.set(first);
    }
}
