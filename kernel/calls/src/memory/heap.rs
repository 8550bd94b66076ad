//! What a program has allocated: found by any address inside, freed once.
//!
//! Owns the records of all allocations. Each is charged to a task's [`Account`] for as long as it is there. Those of
//! [`Heap::allocate`] are also in that account's list, which is freed when the task ends; what is shared
//! then stays until it is shared no more. Those of an arena end with the arena. A few small ones that were freed are
//! kept as spares, which nobody can tell from what is not there.

use alloc::rc::Rc;
use core::alloc::Layout;
use core::cell::RefCell;

use abi::Error;

use super::account::Account;
use super::address_map::{AddressMap, Slot};
use super::block::{Block, GRANULE};
use super::spares::Spares;

/// What a program has allocated. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heap(Rc<RefCell<Records>>);

#[derive(Debug, Default)]
struct Records {
    map: AddressMap<Record>,
    spares: Spares,
    /// Bytes of all of them, without the spares.
    bytes: usize,
}

#[derive(Debug)]
struct Record {
    block: Block,
    account: Account,
    life: Life,
    /// Handles that keep it.
    shares: u32,
    /// Its neighbours in the account's list.
    previous: Option<Slot>,
    next: Option<Slot>,
}

/// How an allocation ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    /// By `mem_free` or with its task. In the account's list.
    Listed,
    /// It was freed, and ends with the last handle to it.
    Shared,
    /// With its arena.
    Arena,
    /// It was freed, is charged to nobody, and waits for the next of its size.
    Spare,
}

/// The size that an allocation is charged with, and takes: whole granules. `None`: there can be no such allocation.
pub(super) fn whole_granules(bytes: usize) -> Option<usize> {
    bytes.checked_next_multiple_of(GRANULE)
}

impl Heap {
    /// Memory on an account, which ends with it if not before.
    ///
    /// # Errors
    /// [`Error::NoMemory`]: beyond the account's limit, or memory is short.
    pub(super) fn allocate(
        &self,
        account: &Account,
        layout: Layout,
        zeroed: bool,
    ) -> Result<usize, Error> {
        let mut records = self.0.borrow_mut();
        if !account.affords(layout.size()) {
            return Err(Error::NoMemory);
        }
        let spare = records.take_spare(account, layout, zeroed);
        let (address, slot) = match spare {
            Some(found) => found,
            None => records.add(account, layout, zeroed, Life::Listed)?,
        };
        records.charge(account, layout.size());
        records.list(slot);
        Ok(address)
    }

    /// Memory for an arena, which frees it.
    ///
    /// # Errors
    /// As [`Heap::allocate`].
    pub(super) fn allocate_chunk(&self, account: &Account, layout: Layout) -> Result<usize, Error> {
        if !account.affords(layout.size()) {
            return Err(Error::NoMemory);
        }
        let mut records = self.0.borrow_mut();
        let (address, _) = records.add(account, layout, false, Life::Arena)?;
        records.charge(account, layout.size());
        Ok(address)
    }

    /// Ends an allocation of any task. Where it is shared it stays until it is not.
    ///
    /// # Errors
    /// [`Error::Invalid`]: there is none at that address, or it was freed before, or it is an arena's.
    pub(super) fn free(&self, address: usize) -> Result<(), Error> {
        let mut records = self.0.borrow_mut();
        let slot = records.map.at(address).ok_or(Error::Invalid)?;
        let record = records.map.get(slot).ok_or(Error::Invalid)?;
        if record.life != Life::Listed {
            return Err(Error::Invalid);
        }
        records.end(slot);
        Ok(())
    }

    /// Frees an arena's chunk, which is at that address.
    pub(super) fn free_chunk(&self, address: usize) {
        let mut records = self.0.borrow_mut();
        if let Some(slot) = records.map.at(address) {
            records.remove(slot);
        }
    }

    /// Ends all allocations of an account's list.
    pub(crate) fn free_all(&self, account: &Account) {
        let mut records = self.0.borrow_mut();
        while let Some(first) = account.first() {
            records.end(first);
        }
    }

    /// Bytes of all that is allocated.
    pub(crate) fn bytes(&self) -> usize {
        self.0.borrow().bytes
    }

    /// Whether a range, of at least one byte, lies within one allocation.
    pub(crate) fn contains(&self, address: usize, len: usize) -> bool {
        self.0.borrow().find(address, len).is_some()
    }

    /// Fills a part of an allocation with zeros.
    pub(super) fn clear(&self, address: usize, len: usize) {
        let records = self.0.borrow();
        let found = records.find(address, len);
        if let Some((slot, offset)) = found
            && let Some(record) = records.map.get(slot)
        {
            record.block.clear(offset, len);
        }
    }

