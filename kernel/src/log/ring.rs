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
    /// The last byte is text that is no line of the log, and no line break.
    in_text: bool,
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
            in_text: false,
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
        length + usize::from(self.in_text) <= N - self.len
    }

    /// Whether the next line has to end what text has begun.
    pub fn is_in_text(&self) -> bool {
        self.in_text
    }

    /// Adds a line, its line break included, on a line of its own. False where it does not fit whole: it is dropped
    /// then and counted.
    pub fn push_line(&mut self, line: &[u8]) -> bool {
        if !self.has_room(line.len()) {
            self.dropped += 1;
            return false;
        }
        if core::mem::take(&mut self.in_text) {
            self.push(b"\n");
        }
        self.push(line);
        true
    }

    /// Adds text that is none of the log's, from the first byte on, as much as fits if `kept` bytes stay free for the
    /// log; answers how much.
    pub fn push_text(&mut self, text: &[u8], kept: usize) -> usize {
        let room = N.saturating_sub(self.len + kept);
        let text = &text[..text.len().min(room)];
        self.push(text);
        if let Some(last) = text.last() {
            self.in_text = *last != b'\n';
        }
        text.len()
    }

    /// Adds bytes for which there is room.
    fn push(&mut self, bytes: &[u8]) {
        let end = (self.start + self.len) % N;
        let first = bytes.len().min(N - end);
        self.bytes[end..end + first].copy_from_slice(&bytes[..first]);
        self.bytes[..bytes.len() - first].copy_from_slice(&bytes[first..]);
        self.len += bytes.len();
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

    #[test]
    fn a_line_begins_where_text_has_ended() {
        let mut ring: Ring<32> = Ring::new();
        assert_eq!(ring.push_text(b"how", 0), 3);
        assert!(ring.is_in_text() && ring.push_line(b"[log]\n"));
        assert_eq!(ring.push_text(b"ever\n", 0), 5);
        assert!(!ring.is_in_text() && ring.push_line(b"[log]\n"));
        assert_eq!(ring.push_text(b"", 0), 0);
        assert_eq!(ring.front(), b"how\n[log]\never\n[log]\n");
    }

    #[test]
    fn text_leaves_room_for_the_log() {
        let mut ring: Ring<16> = Ring::new();
        assert_eq!(ring.push_text(b"0123456789abcdef", 8), 8);
        assert_eq!(ring.push_text(b"x", 8), 0);
        assert!(!ring.has_room(8), "the break before the line counts");
        assert!(ring.push_line(b"1234567"));
        assert_eq!(ring.push_text(b"x", 8), 0);
        ring.consume(16);
        assert_eq!(ring.push_text(b"x", 8), 1);
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
