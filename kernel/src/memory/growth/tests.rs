//! Tests of the heap's growth, with the machine's frame allocator over memory of the host.

extern crate std;
use super::super::frames::{Chunk, FrameAllocator};
use super::super::range_set::{Range, RangeSet};
use super::*;
use core::mem::MaybeUninit;
use proptest::prelude::*;
use std::alloc::{alloc, dealloc};
use std::vec;
use std::vec::Vec;
use talc::base::binning::DefaultBinning;

const PAGE: usize = PAGE_SIZE as usize;
const FRAMES: u64 = if cfg!(miri) { 1024 } else { 4096 };
/// A block that is found where nothing else is in use: rows of more than a chunk are whole chunks, and two or three
/// may be in use in part.
const MOST: usize = FRAMES as usize * PAGE / 2;
/// What the frame allocator keeps together.
const CHUNK: usize = 2 << 20;

/// RAM: memory of the host, and the frame allocator that gives it out.
struct Ram {
    start: *mut u8,
    layout: Layout,
    allocator: FrameAllocator,
    held: u64,
    /// How often frames changed hands between heap and allocator.
    moves: usize,
}

impl Ram {
    fn new() -> Ram {
        let layout = Layout::from_size_align(FRAMES as usize * PAGE, CHUNK).unwrap();
        // SAFETY: the size is not zero.
        let start = unsafe { alloc(layout) };
        assert!(!start.is_null());
        let mut ram = RangeSet::new();
        let first = start.expose_provenance() as u64;
        ram.insert(Range::with_size(first, layout.size() as u64));
        let records: Vec<MaybeUninit<Chunk>> =
            vec![MaybeUninit::uninit(); FrameAllocator::records_for(&ram)];
        Ram {
            start,
            layout,
            allocator: FrameAllocator::new(&ram, records.leak()),
            held: 0,
            moves: 0,
        }
    }
}

impl core::fmt::Debug for Ram {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "held={}", self.held)
    }
}

impl Drop for Ram {
    fn drop(&mut self) {
        // SAFETY: `new` got it with this layout, and nothing of the heap is used after the heap's source is dropped.
        unsafe { dealloc(self.start, self.layout) };
    }
}

impl Frames for Ram {
    fn allocate(&mut self, count: u64) -> Option<FrameRange> {
        let frames = self.allocator.allocate(count)?;
        (self.held, self.moves) = (self.held + count, self.moves + 1);
        Some(frames)
    }

    fn allocate_at(&mut self, frames: FrameRange) -> bool {
        let taken = self.allocator.allocate_at(frames);
        if taken {
            (self.held, self.moves) = (self.held + frames.count, self.moves + 1);
        }
        taken
    }

    fn free(&mut self, frames: FrameRange) {
        (self.held, self.moves) = (self.held - frames.count, self.moves + 1);
        self.allocator.free(frames);
    }

    fn held(&self) -> u64 {
        self.held
    }
}

/// A heap over RAM of its own, and what is allocated there: each piece filled with a byte that is its own.
struct Machine {
    talc: Talc<FrameSource<Ram>, DefaultBinning>,
    blocks: Vec<(*mut u8, Layout, u8)>,
    /// Frames that somebody else has, a stack perhaps.
    frames: Vec<(FrameRange, u8)>,
    marks: u8,
}

impl Machine {
    fn new() -> Machine {
        Machine {
            talc: Talc::new(FrameSource::new(Ram::new())),
            blocks: Vec::new(),
            frames: Vec::new(),
            marks: 0,
        }
    }

    fn mark(&mut self) -> u8 {
        self.marks = self.marks.wrapping_add(1);
        self.marks
    }

    /// Something on the heap; false where there is no memory.
    fn allocate(&mut self, size: usize) -> bool {
        let layout = Layout::from_size_align(size, 16).unwrap();
        // SAFETY: the size is not zero.
        let Some(block) = (unsafe { self.talc.allocate(layout) }) else {
            return false;
        };
        let mark = self.mark();
        // SAFETY: just allocated with this size.
        unsafe { fill(block.as_ptr(), size, mark) };
        self.blocks.push((block.as_ptr(), layout, mark));
        true
    }

    fn free(&mut self, index: usize) {
        let (block, layout, mark) = self.blocks.swap_remove(index);
        // SAFETY: allocated with this layout, and in the list no more.
        unsafe {
            check(block, layout.size(), mark);
            self.talc.deallocate(block, layout);
        }
    }