    /// Keeps the allocation that a range lies in; `None` where there is none, or it is an arena's.
    pub(super) fn share(&self, address: usize, len: usize) -> Option<Shared> {
        let mut records = self.0.borrow_mut();
        let (slot, _) = records.find(address, len)?;
        let record = records.map.get_mut(slot)?;
        if record.life == Life::Arena {
            return None;
        }
        record.shares = record.shares.checked_add(1)?;
        Some(Shared {
            heap: self.clone(),
            slot,
            address,
            len,
        })
    }
}

#[cfg(test)]
impl Heap {
    /// How many allocations there are.
    pub(crate) fn len(&self) -> usize {
        self.0.borrow().map.len() - self.spares()
    }

    /// How many were freed and are kept.
    pub(crate) fn spares(&self) -> usize {
        let records = self.0.borrow();
        let spares = records
            .map
            .iter()
            .filter(|record| record.life == Life::Spare);
        spares.count()
    }
}

impl Records {
    fn add(
        &mut self,
        account: &Account,
        layout: Layout,
        zeroed: bool,
        life: Life,
    ) -> Result<(usize, Slot), Error> {
        let block = match Block::new(layout, zeroed) {
            Some(block) => block,
            None => {
                self.end_spares();
                Block::new(layout, zeroed).ok_or(Error::NoMemory)?
            }
        };
        let record = Record {
            block,
            account: account.clone(),
            life,
            shares: 0,
            previous: None,
            next: None,
        };
        let address = record.block.address();
        let slot = self.map.insert(address, record);
        let slot = slot.map_err(|_| Error::NoMemory)?;
        Ok((address, slot))
    }

    /// Counts a new one.
    fn charge(&mut self, account: &Account, bytes: usize) {
        account.charge(bytes);
        self.bytes += bytes;
    }

    /// An allocation that was freed, as a new one.
    fn take_spare(
        &mut self,
        account: &Account,
        layout: Layout,
        zeroed: bool,
    ) -> Option<(usize, Slot)> {
        let slot = self.spares.pop(layout)?;
        let record = self.map.get_mut(slot)?;
        record.life = Life::Listed;
        record.account = account.clone();
        if zeroed {
            record.block.clear(0, layout.size());
        }
        Some((record.block.address(), slot))
    }

    /// Gives all spares back to the allocator.
    fn end_spares(&mut self) {
        while let Some(slot) = self.spares.pop_any() {
            self.map.remove(slot);
        }
    }

    /// The allocation that a range lies in, and how far from its start.
    fn find(&self, address: usize, len: usize) -> Option<(Slot, usize)> {
        let (slot, start) = self.map.at_or_below(address)?;
        let record = self.map.get(slot)?;
        let (offset, room) = (address - start, record.block.len());
        let inside = len > 0 && offset < room && len <= room - offset;
        (inside && record.life != Life::Spare).then_some((slot, offset))
    }

    /// Ends one that is listed.
    fn end(&mut self, slot: Slot) {
        self.unlist(slot);
        let Some(record) = self.map.get_mut(slot) else {
            return;
        };
        if record.shares > 0 {
            record.life = Life::Shared;
            return;
        }
        if self.spares.push(record.block.layout(), slot) {
            record.life = Life::Spare;
            record.account.refund(record.block.len());
            self.bytes -= record.block.len();
        } else {
            self.remove(slot);
        }
    }

    /// One handle less.
    fn unshare(&mut self, slot: Slot) {
        let Some(record) = self.map.get_mut(slot) else {
            return;
        };
        record.shares -= 1;
        if record.shares == 0 && record.life == Life::Shared {
            self.remove(slot);
        }
    }

    fn remove(&mut self, slot: Slot) {
        if let Some(record) = self.map.remove(slot) {
            record.account.refund(record.block.len());
            self.bytes -= record.block.len();
        }
    }

    /// Puts a new one at the front of its account's list.
    fn list(&mut self, slot: Slot) {
        let Some(record) = self.map.get_mut(slot) else {
            return;
        };
        let next = record.account.first();
        record.account.set_first(Some(slot));
        record.next = next;
        self.set_previous(next, Some(slot));
    }

    fn unlist(&mut self, slot: Slot) {
        let Some(record) = self.map.get_mut(slot) else {
            return;
        };
        let (previous, next) = (record.previous.take(), record.next.take());
        match previous {
            None => record.account.set_first(next),
            Some(previous) => {
                if let Some(record) = self.map.get_mut(previous) {
                    record.next = next;
                }
            }
        }
        self.set_previous(next, previous);
    }

    fn set_previous(&mut self, slot: Option<Slot>, previous: Option<Slot>) {
        if let Some(record) = slot.and_then(|slot| self.map.get_mut(slot)) {
            record.previous = previous;
        }
    }
}

/// A part of an allocation; all of which stays while this does.
#[derive(Debug)]
pub(crate) struct Shared {
    heap: Heap,
    slot: Slot,
    address: usize,
    len: usize,
}

impl Shared {
    /// Where it is, and how long.
    pub(super) fn range(&self) -> (u64, u64) {
        (self.address as u64, self.len as u64)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.heap.0.borrow_mut().unshare(self.slot);
    }
}
