//! A table by small integer keys whose growth may fail.
//!
//! TCP keeps its connections in it and UDP its sockets. What peers cause must be refused where there
//! is no memory, which `slab`, otherwise the same, cannot say.

use alloc::collections::TryReserveError;
use alloc::vec::Vec;
use core::ops::{Index, IndexMut};

/// Marks the end of the list of free places.
const NONE: usize = usize::MAX;

#[derive(Debug)]
enum Slot<T> {
    Taken(T),
    /// With the next free place.
    Free(usize),
}

/// Values by key; a key is given out again after its value was removed.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    slots: Vec<Slot<T>>,
    first_free: usize,
    len: usize,
}

impl<T> Slots<T> {
    pub(crate) const fn new() -> Slots<T> {
        Slots {
            slots: Vec::new(),
            first_free: NONE,
            len: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// One more than the largest key there has been.
    pub(crate) fn places(&self) -> usize {
        self.slots.len()
    }

    /// Makes room for one more value, so that the next `insert` does not allocate.
    pub(crate) fn reserve_one(&mut self) -> Result<(), TryReserveError> {
        if self.first_free == NONE {
            self.slots.try_reserve(1)?;
        }
        Ok(())
    }

    /// Adds a value and says under which key. Allocates unless `reserve_one` went before.
    pub(crate) fn insert(&mut self, value: T) -> usize {
        self.len += 1;
        let key = self.first_free;
        match self.slots.get_mut(key) {
            Some(slot) => {
                if let Slot::Free(next) = *slot {
                    self.first_free = next;
                }
                *slot = Slot::Taken(value);
                key
            }
            None => {
                self.slots.push(Slot::Taken(value));
                self.slots.len() - 1
            }
        }
    }

    /// Takes a value out. `None`: there is none.
    pub(crate) fn remove(&mut self, key: usize) -> Option<T> {
        let slot = self.slots.get_mut(key)?;
        match core::mem::replace(slot, Slot::Free(self.first_free)) {
            Slot::Taken(value) => {
                self.first_free = key;
                self.len -= 1;
                Some(value)
            }
            free @ Slot::Free(_) => {
                *slot = free;
                None
            }
        }
    }

    pub(crate) fn get(&self, key: usize) -> Option<&T> {
        match self.slots.get(key)? {
            Slot::Taken(value) => Some(value),
            Slot::Free(_) => None,
        }
    }

    pub(crate) fn get_mut(&mut self, key: usize) -> Option<&mut T> {
        match self.slots.get_mut(key)? {
            Slot::Taken(value) => Some(value),
            Slot::Free(_) => None,
        }
    }

    /// All values and their keys, in the order of the keys.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &T)> {
        let places = self.slots.iter().enumerate();
        places.filter_map(|(key, slot)| match slot {
            Slot::Taken(value) => Some((key, value)),
            Slot::Free(_) => None,
        })
    }

    /// As `iter`, to change them.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (usize, &mut T)> {
        let places = self.slots.iter_mut().enumerate();
        places.filter_map(|(key, slot)| match slot {
            Slot::Taken(value) => Some((key, value)),
            Slot::Free(_) => None,
        })
    }
}

/// # Panics
/// Where there is no such key: whoever holds one holds the value's life, too.
impl<T> Index<usize> for Slots<T> {
    type Output = T;

    fn index(&self, key: usize) -> &T {
        self.get(key).expect("the key's holder has not removed it")
    }
}

impl<T> IndexMut<usize> for Slots<T> {
    fn index_mut(&mut self, key: usize) -> &mut T {
        self.get_mut(key)
            .expect("the key's holder has not removed it")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_removed_key_is_gone_until_it_is_given_out_again() {
        let mut slots = Slots::new();
        let (one, two) = (slots.insert('a'), slots.insert('b'));
        assert_eq!(slots.remove(one), Some('a'));
        assert_eq!((slots.remove(one), slots.get(one)), (None, None));
        assert_eq!(slots.insert('c'), one);
        assert_eq!((slots[one], slots[two], slots.len()), ('c', 'b', 2));
        assert_eq!(slots.remove(99), None);
    }

    proptest! {
        // Miri has no files to remember failures in, and runs a case in a second.
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 4 } else { 256 },
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn behaves_as_a_map(steps in proptest::collection::vec((any::<bool>(), 0_usize..20), 0..200)) {
            let mut slots = Slots::new();
            let mut model = BTreeMap::new();
            for (number, (insert, key)) in steps.into_iter().enumerate() {
                if insert {
                    slots.reserve_one().unwrap();
                    let capacity = slots.slots.capacity();
                    let key = slots.insert(number);
                    prop_assert_eq!(slots.slots.capacity(), capacity);
                    prop_assert_eq!(model.insert(key, number), None);
                    prop_assert!(key < slots.places());
                } else {
                    prop_assert_eq!(slots.remove(key), model.remove(&key));
                }
                let all: Vec<_> = slots.iter().map(|(key, value)| (key, *value)).collect();
                prop_assert_eq!(all, model.clone().into_iter().collect::<Vec<_>>());
                prop_assert_eq!(slots.len(), model.len());
            }
        }
    }
}
