//! Things by address, in order, so that an address inside one finds it.
//!
//! A treap: a search tree by address that is a heap by random priorities, which keeps it flat. Its nodes lie in one
//! vector, because that can say that memory is short; the standard library's ordered map cannot. A node keeps its
//! place for as long as it is there. Priorities need not be secret: a program that guesses them slows down itself.

use alloc::vec::Vec;

/// The most things in a map. Beyond, nothing is put in.
const MAX_NODES: usize = 1 << 24;
/// No node.
const NONE: u32 = u32::MAX;

/// A place in a map, as long as what was put there is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Slot(u32);

#[cfg(test)]
impl Slot {
    /// A place for tests of what only keeps places.
    pub(crate) fn number(number: u32) -> Slot {
        Slot(number)
    }
}

/// Things by address.
#[derive(Debug)]
pub(crate) struct AddressMap<T> {
    nodes: Vec<Node<T>>,
    root: u32,
    /// Nodes that hold nothing, linked through `lower`.
    free: u32,
    /// Where the priorities come from.
    count: u32,
}

#[derive(Debug)]
struct Node<T> {
    address: usize,
    priority: u32,
    /// The node that points at it.
    above: u32,
    lower: u32,
    upper: u32,
    value: Option<T>,
}

/// What points at a node.
#[derive(Clone, Copy)]
enum Link {
    Root,
    Lower(u32),
    Upper(u32),
}

impl<T> Default for AddressMap<T> {
    fn default() -> AddressMap<T> {
        AddressMap {
            nodes: Vec::new(),
            root: NONE,
            free: NONE,
            count: 0,
        }
    }
}

impl<T> AddressMap<T> {
    /// Puts something in at an address that has nothing. Gives it back where memory is short.
    pub(crate) fn insert(&mut self, address: usize, value: T) -> Result<Slot, T> {
        let Some(slot) = self.free_node() else {
            return Err(value);
        };
        let priority = self.next_priority();
        let link = self.place_of(address, priority);
        let below = self.follow(link);
        let node = &mut self.nodes[slot as usize];
        self.free = node.lower;
        (node.address, node.priority, node.value) = (address, priority, Some(value));
        self.point(link, slot);
        self.split(below, slot);
        Ok(Slot(slot))
    }

    /// Takes out what is in a place.
    pub(crate) fn remove(&mut self, slot: Slot) -> Option<T> {
        let node = self.nodes.get_mut(slot.0 as usize)?;
        let value = node.value.take()?;
        let (lower, upper) = (node.lower, node.upper);
        let link = self.link_to(slot.0);
        self.merge(link, lower, upper);
        self.nodes[slot.0 as usize].lower = core::mem::replace(&mut self.free, slot.0);
        Some(value)
    }

    /// The place of what begins at an address.
    pub(crate) fn at(&self, address: usize) -> Option<Slot> {
        let mut at = self.root;
        while let Some(node) = self.nodes.get(at as usize) {
            if node.address == address {
                return Some(Slot(at));
            }
            at = if address < node.address {
                node.lower
            } else {
                node.upper
            };
        }
        None
    }

    /// The last thing that begins at an address or before it.
    pub(crate) fn at_or_below(&self, address: usize) -> Option<(Slot, usize)> {
        let (mut at, mut best) = (self.root, None);
        while let Some(node) = self.nodes.get(at as usize) {
            if node.address <= address {
                best = Some((Slot(at), node.address));
                at = node.upper;
            } else {
                at = node.lower;
            }
        }
        best
    }

    /// What is in a place.
    pub(crate) fn get(&self, slot: Slot) -> Option<&T> {
        self.nodes.get(slot.0 as usize)?.value.as_ref()
    }

    /// The same, to change it.
    pub(crate) fn get_mut(&mut self, slot: Slot) -> Option<&mut T> {
        self.nodes.get_mut(slot.0 as usize)?.value.as_mut()
    }

    /// What points at the place in the tree of a new node.
    fn place_of(&self, address: usize, priority: u32) -> Link {
        let (mut link, mut at) = (Link::Root, self.root);
        while let Some(node) = self.nodes.get(at as usize)
            && node.priority >= priority
        {
            (link, at) = if address < node.address {
                (Link::Lower(at), node.lower)
            } else {
                (Link::Upper(at), node.upper)
            };
        }
        link
    }

    /// Hangs a tree below a new node, split at its address.
    fn split(&mut self, tree: u32, slot: u32) {
        let address = self.nodes[slot as usize].address;
        let (mut at, mut lower, mut upper) = (tree, Link::Lower(slot), Link::Upper(slot));
        while at != NONE {
            let node = &self.nodes[at as usize];
            if node.address < address {
                let next = node.upper;
                self.point(lower, at);
                (lower, at) = (Link::Upper(at), next);
            } else {
                let next = node.lower;
                self.point(upper, at);
                (upper, at) = (Link::Lower(at), next);
            }
        }
        self.point(lower, NONE);
        self.point(upper, NONE);
    }

