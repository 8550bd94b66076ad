//! How the heap gets frames, and how it gives them back when somebody else finds none.
//!
//! Frames that the heap has taken stay with it, whatever is freed: a load that comes and goes would only pass
//! them to and fro. Who finds no frame asks [`FrameSource::give_back`], which digs holes into what is free: a
//! hole is a block of the heap whose whole pages have gone back to the frame allocator. When the heap wants
//! more, a hole whose frames are all free again is filled first, so that in the end the heap is as whole as
//! before. Nothing of this costs anything while there are frames.
//!
//! Called by `heap`, which owns the one talc of the kernel. Never allocates from it.
#![allow(
    unsafe_code,
    reason = "hands frames to talc and takes them back out of what is free there"
)]

use super::PAGE_SIZE;
use super::frames::FrameRange;
use core::alloc::Layout;
use core::ptr::{self, NonNull};
use talc::base::Talc;
use talc::base::binning::Binning;
use talc::source::Source;

/// The least that the heap grows by, in bytes: growing costs about a thousand instructions, and a
/// machine of 4 MiB has to have room for it.
const MIN_GROWTH: u64 = 64 << 10;
/// The most that it grows by for an allocation that needs less.
const MAX_GROWTH: u64 = 1 << 20;
/// How many frames are given back at a time where as many are free in a row, though fewer were asked for: what
/// the heap grows by, so that a thousand frames are found with a few searches.
const STRETCH: u64 = MAX_GROWTH / PAGE_SIZE;

/// Where the heap's frames come from.
pub(super) trait Frames {
    /// Takes neighbouring frames, mapped where they are.
    fn allocate(&mut self, count: u64) -> Option<FrameRange>;
    /// Takes exactly these, which the heap gave back before, if all of them are free.
    fn allocate_at(&mut self, frames: FrameRange) -> bool;
    /// Gives frames back.
    fn free(&mut self, frames: FrameRange);
    /// How many frames the heap has now.
    fn held(&self) -> u64;
}

/// Where talc gets more memory, and what it got.
#[derive(Debug)]
pub(super) struct FrameSource<F> {
    /// Where frames come from.
    frames: F,
    /// The rows of frames that talc has, the last first.
    spans: Option<NonNull<Span>>,
    /// What was given back out of them, the last first.
    holes: Option<NonNull<Hole>>,
}

/// At the start of a row of frames; the rest is talc's.
#[derive(Clone, Copy)]
struct Span {
    next: Option<NonNull<Span>>,
    /// Where the row ends.
    end: NonNull<u8>,
}

/// At the start of a block of the heap, whose whole pages behind are somebody else's or free.
#[derive(Clone, Copy)]
struct Hole {
    next: Option<NonNull<Hole>>,
    frames: FrameRange,
    layout: Layout,
}

// SAFETY: spans and holes lie in memory that is this source's own, whichever thread it is on.
unsafe impl<F: Send> Send for FrameSource<F> {}

impl<F: Frames + core::fmt::Debug> FrameSource<F> {
    /// A source that has given nothing yet.
    pub(super) const fn new(frames: F) -> FrameSource<F> {
        FrameSource {
            frames,
            spans: None,
            holes: None,
        }
    }

    /// Frees frames out of the free memory of `talc`: `wanted` in a row, or more, or as many as lie in a row.
    /// False where not even one does. Takes a few searches.
    pub(super) fn give_back<B: Binning>(talc: &mut Talc<Self, B>, wanted: u64) -> bool {
        if Self::release_unused(talc) {
            return true;
        }
        let mut count = wanted.max(STRETCH).min(talc.source.frames.held());
        while count > 0 {
            if Self::dig(talc, count) {
                return true;
            }
            count /= 2;
        }
        false
    }

    /// Gives `count` frames of one free block back. False where there is no such block.
    fn dig<B: Binning>(talc: &mut Talc<Self, B>, count: u64) -> bool {
        // Wherever a block of this size begins, so many whole pages lie behind its record.
        let size = (count + 1) as usize * PAGE_SIZE as usize + size_of::<Hole>();
        let Ok(layout) = Layout::from_size_align(size, align_of::<Hole>()) else {
            return false;
        };
        // SAFETY: the size is not zero. `try_allocate` does not ask the source for more.
        let Some(block) = (unsafe { talc.try_allocate(layout) }) else {
            return false;
        };
        let behind = (block.as_ptr() as u64) + size_of::<Hole>() as u64;
        let frames = FrameRange {
            address: behind.next_multiple_of(PAGE_SIZE),
            count,
        };
        let source = &mut talc.source;
        let hole = block.cast::<Hole>();
        // SAFETY: the block was just allocated with room for a record at its start, and aligned for it.
        unsafe {
            hole.write(Hole {
                next: source.holes,
                frames,
                layout,
            });
        }
        source.holes = Some(hole);
        // All of talc's memory is frames, so these are; they lie within the block, which nobody else touches.
        source.frames.free(frames);
        true
    }

