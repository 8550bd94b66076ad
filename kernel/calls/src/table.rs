//! The table behind handles: places with generations, each of which names at most one object, ever.
//!
//! A place that has used up its generations is never used again, so no handle comes back to life.
//!
//! ```
//! use abi::handle::Tag;
//! use calls::table::Table;
//! let mut table: Table<&str> = Table::new(2);
//! let first = table.insert(Tag::Net, "a").unwrap();
//! assert_eq!(table.get(first), Some(&"a"));
//! assert_eq!(table.remove(first), Some("a"));
//! let second = table.insert(Tag::Net, "b").unwrap();
//! assert_ne!(first, second);
//! assert_eq!(table.get(first), None);
//! ```

use alloc::vec::Vec;

use abi::handle::{Handle, MAX_INDEX, Tag};

/// A table of objects, found by handles.
#[derive(Debug)]
pub struct Table<T> {
    places: Vec<Place<T>>,
    /// The free place that was used last; places are linked through `Place::next_free`.
    first_free: Option<u32>,
    limit: usize,
    len: usize,
}

#[derive(Debug)]
struct Place<T> {
    /// Of the object that is here, or of the next one.
    generation: u16,
    next_free: Option<u32>,
    /// With its handle, so that finding it is one comparison.
    object: Option<(Handle, T)>,
}

impl<T> Table<T> {
    /// A table of at most `limit` objects at a time. Over its life it gives about a million million handles: as many
    /// as indices and generations can tell apart.
    pub const fn new(limit: usize) -> Table<T> {
        Table {
            places: Vec::new(),
            first_free: None,
            limit,
            len: 0,
        }
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Puts an object in; gives it back where the table is full or memory is short.
    ///
    /// # Errors
    /// The object.
    pub fn insert(&mut self, tag: Tag, object: T) -> Result<Handle, T> {
        let Some(index) = self.free_place() else {
            return Err(object);
        };
        let place = &mut self.places[index as usize];
        self.first_free = place.next_free.take();
        let handle = Handle::object(tag, index, place.generation);
        place.object = Some((handle, object));
        self.len += 1;
        Ok(handle)
    }

    /// The object of a handle, if it is there.
    pub fn get(&self, handle: Handle) -> Option<&T> {
        let place = self.places.get(handle.index() as usize)?;
        let (known, object) = place.object.as_ref()?;
        (*known == handle).then_some(object)
    }

    /// Takes an object out; its handle is stale from now on.
    pub fn remove(&mut self, handle: Handle) -> Option<T> {
        self.get(handle)?;
        let index = handle.index();
        let place = &mut self.places[index as usize];
        let (_, object) = place.object.take()?;
        self.len -= 1;
        // A place whose generations are used up stays empty for good.
        if place.generation < u16::MAX {
            place.generation += 1;
            place.next_free = self.first_free.replace(index);
        }
        Some(object)
    }

    /// All handles that are good now.
    pub fn handles(&self) -> impl Iterator<Item = Handle> + '_ {
        let objects = self.places.iter().filter_map(|place| place.object.as_ref());
        objects.map(|(handle, _)| *handle)
    }

    /// A free place, which stays first in the list.
    fn free_place(&mut self) -> Option<u32> {
        if self.len >= self.limit {
            return None;
        }
        if self.first_free.is_none() {
            let index = self.places.len() as u32;
            if index > MAX_INDEX || self.places.try_reserve(1).is_err() {
                return None;
            }
            self.places.push(Place {
                generation: 1,
                next_free: None,
                object: None,
            });
            self.first_free = Some(index);
        }
        self.first_free
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::collections::HashMap;

    #[cfg_attr(miri, ignore = "uses up all generations")]
    #[test]
    fn a_place_is_retired_before_a_handle_comes_back() {
        let mut table = Table::new(1);
        let first = table.insert(Tag::Io, 0).unwrap();
        assert_eq!(table.insert(Tag::Io, 1), Err(1), "full");
        table.remove(first);
        let mut last = first;
        for round in 1..u32::from(u16::MAX) {
            last = table.insert(Tag::Io, round).unwrap();
            assert_ne!(last, first);
            assert_eq!(last.as_object().map(|(_, index, _)| index), Some(0));
            assert_eq!(table.remove(last), Some(round));
        }
        assert_eq!(last.as_object().map(|object| object.2), Some(u16::MAX));
        let next = table.insert(Tag::Io, 7).unwrap();
        assert_eq!(next.as_object(), Some((Tag::Io, 1, 1)));
    }

    #[test]
    fn a_handle_of_another_kind_finds_nothing() {
        let mut table = Table::new(4);
        let net = table.insert(Tag::Net, ()).unwrap();
        let (_, index, generation) = net.as_object().unwrap();
        for tag in Tag::ALL.into_iter().filter(|tag| *tag != Tag::Net) {
            assert_eq!(table.get(Handle::object(tag, index, generation)), None);
        }
    }

    proptest::proptest! {
        /// Against a map from every handle ever given.
        #[test]
        fn agrees_with_a_map(steps in proptest::collection::vec((0u8..3, 0usize..64), 0..200)) {
            let mut table = Table::new(16);
            let mut given: std::vec::Vec<Handle> = std::vec::Vec::new();
            let mut live = HashMap::new();
            for (number, (action, which)) in steps.into_iter().enumerate() {
                if action == 0 {
                    match table.insert(Tag::ALL[which % 4], number) {
                        Ok(handle) => {
                            assert!(!given.contains(&handle), "given twice");
                            given.push(handle);
                            live.insert(handle, number);
                        }
                        Err(_) => assert_eq!(live.len(), 16),
                    }
                } else if let Some(&handle) = given.get(which) {
                    let expected = if action == 1 { live.remove(&handle) } else { live.get(&handle).copied() };
                    let found = if action == 1 { table.remove(handle) } else { table.get(handle).copied() };
                    assert_eq!(found, expected);
                }
                assert_eq!(table.len(), live.len());
                assert_eq!(table.handles().count(), live.len());
            }
        }
    }
}