    fn free_all(&mut self) {
        while !self.blocks.is_empty() {
            self.free(self.blocks.len() - 1);
        }
    }

    /// Fills memory with blocks of this size, all of it.
    fn fill(&mut self, size: usize) {
        while self.allocate(size) {}
        assert!(self.free_frames() * PAGE_SIZE < 2 * size as u64 + 16 * PAGE_SIZE);
    }

    fn free_frames(&self) -> u64 {
        self.talc.source.frames.allocator.free_frames()
    }

    fn give_back(&mut self, wanted: u64) -> bool {
        FrameSource::give_back(&mut self.talc, wanted)
    }

    /// A frame for somebody else, as `allocate_frames` finds one.
    fn take_frame(&mut self) -> bool {
        let allocate = |machine: &mut Machine| machine.talc.source.frames.allocator.allocate(1);
        let found = allocate(self).or_else(|| {
            self.give_back(1);
            allocate(self)
        });
        let Some(frame) = found else {
            return false;
        };
        let mark = self.mark();
        // SAFETY: the frame is nobody else's.
        unsafe { fill(pointer(frame), PAGE, mark) };
        self.frames.push((frame, mark));
        true
    }

    fn free_frame(&mut self, index: usize) {
        let (frame, mark) = self.frames.swap_remove(index);
        // SAFETY: the frame is this machine's until it is freed below.
        unsafe { check(pointer(frame), PAGE, mark) };
        self.talc.source.frames.allocator.free(frame);
    }

    fn free_all_frames(&mut self) {
        while !self.frames.is_empty() {
            self.free_frame(self.frames.len() - 1);
        }
    }

    fn holes(&self) -> usize {
        let mut next = self.talc.source.holes;
        core::iter::from_fn(|| {
            // SAFETY: a hole in the list has its record.
            let hole = unsafe { next?.read() };
            next = hole.next;
            Some(hole)
        })
        .count()
    }
}

fn pointer(frames: FrameRange) -> *mut u8 {
    ptr::with_exposed_provenance_mut(frames.address as usize)
}

/// How far the bytes are apart that are written and looked at: a record is larger.
const STEP: usize = if cfg!(miri) { 512 } else { 64 };

/// Writes `mark` all over.
///
/// # Safety
/// So many bytes are the caller's.
unsafe fn fill(start: *mut u8, size: usize, mark: u8) {
    for offset in (0..size).step_by(STEP).chain([size - 1]) {
        // SAFETY: inside, by the caller's promise.
        unsafe { start.add(offset).write(mark) };
    }
}

/// Looks whether it is still there.
///
/// # Safety
/// As for [`fill`], which wrote it.
unsafe fn check(start: *mut u8, size: usize, mark: u8) {
    for offset in (0..size).step_by(STEP).chain([size - 1]) {
        // SAFETY: inside, by the caller's promise.
        let found = unsafe { start.add(offset).read() };
        assert_eq!(found, mark, "somebody else wrote here");
    }
}

#[test]
fn what_was_freed_is_found_by_whoever_needs_frames() {
    let mut machine = Machine::new();
    machine.fill(10_000);
    while machine.take_frame() {}
    assert!(machine.frames.len() < 16, "nearly all of it is in use");
    machine.free_all();
    let mut taken = machine.frames.len() as u64;
    while machine.take_frame() {
        taken += 1;
    }
    // talc's lists stay, a page is lost to each hole, and the last ones are small.
    assert!(taken > FRAMES * 97 / 100, "{taken}");
}

/// Blocks that stay, at the end of the heap too, keep what is around them and no more.
#[test]
fn what_stays_in_use_keeps_little_back() {
    let mut machine = Machine::new();
    machine.fill(10_000);
    let mut index = 0;
    while index < machine.blocks.len() {
        if machine.blocks[index].2 == 0 {
            index += 1;
        } else {
            machine.free(index);
        }
    }
    assert!(!machine.blocks.is_empty(), "one in 256 stays");
    while machine.take_frame() {}
    let taken = machine.frames.len() as u64;
    assert!(taken > FRAMES * 90 / 100, "{taken}");
    machine.free_all();
}