    /// Makes the last hole whose frames are all free a part of the heap again. False where there is none.
    fn fill<B: Binning>(talc: &mut Talc<Self, B>) -> bool {
        let (mut above, mut next) = (None::<NonNull<Hole>>, talc.source.holes);
        while let Some(mut place) = next {
            // SAFETY: `dig` wrote it, and its block is this source's until it is unlinked below.
            let hole = unsafe { place.as_mut() };
            if talc.source.frames.allocate_at(hole.frames) {
                match above {
                    None => talc.source.holes = hole.next,
                    // SAFETY: as for `place`; it is another one.
                    Some(mut above) => unsafe { above.as_mut().next = hole.next },
                }
                let layout = hole.layout;
                // SAFETY: `dig` allocated it with this layout, its frames are the heap's again, and it is in the
                // list no more.
                unsafe { talc.deallocate(place.as_ptr().cast(), layout) };
                return true;
            }
            (above, next) = (next, hole.next);
        }
        false
    }

    /// Takes a row of frames in for an allocation.
    fn grow<B: Binning>(talc: &mut Talc<Self, B>, layout: Layout) -> bool {
        // Room for the block at its alignment, for talc's tags around it and, the first time, for its lists.
        let needed = (layout.size() + layout.align()) as u64
            + talc::min_first_heap_layout::<B>().size() as u64
            + PAGE_SIZE;
        let frames = &mut talc.source.frames;
        let wanted = (frames.held() * PAGE_SIZE / 4).clamp(MIN_GROWTH, MAX_GROWTH);
        let pages = |bytes: u64| bytes.div_ceil(PAGE_SIZE);
        let taken = frames
            .allocate(pages(needed.max(wanted)))
            .or_else(|| frames.allocate(pages(needed)));
        taken.is_some_and(|taken| Self::add(talc, taken))
    }

    /// Gives frames to talc: as more of the last row where they are right behind it, else as a row of their own.
    fn add<B: Binning>(talc: &mut Talc<Self, B>, frames: FrameRange) -> bool {
        let start = ptr::with_exposed_provenance_mut::<u8>(frames.address as usize);
        let size = frames.bytes() as usize;
        if let Some(mut last) = talc.source.spans {
            // SAFETY: written below, and the source's own until `release_unused` unlinks it.
            let span = unsafe { last.as_mut() };
            if span.end.as_ptr() == start {
                // SAFETY: the frames are RAM, mapped where they are, and nobody else's from now on. `end` is what talc
                // answered for this row.
                span.end = unsafe { talc.extend(span.end, span.end.as_ptr().wrapping_add(size)) };
                return true;
            }
        }
        let own = size_of::<Span>();
        // SAFETY: the same; the first bytes are kept for the record.
        let end = unsafe { talc.claim(start.wrapping_add(own), size - own) };
        let (Some(end), Some(span)) = (end, NonNull::new(start.cast::<Span>())) else {
            talc.source.frames.free(frames);
            return false;
        };
        let next = talc.source.spans;
        // SAFETY: the frames are this heap's, and talc begins behind the record.
        unsafe { span.write(Span { next, end }) };
        talc.source.spans = Some(span);
        true
    }

    /// Gives back the rows of frames in which nothing is in use, holes included. False where there is none.
    fn release_unused<B: Binning>(talc: &mut Talc<Self, B>) -> bool {
        let mut found = false;
        let (mut above, mut next) = (None::<NonNull<Span>>, talc.source.spans);
        while let Some(place) = next {
            // SAFETY: `add` wrote it, and its frames are this heap's until they are freed below.
            let span = unsafe { place.read() };
            next = span.next;
            // SAFETY: `end` is what talc answered for this row.
            if unsafe { talc.reserved(span.end) }.any {
                above = Some(place);
                continue;
            }
            // SAFETY: the same. Since nothing is in use, all of the row is ours again.
            unsafe { talc.truncate(span.end, ptr::null_mut()) };
            match above {
                None => talc.source.spans = span.next,
                // SAFETY: as for `place`; it is another one.
                Some(mut above) => unsafe { above.as_mut().next = span.next },
            }
            let (start, end) = (place.as_ptr() as u64, span.end.as_ptr() as u64);
            talc.source.frames.free(FrameRange {
                address: start,
                count: (end - start) / PAGE_SIZE,
            });
            found = true;
        }
        found
    }
}

// SAFETY: `acquire` uses the frames, which do not allocate from the heap.
unsafe impl<F: Frames + core::fmt::Debug> Source for FrameSource<F> {
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
        let mut more = Self::fill(talc) || Self::grow(talc, layout);
        // The rest of memory may lie around in pieces; together they may do, and a hole may be in one piece again.
        more |=
            !more && Self::release_unused(talc) && (Self::fill(talc) || Self::grow(talc, layout));
        more.then_some(()).ok_or(())
    }
}

#[cfg(test)]
mod tests;
