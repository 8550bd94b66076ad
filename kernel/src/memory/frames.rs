//! The page-frame allocator: hands out 4 KiB frames of RAM, one or many in a row. The heap, lazily
//! backed regions, stacks and page tables all take theirs here.
//!
//! RAM is divided into chunks of 512 frames. A chunk has one bit per frame, and chunks that are
//! partly or wholly free stand in two lists. A chunk that was never touched has no record yet: each
//! stretch of RAM only remembers how far it has been used. Setting up 8 GiB therefore costs as much
//! as setting up 8 MiB, and free memory is never written to.
//!
//! ```
//! use core::mem::MaybeUninit;
//! use ukernel::memory::frames::{Chunk, FrameAllocator, FrameRange};
//! use ukernel::memory::range_set::{Range, RangeSet};
//!
//! let mut ram = RangeSet::new();
//! ram.insert(Range::new(0x1000, 0x80_0000));
//! let mut records = vec![MaybeUninit::uninit(); FrameAllocator::records_for(&ram)];
//! let mut frames = FrameAllocator::new(&ram, records.leak());
//! let three: FrameRange = frames.allocate(3).unwrap();
//! frames.free(three);
//! ```

#[cfg(test)]
extern crate std;

mod exact;

use super::PAGE_SIZE;
use super::range_set::{MAX_RANGES, Range, RangeSet};
use core::mem::MaybeUninit;

/// Frames in a chunk: with 4 KiB frames a chunk is 2 MiB, the next larger page of the processor.
const CHUNK_FRAMES: u64 = 512;
/// Words of 64 frames in a chunk's bitmap.
const WORDS: usize = CHUNK_FRAMES as usize / 64;
/// How many partly used chunks are searched for a row of frames before an untouched one is opened.
/// Bounds the time of an allocation; when it is spent, memory is used less densely.
const MAX_SEARCH: usize = 16;
/// The end of a list of chunks.
const NONE: u32 = u32::MAX;

/// Neighbouring frames of RAM, identity mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameRange {
    /// Physical address of the first frame, a multiple of the page size.
    pub address: u64,
    /// How many frames.
    pub count: u64,
}

impl FrameRange {
    /// How many bytes the frames hold.
    pub fn bytes(self) -> u64 {
        self.count * PAGE_SIZE
    }
}

/// The record of 512 frames.
#[derive(Clone, Copy, Debug)]
pub struct Chunk {
    /// One bit per frame: set means free.
    free: [u64; WORDS],
    free_count: u16,
    /// The neighbours in the list that the chunk stands in.
    previous: u32,
    next: u32,
}

impl Chunk {
    /// The record for a chunk of which only the frames `first..past` are RAM that may be used.
    fn with_frames(first: u64, past: u64) -> Chunk {
        let mut chunk = Chunk {
            free: [0; WORDS],
            free_count: 0,
            previous: NONE,
            next: NONE,
        };
        chunk.set(first, past - first, true);
        chunk
    }

    /// Marks `count` frames from `first` on as free or used; none of them may be so already.
    fn set(&mut self, first: u64, count: u64, free: bool) {
        let past = first + count;
        for (index, word) in self.free.iter_mut().enumerate() {
            let base = index as u64 * 64;
            let from = first.clamp(base, base + 64) - base;
            let to = past.clamp(base, base + 64) - base;
            let mask = low_bits(to) & !low_bits(from);
            if free {
                *word |= mask;
            } else {
                *word &= !mask;
            }
        }
        // The callers change frames that are all in the other state, so the count follows.
        self.free_count = if free {
            self.free_count + count as u16
        } else {
            self.free_count - count as u16
        };
    }

    /// Whether every one of `count` frames from `first` on is used.
    fn all_used(&self, first: u64, count: u64) -> bool {
        (first..first + count).all(|i| self.free[i as usize / 64] >> (i % 64) & 1 == 0)
    }

    /// The first frame of the first row of `count` free frames.
    fn find_row(&self, count: u64) -> Option<u64> {
        let mut position = 0;
        loop {
            let start = self.next_frame(position, true)?;
            let end = self.next_frame(start, false).unwrap_or(CHUNK_FRAMES);
            if end - start >= count {
                return Some(start);
            }
            position = end;
        }
    }

