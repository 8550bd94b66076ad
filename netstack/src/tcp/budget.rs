//! Who gets how much of the memory for connections.
//!
//! The table asks it before a connection comes into being, and tells it of each one that came or
//! went. Peers decide how many connections there are; this decides that memory never runs out of it:
//! the more there are, the smaller the buffers of the next one, and in the end there is no next one.

use super::connection::Options;

/// A new connection takes at most one part in this many of what is left, so that the first few
/// cannot take it all: after 64 connections a third is still there for others.
const SHARE: usize = 64;
/// Smallest buffers that a connection is opened with: enough for a segment of an ordinary link (1460
/// bytes) while the one before it is being read or acknowledged. Who asks for less gets less.
pub(super) const MIN_RECEIVE_BUFFER: usize = 2048;
pub(super) const MIN_SEND_BUFFER: usize = 2048;

/// The bytes that connections may take together.
#[derive(Debug)]
pub(super) struct Budget {
    total: usize,
    used: usize,
}

impl Budget {
    pub(super) const fn new(total: usize) -> Budget {
        Budget { total, used: 0 }
    }

    /// Bytes that connections have taken.
    pub(super) const fn used(&self) -> usize {
        self.used
    }

    /// Bytes that connections may still take.
    pub(super) const fn left(&self) -> usize {
        self.total.saturating_sub(self.used)
    }

    /// The buffers that a connection may have now, at most those that it wants. `entry` is what it
    /// takes besides them. `None`: not even the smallest fit.
    pub(super) fn grant(&self, wanted: Options, entry: usize) -> Option<Options> {
        let left = self.left().checked_sub(entry)?;
        let granted = shrink(wanted, left / SHARE);
        (granted.bytes() <= left).then_some(granted)
    }

    /// Notes that a connection came.
    pub(super) fn take(&mut self, bytes: usize) {
        self.used += bytes;
    }

    /// Notes that a connection went.
    pub(super) fn give_back(&mut self, bytes: usize) {
        self.used -= bytes;
    }
}

/// Cuts both buffers in proportion, so that together they have about `share` bytes, but neither below
/// its minimum.
fn shrink(wanted: Options, share: usize) -> Options {
    let both = wanted.bytes();
    if both <= share {
        return wanted;
    }
    let cut = |len: usize, min: usize| {
        // All three have at most 31 bits: `Options` are at most a gibibyte each.
        let cut = len as u64 * share as u64 / both as u64;
        (cut as usize).max(len.min(min))
    };
    Options {
        receive_buffer: cut(wanted.receive_buffer, MIN_RECEIVE_BUFFER),
        send_buffer: cut(wanted.send_buffer, MIN_SEND_BUFFER),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: usize = 1000;
    const SMALLEST: usize = MIN_RECEIVE_BUFFER + MIN_SEND_BUFFER;

    fn wanted(receive_buffer: usize, send_buffer: usize) -> Options {
        Options {
            receive_buffer,
            send_buffer,
        }
    }

    /// Grants until there is nothing left: the sizes, in order.
    fn exhaust(budget: &mut Budget, wanted: Options) -> alloc::vec::Vec<usize> {
        let mut sizes = alloc::vec::Vec::new();
        while let Some(granted) = budget.grant(wanted, ENTRY) {
            budget.take(granted.bytes() + ENTRY);
            assert!(budget.used() <= budget.total);
            sizes.push(granted.bytes());
        }
        sizes
    }

    #[test]
    fn a_large_budget_gives_what_is_wanted() {
        let budget = Budget::new(64 << 20);
        let granted = budget.grant(wanted(16_384, 8_192), ENTRY).unwrap();
        assert_eq!(
            (granted.receive_buffer, granted.send_buffer),
            (16_384, 8_192)
        );
    }

    #[test]
    fn buffers_shrink_to_the_smallest_and_then_there_are_none() {
        let mut budget = Budget::new(1 << 20);
        let sizes = exhaust(&mut budget, wanted(16_384, 16_384));
        assert!(sizes[0] > 16_000 && sizes.is_sorted_by(|one, next| one >= next));
        assert_eq!(sizes.last(), Some(&SMALLEST));
        assert!(budget.total - budget.used() < SMALLEST + ENTRY);
        assert!(sizes.len() > 100, "{}", sizes.len());
    }

    #[test]
    fn what_is_given_back_can_be_given_again() {
        let mut budget = Budget::new(SMALLEST + ENTRY);
        assert_eq!(exhaust(&mut budget, wanted(1 << 30, 1 << 30)), [SMALLEST]);
        budget.give_back(SMALLEST + ENTRY);
        assert_eq!(exhaust(&mut budget, wanted(1 << 30, 1 << 30)), [SMALLEST]);
    }

    #[test]
    fn small_wishes_stay_small_and_shares_keep_their_proportion() {
        let budget = Budget::new(1 << 20);
        let small = budget.grant(wanted(100, 1 << 30), ENTRY).unwrap();
        assert_eq!(small.receive_buffer, 100);
        let uneven = budget.grant(wanted(30_000, 10_000), ENTRY).unwrap();
        let (receive, send) = (uneven.receive_buffer, uneven.send_buffer);
        assert!(receive.abs_diff(3 * send) <= 3, "{receive} and {send}");
    }

    #[test]
    fn no_budget_gives_nothing() {
        assert!(Budget::new(0).grant(wanted(1, 1), ENTRY).is_none());
        assert!(Budget::new(ENTRY + 1).grant(wanted(1, 1), ENTRY).is_none());
    }
}