#[test]
#[cfg_attr(miri, ignore = "needs more memory than Miri writes in time")]
fn the_heap_is_as_whole_as_before_when_the_frames_are_free_again() {
    let mut machine = Machine::new();
    machine.fill(10_000);
    machine.free_all();
    for round in 0..50 {
        while machine.take_frame() {}
        assert!(!machine.allocate(10_000), "round {round}");
        machine.free_all_frames();
        assert!(machine.allocate(MOST), "round {round}");
        assert_eq!(machine.holes(), 0, "round {round}");
        machine.free_all();
    }
}

/// The heap does not wait for a hole that a stack is in: it has what is free there as a row of its own, which
/// does not outlive its use.
#[test]
#[cfg_attr(miri, ignore = "needs more memory than Miri writes in time")]
fn a_hole_in_use_in_part_is_of_use_in_part() {
    let mut machine = Machine::new();
    machine.fill(10_000);
    machine.free_all();
    while machine.take_frame() {}
    for round in 0..20 {
        // One frame in 64 stays somebody else's: another one each time.
        let frames = core::mem::take(&mut machine.frames);
        for (index, &(frame, mark)) in frames.iter().enumerate() {
            machine.frames.push((frame, mark));
            if index % 64 != round {
                machine.free_frame(machine.frames.len() - 1);
            }
        }
        while machine.allocate(10_000) {}
        let used = machine.blocks.len() as u64 * 10_000;
        assert!(used > FRAMES * PAGE_SIZE * 8 / 10, "round {round}: {used}");
        machine.free_all();
        while machine.take_frame() {}
    }
    machine.free_all_frames();
    assert!(machine.allocate(MOST));
}

/// While there are frames the heap keeps what it has: a load that comes and goes moves nothing.
#[test]
fn a_steady_load_passes_no_frames_to_and_fro() {
    let mut machine = Machine::new();
    let mut load = || {
        for _ in 0..50 {
            assert!(machine.allocate(10_000) && machine.take_frame());
        }
        machine.free_all();
        machine.free_all_frames();
        machine.talc.source.frames.moves
    };
    let moves = load();
    for _ in 0..10 {
        assert_eq!(load(), moves);
    }
}

#[test]
#[cfg_attr(miri, ignore = "needs more memory than Miri writes in time")]
fn as_many_frames_are_given_back_as_are_asked_for() {
    let mut machine = Machine::new();
    machine.fill(10_000);
    machine.free_all();
    let free = machine.free_frames();
    assert!(machine.give_back(700));
    assert!(machine.free_frames() >= free + 700);
    let free = machine.free_frames();
    assert!(machine.give_back(1));
    assert_eq!(machine.free_frames(), free + STRETCH, "a few at a time");
    // More than there is: what there is, in pieces.
    while machine.give_back(u64::MAX) {}
    assert!(machine.free_frames() > FRAMES * 97 / 100);
}

#[test]
fn a_heap_without_memory_gives_nothing() {
    let mut machine = Machine::new();
    assert!(!machine.give_back(1) && !machine.give_back(u64::MAX));
    assert!(machine.allocate(1));
    assert!(!machine.allocate(isize::MAX as usize - 15));
}

proptest! {
    #![proptest_config(crate::property::cases(64))]

    /// Whoever has memory has it alone, whatever moves; and nothing is lost in the end.
    #[test]
    #[cfg_attr(miri, ignore = "needs more memory than Miri writes in time")]
    fn memory_is_in_one_hand(steps in prop::collection::vec((0u8..10, 1usize..200_000, any::<prop::sample::Index>()), 1..200)) {
        let mut machine = Machine::new();
        for (step, size, index) in steps {
            match step {
                0..3 => { machine.allocate(size); }
                3 => while machine.blocks.len() < 200 && machine.allocate(size) {},
                4 => (0..size / 300).for_each(|_| { machine.take_frame(); }),
                5 => { machine.give_back(size as u64 / 100); }
                6 | 7 if !machine.blocks.is_empty() => {
                    for _ in 0..machine.blocks.len() / 2 + 1 {
                        machine.free(index.index(machine.blocks.len()));
                    }
                }
                _ if !machine.frames.is_empty() => {
                    for _ in 0..machine.frames.len() / 2 + 1 {
                        machine.free_frame(index.index(machine.frames.len()));
                    }
                }
                _ => {}
            }
            let held: u64 = machine.free_frames() + machine.frames.len() as u64 + machine.talc.source.frames.held;
            prop_assert_eq!(held, FRAMES);
        }
        machine.free_all();
        machine.free_all_frames();
        prop_assert!(machine.allocate(MOST));
    }
}
