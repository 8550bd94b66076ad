//! The calls `mem_*`: memory on a task's account, shared memory, arenas.
//!
//! There is one address space, so nothing here maps or protects anything. What is real is the accounting: every
//! allocation is known by its address, belongs to a task or an arena, and is freed exactly once.

mod account;
mod address_map;
mod arena;
mod block;
mod heap;
mod spares;

use alloc::rc::Rc;
use core::alloc::Layout;

use abi::Error;
use abi::capability::Kind;
use abi::handle::{Handle, Tag};
use abi::layout::MemoryUsage;
use abi::number::{MEM_EXEC, MEM_PINNED, MEM_READ, MEM_WRITE, MEM_ZEROED};

use crate::failure::{Failure, Outcome};
use crate::object::Object;
use crate::task::Task;

pub(crate) use account::Account;
pub(crate) use arena::Arena;
pub(crate) use heap::{Heap, Shared};

/// The alignment of memory for which no other was asked.
const DEFAULT_ALIGN: usize = 16;
/// Where the flags hold the power of two of an alignment, plus 1.
const ALIGN_SHIFT: u32 = 8;
/// The largest of these powers: 4 KiB.
const MAX_ALIGN_POWER: u32 = 12;

impl Task {
    /// `mem_alloc`: where it is.
    pub fn mem_alloc(&self, bytes: u64, flags: u32) -> Outcome<u64> {
        self.need(Kind::Memory)?;
        let layout = layout_of((1, bytes), (2, flags))?;
        self.program().leaves_enough(layout.size())?;
        let heap = &self.program().heap;
        let address = heap.allocate(&self.account, layout, flags & MEM_ZEROED != 0)?;
        Ok(address as u64)
    }

    /// `mem_free`.
    pub fn mem_free(&self, address: u64) -> Outcome {
        self.need(Kind::Memory)?;
        let freed = self.program().heap.free(address as usize);
        freed.map_err(|error| Failure::of(error, 1, address))
    }

    /// `mem_map`.
    pub fn mem_map(&self, address: u64, bytes: u64, flags: u32) -> Outcome {
        self.need(Kind::Memory)?;
        let heap = &self.program().heap;
        if !heap.contains(address as usize, bytes as usize) {
            return Err(out_of_range(address, bytes));
        }
        if flags & !MEM_PINNED == MEM_READ | MEM_WRITE {
            Ok(())
        } else {
            Err(Failure::of(Error::Unsupported, 3, flags.into()))
        }
    }

    /// `mem_share`.
    pub fn mem_share(&self, address: u64, bytes: u64) -> Outcome<Handle> {
        self.need(Kind::Memory)?;
        let shared = self
            .program()
            .heap
            .share(address as usize, bytes as usize)
            .ok_or(out_of_range(address, bytes))?;
        self.adopt(Object::Shared(Rc::new(shared)))
    }

    /// `mem_unshare`.
    pub fn mem_unshare(&self, handle: Handle) -> Outcome {
        self.need(Kind::Memory)?;
        self.shared_of(handle)?;
        self.close(1, handle, &[Tag::Memory])
    }

    /// `mem_shared`: where it is, and how long.
    pub fn mem_shared(&self, handle: Handle) -> Outcome<(u64, u64)> {
        self.need(Kind::Memory)?;
        Ok(self.shared_of(handle)?.range())
    }

    /// `mem_usage`.
    pub fn mem_usage(&self, handle: Handle) -> Outcome<MemoryUsage> {
        self.need(Kind::Memory)?;
        if handle == Handle::NONE {
            return Ok(self.account.usage());
        }
        Ok(self.task_of(1, handle)?.account.usage())
    }

    /// `mem_set_limit`.
    pub fn mem_set_limit(&self, handle: Handle, bytes: u64) -> Outcome {
        self.need(Kind::Memory)?;
        self.need(Kind::Task)?;
        let other = match handle {
            Handle::NONE => None,
            handle => Some(self.task_of(1, handle)?),
        };
        if other.as_ref().is_some_and(|task| task.status().is_some()) {
            return Err(Failure::of(Error::Closed, 1, handle.to_bits()));
        }
        if bytes > self.account.limit() {
            return Err(Failure::of(Error::Permission, 2, bytes));
        }
        other
            .as_ref()
            .map_or(&self.account, |task| &task.account)
            .set_limit(bytes);
        Ok(())
    }

    /// `mem_arena_create`.
    pub fn mem_arena_create(&self, limit: u64) -> Outcome<Handle> {
        self.need(Kind::Memory)?;
        let arena = Arena::new(&self.program().heap, &self.account, limit);
        self.adopt(Object::Arena(Rc::new(arena)))
    }

    /// `mem_arena_alloc`: where it is.
    pub fn mem_arena_alloc(&self, handle: Handle, bytes: u64, flags: u32) -> Outcome<u64> {
        self.need(Kind::Memory)?;
        let arena = self.arena_of(handle)?;
        let layout = layout_of((2, bytes), (3, flags))?;
        self.program().leaves_enough(layout.size())?;
        Ok(arena.allocate(layout, flags & MEM_ZEROED != 0)? as u64)
    }

    /// `mem_arena_reset`.
    pub fn mem_arena_reset(&self, handle: Handle) -> Outcome {
        self.need(Kind::Memory)?;
        self.arena_of(handle)?.reset();
        Ok(())
    }

    fn shared_of(&self, handle: Handle) -> Outcome<Rc<Shared>> {
        match self.find(1, handle, Tag::Memory)? {
            (_, Object::Shared(shared)) => Ok(shared),
            _ => Err(Failure::invalid(1, handle.to_bits())),
        }
    }

    fn arena_of(&self, handle: Handle) -> Outcome<Rc<Arena>> {
        match self.find(1, handle, Tag::Memory)? {
            (_, Object::Arena(arena)) => Ok(arena),
            _ => Err(Failure::invalid(1, handle.to_bits())),
        }
    }
}

/// What a call asks for: argument number and value of the size and of the flags.
fn layout_of(bytes: (u32, u64), flags: (u32, u32)) -> Outcome<Layout> {
    if flags.1 & MEM_EXEC != 0 {
        return Err(Failure::of(Error::Unsupported, flags.0, flags.1.into()));
    }
    let known = MEM_READ | MEM_WRITE | MEM_ZEROED | MEM_PINNED;
    let align = match (flags.1 & !known) >> ALIGN_SHIFT {
        0 => DEFAULT_ALIGN,
        power => 1 << (power - 1).min(MAX_ALIGN_POWER + 1),
    };
    let stray = flags.1 & !known & !(u32::MAX << ALIGN_SHIFT);
    if stray != 0 || align > 1 << MAX_ALIGN_POWER {
        return Err(Failure::invalid(flags.0, flags.1.into()));
    }
    if bytes.1 == 0 {
        return Err(Failure::invalid(bytes.0, 0));
    }
    let size = heap::whole_granules(bytes.1 as usize);
    let layout = size.and_then(|size| Layout::from_size_align(size, align).ok());
    layout.ok_or(Failure::of(Error::NoMemory, bytes.0, bytes.1))
}

fn out_of_range(address: u64, bytes: u64) -> Failure {
    Failure {
        length: bytes,
        ..Failure::invalid(1, address)
    }
}

#[cfg(test)]
mod tests;