    /// The first free (or used) frame from `position` on.
    fn next_frame(&self, position: u64, free: bool) -> Option<u64> {
        let mut index = position as usize / 64;
        let mut ignored = low_bits(position % 64);
        while index < WORDS {
            let word = if free {
                self.free[index]
            } else {
                !self.free[index]
            };
            let hits = word & !ignored;
            if hits != 0 {
                return Some(index as u64 * 64 + u64::from(hits.trailing_zeros()));
            }
            ignored = 0;
            index += 1;
        }
        None
    }
}

/// A word with the lowest `count` (0 to 64) bits set.
fn low_bits(count: u64) -> u64 {
    if count >= 64 {
        u64::MAX
    } else {
        (1 << count) - 1
    }
}

/// A stretch of RAM with consecutive chunk records.
#[derive(Clone, Copy, Debug)]
struct Extent {
    /// The frames, as numbers (address / page size).
    start: u64,
    end: u64,
    /// The number of the record of its first chunk.
    first_record: u32,
    /// How many of its chunks have a record that is written; the rest is wholly free.
    opened: u32,
}

impl Extent {
    const EMPTY: Extent = Extent {
        start: 0,
        end: 0,
        first_record: 0,
        opened: 0,
    };

    fn first_chunk(&self) -> u64 {
        self.start / CHUNK_FRAMES
    }

    fn chunk_count(&self) -> u32 {
        (self.end.div_ceil(CHUNK_FRAMES) - self.first_chunk()) as u32
    }

    /// The frames, counted from the chunk's first, that chunk `number` of this extent has.
    fn frames_of(&self, number: u32) -> (u64, u64) {
        let base = (self.first_chunk() + u64::from(number)) * CHUNK_FRAMES;
        let first = self.start.max(base) - base;
        let past = self.end.min(base + CHUNK_FRAMES) - base;
        (first, past)
    }

    /// Frames in chunks that have no record yet.
    #[cfg(test)]
    fn unopened_frames(&self) -> u64 {
        let from = (self.first_chunk() + u64::from(self.opened)) * CHUNK_FRAMES;
        self.end.saturating_sub(from.max(self.start))
    }
}

/// Which list a chunk stands in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum List {
    /// Some frames are free, some are not.
    Partial = 0,
    /// All 512 frames are free.
    Whole = 1,
}

/// All RAM that the kernel may give out. One per machine; not for interrupt handlers.
#[derive(Debug)]
pub struct FrameAllocator {
    extents: [Extent; MAX_RANGES],
    extent_count: usize,
    records: &'static mut [MaybeUninit<Chunk>],
    /// First chunk of each `List`.
    heads: [u32; 2],
    free_frames: u64,
    total_frames: u64,
}

impl FrameAllocator {
    /// How many records the allocator for `ram` needs.
    pub fn records_for(ram: &RangeSet) -> usize {
        extents(ram)
            .map(|extent| extent.chunk_count() as usize)
            .sum()
    }

    /// An allocator for `ram`, with all of it free. Touches none of it, and none of `records` yet.
    ///
    /// # Panics
    ///
    /// If `records` is shorter than [`FrameAllocator::records_for`] says.
    pub fn new(ram: &RangeSet, records: &'static mut [MaybeUninit<Chunk>]) -> FrameAllocator {
        let mut allocator = FrameAllocator {
            extents: [Extent::EMPTY; MAX_RANGES],
            extent_count: 0,
            records,
            heads: [NONE; 2],
            free_frames: 0,
            total_frames: 0,
        };
        let mut record = 0;
        for mut extent in extents(ram) {
            extent.first_record = record;
            record += extent.chunk_count();
            allocator.free_frames += extent.end - extent.start;
            allocator.extents[allocator.extent_count] = extent;
            allocator.extent_count += 1;
        }
        assert!(record as usize <= allocator.records.len());
        allocator.total_frames = allocator.free_frames;
        allocator
    }

    /// Frames that can be allocated now.
    pub fn free_frames(&self) -> u64 {
        self.free_frames
    }

    /// Frames under this allocator's care, free or not.
    pub fn total_frames(&self) -> u64 {
        self.total_frames
    }

    /// Takes `count` neighbouring frames out; their contents are whatever was there. `None` where
    /// there is no such row (or `count` is zero). Takes a bounded number of steps for up to 512
    /// frames, and a walk over the chunks beyond.
    pub fn allocate(&mut self, count: u64) -> Option<FrameRange> {
        if count == 0 || count > self.free_frames {
            return None;
        }
        let first = if count <= CHUNK_FRAMES {
            self.allocate_row(count)?
        } else {
            self.allocate_chunks(count)?
        };
        self.free_frames -= count;
        Some(FrameRange {
            address: first * PAGE_SIZE,
            count,
        })
    }

