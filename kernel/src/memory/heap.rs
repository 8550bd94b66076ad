//! The heap: talc over frames, taken as the heap needs them and kept. Every allocation of the kernel
//! and of the workload comes through here.
//!
//! A failed allocation is an error to whoever asked with `try_reserve`. Where the caller cannot be
//! told, `alloc` panics; the panic handler asks [`failed_allocation`] and ends the machine with the
//! status for exhausted memory.
#![allow(
    unsafe_code,
    reason = "implements the global allocator and hands frames to talc"
)]

use super::{PAGE_SIZE, allocate_frames};
use core::alloc::{GlobalAlloc, Layout};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use talc::TalcLock;
use talc::base::Talc;
use talc::base::binning::Binning;
use talc::lock_api::{GuardSend, RawMutex};
use talc::source::Source;

/// The least that the heap grows by, in bytes: growing costs about a thousand instructions, and a
/// machine of 4 MiB has to have room for it.
const MIN_GROWTH: u64 = 64 << 10;
/// The most that it grows by for an allocation that needs less.
const MAX_GROWTH: u64 = 1 << 20;

#[global_allocator]
static HEAP: Heap = Heap {
    talc: TalcLock::new(FrameSource { end: None }),
};

/// Bytes that callers hold now.
static USED: AtomicU64 = AtomicU64::new(0);
static PEAK: AtomicU64 = AtomicU64::new(0);
/// Bytes of frames that the heap has taken.
static CLAIMED: AtomicU64 = AtomicU64::new(0);
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
/// Size of the last request if it failed, else zero.
static FAILED: AtomicUsize = AtomicUsize::new(0);

/// The heap's figures, in bytes unless said otherwise.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeapStats {
    /// What callers hold now, without the allocator's own bookkeeping.
    pub used: u64,
    /// The most that callers ever held.
    pub peak: u64,
    /// What the heap has taken from the frames; it gives nothing back.
    pub claimed: u64,
    /// How many allocations there have been.
    pub allocations: u64,
}

impl HeapStats {
    /// The figures of this moment.
    pub fn now() -> HeapStats {
        HeapStats {
            used: USED.load(Relaxed),
            peak: PEAK.load(Relaxed),
            claimed: CLAIMED.load(Relaxed),
            allocations: ALLOCATIONS.load(Relaxed),
        }
    }
}

/// How many bytes the last allocation asked for, if it failed.
pub fn failed_allocation() -> Option<usize> {
    Some(FAILED.load(Relaxed)).filter(|&size| size != 0)
}

struct Heap {
    talc: TalcLock<NoLock, FrameSource>,
}

impl Heap {
    /// Notes what a call changed. Plain loads and stores: there is one processor, and handlers do
    /// not allocate.
    fn account(&self, result: *mut u8, added: usize, removed: usize) -> *mut u8 {
        if result.is_null() {
            FAILED.store(added.max(1), Relaxed);
            return result;
        }
        FAILED.store(0, Relaxed);
        let used = USED.load(Relaxed) + added as u64 - removed as u64;
        USED.store(used, Relaxed);
        if used > PEAK.load(Relaxed) {
            PEAK.store(used, Relaxed);
        }
        ALLOCATIONS.store(ALLOCATIONS.load(Relaxed) + 1, Relaxed);
        result
    }
}

// SAFETY: forwards to talc, which implements the same contract.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps `GlobalAlloc`'s contract.
        let memory = unsafe { self.talc.alloc(layout) };
        self.account(memory, layout.size(), 0)
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps `GlobalAlloc`'s contract.
        unsafe { self.talc.dealloc(memory, layout) };
        USED.store(USED.load(Relaxed) - layout.size() as u64, Relaxed);
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller keeps `GlobalAlloc`'s contract.
        let moved = unsafe { self.talc.realloc(memory, layout, new_size) };
        self.account(moved, new_size, layout.size())
    }
}

/// The lock of a heap that nobody can meet in.
struct NoLock;

// SAFETY: there is one processor, interrupt handlers do not allocate (`arch::interrupts`), and talc
// does not call itself, so no two holders exist at a time.
unsafe impl RawMutex for NoLock {
    #[allow(
        clippy::declare_interior_mutable_const,
        reason = "the trait asks for it"
    )]
    const INIT: NoLock = NoLock;
    type GuardMarker = GuardSend;

    fn lock(&self) {}

    fn try_lock(&self) -> bool {
        true
    }

    unsafe fn unlock(&self) {}
}

/// Where talc gets more memory.
#[derive(Debug)]
struct FrameSource {
    /// The end of what was claimed last: frames right behind it make that piece larger.
    end: Option<NonNull<u8>>,
}

// SAFETY: the pointer is only compared and handed back to talc.
unsafe impl Send for FrameSource {}

// SAFETY: `acquire` uses the frame allocator, which does not allocate from the heap.
unsafe impl Source for FrameSource {
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
        // Room for the block at its alignment, talc's tags around it and, the first time, its lists.
        let needed = (layout.size() + layout.align()) as u64
            + talc::min_first_heap_layout::<B>().size() as u64
            + PAGE_SIZE;
        let wanted = (CLAIMED.load(Relaxed) / 4).clamp(MIN_GROWTH, MAX_GROWTH);
        let pages = |bytes: u64| bytes.div_ceil(PAGE_SIZE);
        let frames = allocate_frames(pages(needed.max(wanted)))
            .or_else(|| allocate_frames(pages(needed)))
            .ok_or(())?;
        let base = frames.address as *mut u8;
        let size = frames.bytes() as usize;
        CLAIMED.store(CLAIMED.load(Relaxed) + frames.bytes(), Relaxed);
        let adjacent = talc.source.end.filter(|end| end.as_ptr() == base);
        // SAFETY: the frames are RAM, mapped where they are, and nobody else's from now on. `end` is
        // what talc answered for the last piece, which was not changed since.
        talc.source.end = unsafe {
            match adjacent {
                Some(end) => Some(talc.extend(end, base.wrapping_add(size))),
                None => talc.claim(base, size),
            }
        };
        talc.source.end.map(|_| ()).ok_or(())
    }
}
