//! Which memory a program may name in its calls.
#![allow(unsafe_code, reason = "says which addresses may be dereferenced")]

use alloc::vec::Vec;

use calls::user::AddressSpace;

use super::ground::Running;
use crate::memory::range_set::Range;
use crate::memory::{self, PAGE_SIZE, region};

/// With so many times as many free frames as are wanted, enough of them are neighbours.
const FRAGMENTED: u64 = 4;

/// The image without the kernel's stacks and tables, and the stacks of the program's tasks. What the program allocates
/// `calls` knows by itself; the rest of the heap is the kernel's.
pub(super) struct Guest;

// SAFETY: the image stays mapped, and so does a region that says it is backed, until it is dropped; a stack is dropped
// when its task is over, and the program's part of the promise is not to pass on pointers to one (the header).
unsafe impl AddressSpace for Guest {
    fn allows(&self, address: usize, len: usize, write: bool) -> bool {
        let range = Range::with_size(address as u64, len as u64);
        let own_stack = Running::current().is_some_and(|running| {
            let stack = running.stack();
            stack.start as u64 <= range.start && range.end <= stack.end as u64
        });
        own_stack || memory::may_touch(range, write) || region::may_touch(range, write)
    }

    /// Asks the frames first, which costs nothing, and else the heap, which may be fragmented: by taking it.
    fn has_room(&self, bytes: usize, _: usize) -> bool {
        let frames = memory::frame_stats().free;
        let of_heap = || Vec::<u8>::new().try_reserve_exact(bytes).is_ok();
        frames / FRAGMENTED >= (bytes as u64).div_ceil(PAGE_SIZE) || of_heap()
    }
}
