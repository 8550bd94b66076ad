//! The next deadline of each connection, and the earliest of all.
//!
//! The engine moves a connection's deadline each time it has looked at it; the Runner sleeps until
//! the earliest. A deadline that moves away, as nearly every segment makes it do, is left where it is:
//! the connection is then looked at once too early, which sets it right. A binary heap that knows where each key stands: moving a deadline costs at most
//! log2 of the connections that have one, a dozen steps at ten thousand, and usually two or three,
//! since a deadline moves among its neighbours in time. Nothing is allocated once it has grown. One
//! reactor timer per connection would be O(1), but needs a waker per connection that can be shared
//! between threads, which costs more than the steps it saves.

use alloc::collections::TryReserveError;
use alloc::vec::Vec;
use reactor::time::Instant;

const ABSENT: u32 = u32::MAX;

/// Deadlines by small integer keys, earliest first.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    heap: Vec<(Instant, usize)>,
    /// Where each key stands in `heap`.
    positions: Vec<u32>,
}

impl Deadlines {
    /// The earliest deadline.
    pub(crate) fn earliest(&self) -> Option<Instant> {
        self.heap.first().map(|(at, _)| *at)
    }

    /// Takes a key whose deadline has come.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<usize> {
        let (at, key) = *self.heap.first()?;
        if at > now {
            return None;
        }
        self.set(key, None);
        Some(key)
    }

    /// Makes room for `count` deadlines with keys below `places`, so that `set` does not allocate.
    pub(crate) fn reserve(&mut self, count: usize, places: usize) -> Result<(), TryReserveError> {
        self.heap
            .try_reserve(count.saturating_sub(self.heap.len()))?;
        self.positions
            .try_reserve(places.saturating_sub(self.positions.len()))
    }

    /// Sets or clears the deadline of `key`, or moves it nearer: an earlier one stays. Allocates unless
    /// `reserve` made room for it.
    pub(crate) fn set(&mut self, key: usize, deadline: Option<Instant>) {
        if self.positions.len() <= key {
            self.positions.resize(key + 1, ABSENT);
        }
        match (self.positions[key], deadline) {
            (ABSENT, None) => {}
            (ABSENT, Some(at)) => {
                self.heap.push((at, key));
                self.positions[key] = (self.heap.len() - 1) as u32;
                self.rise(self.heap.len() - 1);
            }
            (position, Some(at)) => self.move_nearer(position as usize, at),
            (position, None) => self.remove(position as usize),
        }
    }

    fn move_nearer(&mut self, position: usize, at: Instant) {
        let current = &mut self.heap[position].0;
        if at < *current {
            *current = at;
            self.rise(position);
        }
    }

    fn remove(&mut self, position: usize) {
        let (_, key) = self.heap.swap_remove(position);
        self.positions[key] = ABSENT;
        if position < self.heap.len() {
            self.positions[self.heap[position].1] = position as u32;
            self.rise(position);
            self.sink(position);
        }
    }

    fn rise(&mut self, mut position: usize) {
        while position > 0 {
            let parent = (position - 1) / 2;
            if self.heap[parent].0 <= self.heap[position].0 {
                return;
            }
            self.swap(parent, position);
            position = parent;
        }
    }

    fn sink(&mut self, mut position: usize) {
        loop {
            let left = 2 * position + 1;
            let mut least = position;
            for child in [left, left + 1] {
                if child < self.heap.len() && self.heap[child].0 < self.heap[least].0 {
                    least = child;
                }
            }
            if least == position {
                return;
            }
            self.swap(least, position);
            position = least;
        }
    }

    fn swap(&mut self, one: usize, other: usize) {
        self.heap.swap(one, other);
        self.positions[self.heap[one].1] = one as u32;
        self.positions[self.heap[other].1] = other as u32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn at(nanos: u64) -> Instant {
        Instant::from_nanos(nanos)
    }

    #[test]
    fn nothing_is_due_before_its_time() {
        let mut deadlines = Deadlines::default();
        deadlines.set(7, Some(at(10)));
        assert_eq!(deadlines.pop_due(at(9)), None);
        assert_eq!(deadlines.pop_due(at(10)), Some(7));
        assert_eq!(deadlines.pop_due(at(11)), None);
        assert_eq!(deadlines.earliest(), None);
    }

    proptest! {
        // Miri has no files to remember failures in, and runs a case in a second.
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 4 } else { 256 },
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn behaves_as_a_sorted_map_of_the_nearest(steps in proptest::collection::vec(
            (0_usize..40, proptest::option::of(0_u64..1000)), 1..400,
        )) {
            let mut deadlines = Deadlines::default();
            let mut model = BTreeMap::new();
            for (key, deadline) in steps {
                deadlines.set(key, deadline.map(at));
                match deadline {
                    Some(nanos) => {
                        let nearest = model.entry(key).or_insert(nanos);
                        *nearest = nanos.min(*nearest);
                    }
                    None => drop(model.remove(&key)),
                }
                prop_assert_eq!(deadlines.earliest(), model.values().min().map(|nanos| at(*nanos)));
            }
            let mut last = 0;
            while let Some(key) = deadlines.pop_due(at(1000)) {
                let nanos = model.remove(&key).unwrap();
                prop_assert!(nanos >= last);
                last = nanos;
            }
            prop_assert!(model.is_empty());
        }
    }
}
