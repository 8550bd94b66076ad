//! The connections to be looked at, and which of them in this turn.
//!
//! The table keeps two: of connections through the device, and of those to ourselves. What is put
//! at its end during a turn waits for the next one.

use alloc::collections::{TryReserveError, VecDeque};

/// Keys of connections, in the order in which they are looked at. A connection is in it once.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    keys: VecDeque<usize>,
    /// How many of the first ones are for this turn.
    now: usize,
}

impl Agenda {
    /// Makes room for `count` keys, so that nothing below allocates.
    pub(super) fn reserve(&mut self, count: usize) -> Result<(), TryReserveError> {
        self.keys.try_reserve(count.saturating_sub(self.keys.len()))
    }

    /// A turn begins: whatever is here by now is for it.
    pub(super) fn begin_turn(&mut self) {
        self.now = self.keys.len();
    }

    /// Adds a key for the next turn.
    pub(super) fn push(&mut self, key: usize) {
        self.keys.push_back(key);
    }

    /// Adds a key in front of the others, for this turn.
    pub(super) fn push_first(&mut self, key: usize) {
        self.keys.push_front(key);
        self.now += 1;
    }

    /// Whether there is one for this turn.
    pub(super) fn is_due(&self) -> bool {
        self.now > 0
    }

    /// Takes the next key that is for this turn.
    pub(super) fn pop(&mut self) -> Option<usize> {
        self.now = self.now.checked_sub(1)?;
        self.keys.pop_front()
    }

    /// Whether there is none, for whichever turn.
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_during_a_turn_waits_for_the_next_unless_it_is_put_first() {
        let mut agenda = Agenda::default();
        agenda.push(1);
        agenda.push(2);
        assert_eq!(agenda.pop(), None);
        agenda.begin_turn();
        assert_eq!(agenda.pop(), Some(1));
        agenda.push(3);
        agenda.push_first(4);
        assert_eq!(
            [agenda.pop(), agenda.pop(), agenda.pop()],
            [Some(4), Some(2), None]
        );
        assert!(!agenda.is_empty());
        agenda.begin_turn();
        assert_eq!([agenda.pop(), agenda.pop()], [Some(3), None]);
        assert!(agenda.is_empty());
    }
}