    /// Hangs two trees, the first of which is below the second, where one node was.
    fn merge(&mut self, mut link: Link, mut lower: u32, mut upper: u32) {
        while lower != NONE && upper != NONE {
            let (low, up) = (&self.nodes[lower as usize], &self.nodes[upper as usize]);
            if low.priority > up.priority {
                let next = low.upper;
                self.point(link, lower);
                (link, lower) = (Link::Upper(lower), next);
            } else {
                let next = up.lower;
                self.point(link, upper);
                (link, upper) = (Link::Lower(upper), next);
            }
        }
        self.point(link, if lower == NONE { upper } else { lower });
    }

    fn follow(&self, link: Link) -> u32 {
        match link {
            Link::Root => self.root,
            Link::Lower(slot) => self.nodes[slot as usize].lower,
            Link::Upper(slot) => self.nodes[slot as usize].upper,
        }
    }

    fn point(&mut self, link: Link, to: u32) {
        let above = match link {
            Link::Root => {
                self.root = to;
                NONE
            }
            Link::Lower(slot) => {
                self.nodes[slot as usize].lower = to;
                slot
            }
            Link::Upper(slot) => {
                self.nodes[slot as usize].upper = to;
                slot
            }
        };
        if let Some(node) = self.nodes.get_mut(to as usize) {
            node.above = above;
        }
    }

    /// What points at a node that is in the tree.
    fn link_to(&self, slot: u32) -> Link {
        let above = self.nodes[slot as usize].above;
        match self.nodes.get(above as usize) {
            None => Link::Root,
            Some(node) if node.lower == slot => Link::Lower(above),
            Some(_) => Link::Upper(above),
        }
    }

    /// A node that holds nothing; it stays first among the free ones.
    fn free_node(&mut self) -> Option<u32> {
        if self.free == NONE {
            if self.nodes.len() >= MAX_NODES || self.nodes.try_reserve(1).is_err() {
                return None;
            }
            self.free = self.nodes.len() as u32;
            self.nodes.push(Node {
                address: 0,
                priority: 0,
                above: NONE,
                lower: NONE,
                upper: NONE,
                value: None,
            });
        }
        Some(self.free)
    }

    /// Numbers without a pattern, the same in each run: a counter, mixed as in SplitMix with 32 bits.
    fn next_priority(&mut self) -> u32 {
        self.count = self.count.wrapping_add(0x9e37_79b9);
        let mixed = (self.count ^ self.count >> 16).wrapping_mul(0x85eb_ca6b);
        let mixed = (mixed ^ mixed >> 13).wrapping_mul(0xc2b2_ae35);
        mixed ^ mixed >> 16
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    impl<T> AddressMap<T> {
        /// How many things there are.
        pub(crate) fn len(&self) -> usize {
            self.iter().count()
        }

        /// All of them, in no order.
        pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
            self.nodes.iter().filter_map(|node| node.value.as_ref())
        }

        /// The longest way from the root; checks that addresses and priorities are in order.
        fn depth(&self, at: u32) -> usize {
            let Some(node) = self.nodes.get(at as usize) else {
                return 0;
            };
            for (child, in_order) in [
                (node.lower, (|a, b| a < b) as fn(usize, usize) -> bool),
                (node.upper, |a, b| a > b),
            ] {
                if let Some(child) = self.nodes.get(child as usize) {
                    assert_eq!(child.above, at);
                    assert!(in_order(child.address, node.address));
                    assert!(child.priority <= node.priority);
                }
            }
            1 + self.depth(node.lower).max(self.depth(node.upper))
        }
    }

    #[test]
    fn addresses_in_order_make_a_flat_tree() {
        let mut map = AddressMap::default();
        let count = if cfg!(miri) { 64 } else { 4096 };
        for address in 0..count {
            map.insert(address, ()).unwrap();
        }
        // 12 would be a perfect tree; a list would be 4096.
        let depth = map.depth(map.root);
        assert!(depth < 40, "{depth}");
    }

    #[test]
    fn places_are_used_again() {
        let mut map = AddressMap::default();
        for round in 0..100 {
            let slot = map.insert(round, round).unwrap();
            assert_eq!(map.remove(slot), Some(round));
            assert_eq!((map.remove(slot), map.at(round)), (None, None));
        }
        assert_eq!(map.nodes.len(), 1);
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 256 }))]
        #[test]
        fn agrees_with_an_ordered_map(steps in proptest::collection::vec((0u8..3, 0usize..64), 0..200)) {
            let (mut map, mut model) = (AddressMap::default(), BTreeMap::new());
            for (action, address) in steps {
                match action {
                    0 if !model.contains_key(&address) => {
                        let slot = map.insert(address, address * 2).unwrap();
                        assert_eq!(map.get(slot), Some(&(address * 2)));
                        model.insert(address, slot);
                    }
                    1 => {
                        let slot = map.at(address);
                        assert_eq!(slot, model.remove(&address));
                        let removed = slot.and_then(|slot| map.remove(slot));
                        assert_eq!(removed, slot.map(|_| address * 2));
                    }
                    _ => {
                        let expected = model.range(..=address).next_back();
                        assert_eq!(map.at_or_below(address), expected.map(|(at, slot)| (*slot, *at)));
                    }
                }
                map.depth(map.root);
            }
        }
    }
}