    /// Gives frames back.
    ///
    /// # Panics
    ///
    /// If a frame is free already or was never this allocator's.
    pub fn free(&mut self, frames: FrameRange) {
        let known = self.by_chunks(frames, |all, record, first, count| {
            let chunk = all.chunk(record);
            assert!(chunk.all_used(first, count), "a frame was freed twice");
            all.unlink(record);
            all.chunk(record).set(first, count, true);
            all.link(record);
            true
        });
        assert!(known, "frames that are given back were allocated here");
        self.free_frames += frames.count;
    }

    /// Calls `change` with each chunk's part of a row: the record, the first frame counted from the chunk's first, and
    /// how many. Stops where it says false or there is no such frame, which is the answer then.
    fn by_chunks(
        &mut self,
        frames: FrameRange,
        change: fn(&mut FrameAllocator, u32, u64, u64) -> bool,
    ) -> bool {
        let mut frame = frames.address / PAGE_SIZE;
        let end = frame + frames.count;
        while frame < end {
            let chunk_end = (frame / CHUNK_FRAMES + 1) * CHUNK_FRAMES;
            let part = chunk_end.min(end) - frame;
            let record = self.record_of(frame, part);
            if !record.is_some_and(|record| change(self, record, frame % CHUNK_FRAMES, part)) {
                return false;
            }
            frame += part;
        }
        true
    }

    /// The record of the opened chunk that has all of these frames.
    fn record_of(&self, frame: u64, count: u64) -> Option<u32> {
        let extent = self.extents[..self.extent_count]
            .iter()
            .find(|extent| extent.start <= frame && frame + count <= extent.end)?;
        let number = (frame / CHUNK_FRAMES - extent.first_chunk()) as u32;
        (number < extent.opened).then_some(extent.first_record + number)
    }

    /// Up to 512 frames inside one chunk: from a chunk in use, else a whole one, else a new one.
    fn allocate_row(&mut self, count: u64) -> Option<u64> {
        loop {
            let found = self
                .search(List::Partial, count, MAX_SEARCH)
                .or_else(|| self.search(List::Whole, count, 1));
            if let Some((record, first)) = found {
                return Some(self.take(record, first, count));
            }
            if !self.open_next() {
                break;
            }
        }
        // Memory is scarce: look everywhere.
        let (record, first) = self.search(List::Partial, count, usize::MAX)?;
        Some(self.take(record, first, count))
    }

    /// Looks through up to `limit` chunks of a list for a row; answers the record and the place.
    fn search(&mut self, list: List, count: u64, limit: usize) -> Option<(u32, u64)> {
        let mut record = self.heads[list as usize];
        for _ in 0..limit {
            if record == NONE {
                break;
            }
            let chunk = self.chunk(record);
            if let Some(first) = chunk.find_row(count) {
                return Some((record, first));
            }
            record = chunk.next;
        }
        None
    }

    /// Marks frames of a chunk as used; answers the number of the first one.
    fn take(&mut self, record: u32, first: u64, count: u64) -> u64 {
        self.unlink(record);
        self.chunk(record).set(first, count, false);
        self.link(record);
        self.base_of(record) + first
    }

    /// Writes the record of the lowest chunk that has none. False when every chunk has one.
    fn open_next(&mut self) -> bool {
        let next = self.extents[..self.extent_count]
            .iter()
            .position(|extent| extent.opened < extent.chunk_count());
        next.inspect(|&index| self.open(index)).is_some()
    }

    fn open(&mut self, extent_index: usize) {
        let extent = &mut self.extents[extent_index];
        let number = extent.opened;
        extent.opened += 1;
        let (first, past) = extent.frames_of(number);
        let record = extent.first_record + number;
        self.records[record as usize].write(Chunk::with_frames(first, past));
        self.link(record);
    }

    /// More than 512 frames: a row of whole chunks; what is over at the end is given back.
    fn allocate_chunks(&mut self, count: u64) -> Option<u64> {
        let chunks = count.div_ceil(CHUNK_FRAMES) as u32;
        let (extent_index, number) =
            (0..self.extent_count).find_map(|i| Some((i, self.find_chunks(i, chunks)?)))?;
        while self.extents[extent_index].opened < number + chunks {
            self.open(extent_index);
        }
        let record = self.extents[extent_index].first_record + number;
        for taken in record..record + chunks {
            self.take(taken, 0, CHUNK_FRAMES);
        }
        let first = self.base_of(record);
        let spare = u64::from(chunks) * CHUNK_FRAMES - count;
        if spare > 0 {
            let spare = FrameRange {
                address: (first + count) * PAGE_SIZE,
                count: spare,
            };
            self.free(spare);
            self.free_frames -= spare.count; // they were never counted as taken
        }
        Some(first)
    }

