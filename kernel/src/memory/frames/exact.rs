//! Taking frames that somebody names, not the next that are free: for the heap, which wants its own back.

use super::{CHUNK_FRAMES, Chunk, FrameAllocator, FrameRange};

impl Chunk {
    /// Whether every one of `count` frames from `first` on is free.
    fn all_free(&self, first: u64, count: u64) -> bool {
        let past = self.next_frame(first, false).unwrap_or(CHUNK_FRAMES);
        past - first >= count
    }
}

impl FrameAllocator {
    /// Takes exactly these frames, which were allocated before. False, with nothing taken, where one of them is
    /// in use or nobody's. Takes a few steps for each 512 frames.
    pub fn allocate_at(&mut self, frames: FrameRange) -> bool {
        let free = |all: &mut FrameAllocator, record, first, count| {
            all.chunk(record).all_free(first, count)
        };
        let take = |all: &mut FrameAllocator, record, first, count| {
            all.take(record, first, count);
            true
        };
        let taken = self.by_chunks(frames, free) && self.by_chunks(frames, take);
        if taken {
            self.free_frames -= frames.count;
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::allocator;
    use super::*;
    use crate::memory::PAGE_SIZE;

    const MIB: u64 = 1 << 20;

    #[test]
    fn frames_are_taken_all_or_none() {
        let mut frames = allocator(&[(MIB, 9 * MIB)]);
        let row = frames.allocate(700).unwrap();
        assert!(!frames.allocate_at(row), "in use");
        frames.free(row);
        let free = frames.free_frames();
        for taken in [0, 300, 699] {
            let one = FrameRange {
                address: row.address + taken * PAGE_SIZE,
                count: 1,
            };
            assert!(frames.allocate_at(one));
            assert!(!frames.allocate_at(row), "one of them is in use");
            frames.free(one);
        }
        assert!(frames.allocate_at(row));
        assert_eq!(frames.free_frames(), free - 700);
        assert!(frames.counts_agree() && frames.count_free() == free - 700);
        frames.free(row);
        assert_eq!(frames.free_frames(), free);
    }

    #[test]
    fn frames_of_nobody_are_not_taken() {
        let mut frames = allocator(&[(MIB, 4 * MIB)]);
        for address in [0, MIB, 8 * MIB] {
            assert!(!frames.allocate_at(FrameRange { address, count: 2 }));
        }
    }
}
