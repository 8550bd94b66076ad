//! The heap: talc over frames, taken as the heap needs them and kept until somebody else finds none
//! (`growth`). Every allocation of the kernel and of the workload comes through here.
//!
//! A failed allocation is an error to whoever asked with `try_reserve`. Where the caller cannot be
//! told, `alloc` panics; the panic handler asks [`failed_allocation`] and ends the machine with the
//! status for exhausted memory.
#![allow(unsafe_code, reason = "implements the global allocator")]

use super::frames::FrameRange;
use super::growth::{FrameSource, Frames};
use super::{FRAMES, PAGE_SIZE, free_frames, take_frames};
use core::alloc::{GlobalAlloc, Layout};
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use talc::TalcLock;
use talc::lock_api::{GuardSend, RawMutex};

#[global_allocator]
static HEAP: Heap = Heap {
    talc: TalcLock::new(FrameSource::new(KernelFrames)),
};

/// Bytes that callers hold now.
static USED: AtomicU64 = AtomicU64::new(0);
static PEAK: AtomicU64 = AtomicU64::new(0);
/// Bytes of frames that the heap has.
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
    /// What the heap has of the frames.
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

/// Takes frames out of the heap's free memory: `wanted` in a row, or more, or as many as there are. False where
/// there is none, and where the fault that needs one interrupted the heap itself.
pub(super) fn give_back(wanted: u64) -> bool {
    let talc = HEAP.talc.try_lock();
    talc.is_some_and(|mut talc| FrameSource::give_back(&mut talc, wanted))
}

struct Heap {
    talc: TalcLock<InUse, FrameSource<KernelFrames>>,
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

/// The lock of a heap in which only a fault can find somebody else: there is one processor, and interrupt
/// handlers do not allocate.
struct InUse(AtomicBool);

// SAFETY: handlers of faults only try (`give_back`), and find the flag set as long as a guard lives; talc does not
// call itself, and interrupt handlers do not allocate (`arch::interrupts`), so nobody else meets a holder.
unsafe impl RawMutex for InUse {
    #[allow(
        clippy::declare_interior_mutable_const,
        reason = "the trait asks for it"
    )]
    const INIT: InUse = InUse(AtomicBool::new(false));
    type GuardMarker = GuardSend;

    fn lock(&self) {
        self.0.store(true, Relaxed);
    }

    fn try_lock(&self) -> bool {
        !self.0.swap(true, Relaxed)
    }

    unsafe fn unlock(&self) {
        self.0.store(false, Relaxed);
    }
}

/// The machine's frames, and how many bytes of them the heap has.
#[derive(Debug)]
struct KernelFrames;

impl KernelFrames {
    fn note(frames: FrameRange) -> FrameRange {
        CLAIMED.store(CLAIMED.load(Relaxed) + frames.bytes(), Relaxed);
        frames
    }
}

impl Frames for KernelFrames {
    fn allocate(&mut self, count: u64) -> Option<FrameRange> {
        take_frames(count).map(KernelFrames::note)
    }

    fn allocate_at(&mut self, frames: FrameRange) -> bool {
        let taken = FRAMES.try_with(|all| all.as_mut()?.allocate_at(frames).then_some(frames));
        taken.flatten().map(KernelFrames::note).is_some()
    }

    fn free(&mut self, frames: FrameRange) {
        CLAIMED.store(CLAIMED.load(Relaxed) - frames.bytes(), Relaxed);
        free_frames(frames);
    }

    fn held(&self) -> u64 {
        CLAIMED.load(Relaxed) / PAGE_SIZE
    }
}