    /// The number of the first of `wanted` neighbouring chunks of an extent that are wholly free.
    fn find_chunks(&mut self, extent_index: usize, wanted: u32) -> Option<u32> {
        let extent = self.extents[extent_index];
        let mut row = 0;
        for number in 0..extent.chunk_count() {
            let free = if number < extent.opened {
                u64::from(self.chunk(extent.first_record + number).free_count)
            } else {
                let (first, past) = extent.frames_of(number);
                past - first
            };
            row = if free == CHUNK_FRAMES { row + 1 } else { 0 };
            if row == wanted {
                return Some(number + 1 - wanted);
            }
        }
        None
    }

    /// The number of the first frame that belongs to a record, whether it is RAM or not.
    fn base_of(&self, record: u32) -> u64 {
        let extent = self.extents[..self.extent_count]
            .iter()
            .rfind(|extent| extent.first_record <= record)
            .expect("a record belongs to an extent");
        (extent.first_chunk() + u64::from(record - extent.first_record)) * CHUNK_FRAMES
    }

    /// Puts a chunk in front of the list that its count asks for; a full chunk stands in none.
    fn link(&mut self, record: u32) {
        let Some(list) = self.list_of(record) else {
            return;
        };
        let head = core::mem::replace(&mut self.heads[list as usize], record);
        let chunk = self.chunk(record);
        chunk.previous = NONE;
        chunk.next = head;
        if head != NONE {
            self.chunk(head).previous = record;
        }
    }

    /// Takes a chunk out of its list, before its count changes.
    fn unlink(&mut self, record: u32) {
        let Some(list) = self.list_of(record) else {
            return;
        };
        let Chunk { previous, next, .. } = *self.chunk(record);
        if previous == NONE {
            self.heads[list as usize] = next;
        } else {
            self.chunk(previous).next = next;
        }
        if next != NONE {
            self.chunk(next).previous = previous;
        }
    }

    fn list_of(&mut self, record: u32) -> Option<List> {
        match u64::from(self.chunk(record).free_count) {
            0 => None,
            CHUNK_FRAMES => Some(List::Whole),
            _ => Some(List::Partial),
        }
    }

    /// The record of an opened chunk.
    #[allow(
        unsafe_code,
        reason = "records are written when their chunk is opened, not before"
    )]
    fn chunk(&mut self, record: u32) -> &mut Chunk {
        // SAFETY: `open` wrote the record. Numbers come from the lists, which hold opened chunks
        // only, or were compared with `Extent::opened` (`record_of`, `find_chunks`).
        unsafe { self.records[record as usize].assume_init_mut() }
    }

    /// Whether each chunk's count is the number of its set bits.
    #[cfg(test)]
    fn counts_agree(&mut self) -> bool {
        let opened: std::vec::Vec<u32> = self.extents[..self.extent_count]
            .iter()
            .flat_map(|extent| extent.first_record..extent.first_record + extent.opened)
            .collect();
        opened.into_iter().all(|record| {
            let chunk = self.chunk(record);
            let bits: u32 = chunk.free.iter().map(|word| word.count_ones()).sum();
            bits == u32::from(chunk.free_count)
        })
    }

    /// Counts free frames the slow way, for tests.
    #[cfg(test)]
    fn count_free(&mut self) -> u64 {
        let mut total = 0;
        for index in 0..self.extent_count {
            let extent = self.extents[index];
            total += extent.unopened_frames();
            for number in 0..extent.opened {
                total += u64::from(self.chunk(extent.first_record + number).free_count);
            }
        }
        total
    }
}

/// The whole frames of each range of RAM, as extents without records.
fn extents(ram: &RangeSet) -> impl Iterator<Item = Extent> + '_ {
    ram.as_slice()
        .iter()
        .map(|range| range.shrink_to(PAGE_SIZE))
        .filter(|range: &Range| !range.is_empty())
        .map(|range| Extent {
            start: range.start / PAGE_SIZE,
            end: range.end / PAGE_SIZE,
            ..Extent::EMPTY
        })
}

#[cfg(test)]
mod tests;
