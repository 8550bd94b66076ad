//! A ring of bytes that takes whole lines: what waits to go out on the serial port.
//!
//! ```
//! use ukernel::log::ring::Ring;
//!
//! let mut ring: Ring<16> = Ring::new();
//! assert!(ring.push_line(b"hello\n"));
//! assert!(!ring.push_line(b"does not fit\n"));
//! assert_eq!(ring.front(), b"hello\n");
//! ring.consume(6);
//! assert!(ring.is_empty());
//! ```

/// A ring of `N` bytes.
#[derive(Debug)]
pub struct Ring<const N: usize> {
    bytes: [u8; N],
    /// Where the oldest byte is.
    start: usize,
    len: usize,
    /// Lines that did not fit since `clear_dropped`.
    dropped: u64,
}

impl<const N: usize> Default for Ring<N> {
    fn default() -> Ring<N> {
        Ring::new()
    }
}

impl<const N: usize> Ring<N> {
    /// An empty ring.
    pub const fn new() -> Ring<N> {
        Ring {
            bytes: [0; N],
            start: 0,
            len: 0,
            dropped: 0,
        }
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many bytes wait.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether a line of `length` bytes fits now.
    pub fn has_room(&self, length: usize) -> bool {
        length <= N - self.len
    }

    /// Adds a line, its line break included. False where it does not fit whole: it is dropped then
    /// and counted.
    pub fn push_line(&mut self, line: &[u8]) -> bool {
        if !self.has_room(line.len()) {
            self.dropped += 1;
            return false;
        }
        let end = (self.start + self.len) % N;
        let first = line.len().min(N - end);
        self.bytes[end..end + first].copy_from_slice(&line[..first]);
        self.bytes[..line.len() - first].copy_from_slice(&line[first..]);
        self.len += line.len();
        true
    }

    /// How many lines were dropped since `clear_dropped`.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Begins to count dropped lines anew.
    pub fn clear_dropped(&mut self) {
        self.dropped = 0;
    }

    /// The oldest bytes that lie in one piece; empty only where the ring is.
    pub fn front(&self) -> &[u8] {
        let piece = self.len.min(N - self.start);
        &self.bytes[self.start..self.start + piece]
    }

    /// Removes the oldest `count` bytes, or as many as there are.
    pub fn consume(&mut self, count: usize) {
        let count = count.min(self.len);
        self.start = (self.start + count) % N;
        self.len -= count;
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    #[test]
    fn counts_what_it_drops() {
        let mut ring: Ring<8> = Ring::new();
        assert!(ring.push_line(b"1234567\n"));
        assert!(!ring.has_room(1) && ring.has_room(0));
        assert!(!ring.push_line(b"\n"));
        assert!(!ring.push_line(b"\n"));
        assert_eq!(ring.dropped(), 2);
        ring.clear_dropped();
        assert_eq!(ring.dropped(), 0);
    }

    proptest! {
        #![proptest_config(crate::property::cases(256))]

        /// What comes out is what went in, whole lines only, in order.
        #[test]
        fn keeps_order_and_whole_lines(steps in prop::collection::vec((0usize..14, 0usize..20), 0..60)) {
            let mut ring: Ring<32> = Ring::new();
            let (mut expected, mut found): (Vec<u8>, Vec<u8>) = Default::default();
            for (index, (line, read)) in steps.into_iter().enumerate() {
                let text: Vec<u8> = (0..line).map(|i| (index + i) as u8).collect();
                if ring.push_line(&text) {
                    expected.extend(&text);
                }
                let count = ring.front().len().min(read);
                found.extend(&ring.front()[..count]);
                ring.consume(count);
            }
            while !ring.is_empty() {
                let front: Vec<u8> = ring.front().into();
                found.extend(&front);
                ring.consume(front.len());
            }
            prop_assert_eq!(expected, found);
        }
    }
}
