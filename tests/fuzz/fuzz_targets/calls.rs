//! Random calls of a foreign program, against a model; and whatever they take is given back.

#![no_main]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use libfuzzer_sys::fuzz_target;

/// The system's allocator, and how many bytes are in use.
struct Counting;

static USED: AtomicUsize = AtomicUsize::new(0);

// SAFETY: all of it is the system allocator's; the count is beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's contract.
        let memory = unsafe { System.alloc(layout) };
        if !memory.is_null() {
            USED.fetch_add(layout.size(), Relaxed);
        }
        memory
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        USED.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's contract.
        unsafe { System.dealloc(memory, layout) };
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fuzz_target!(|bytes: &[u8]| {
    let before = USED.load(Relaxed);
    calls::testing::exercise(bytes);
    assert_eq!(USED.load(Relaxed), before, "memory was kept");
});
