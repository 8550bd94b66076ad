//! Bytes on their way from an interrupt handler to a task, through atomics only.
//!
//! ```
//! use ukernel::input_ring::InputRing;
//!
//! let ring = InputRing::new();
//! assert!(ring.push(b'a'));
//! let mut buffer = [0; 4];
//! assert_eq!(ring.pop(&mut buffer), 1);
//! assert_eq!(buffer[0], b'a');
//! ```

use core::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

/// Bytes that can wait; a power of two. What comes beyond is refused, and stays in the device.
pub const CAPACITY: usize = 256;

/// A ring with one writer, the handler, and one reader, a task.
#[derive(Debug)]
pub struct InputRing {
    bytes: [AtomicU8; CAPACITY],
    /// How many bytes were ever written, and read; both wrap.
    written: AtomicUsize,
    read: AtomicUsize,
}

impl Default for InputRing {
    fn default() -> InputRing {
        InputRing::new()
    }
}

impl InputRing {
    /// An empty ring.
    pub const fn new() -> InputRing {
        InputRing {
            bytes: [const { AtomicU8::new(0) }; CAPACITY],
            written: AtomicUsize::new(0),
            read: AtomicUsize::new(0),
        }
    }

    /// Whether there is room for a byte. For the writer: room only grows under it.
    pub fn has_room(&self) -> bool {
        let written = self.written.load(Ordering::Relaxed);
        written.wrapping_sub(self.read.load(Ordering::Acquire)) < CAPACITY
    }

    /// Adds a byte; false where there is no room. For the one writer; never waits.
    pub fn push(&self, byte: u8) -> bool {
        if !self.has_room() {
            return false;
        }
        let written = self.written.load(Ordering::Relaxed);
        self.bytes[written % CAPACITY].store(byte, Ordering::Relaxed);
        // Release: whoever sees the number sees the byte.
        self.written
            .store(written.wrapping_add(1), Ordering::Release);
        true
    }

    /// How many bytes were ever added.
    pub fn written(&self) -> usize {
        self.written.load(Ordering::Relaxed)
    }

    /// Takes as many bytes as wait and fit, oldest first; answers how many. For the one reader.
    pub fn pop(&self, buffer: &mut [u8]) -> usize {
        let read = self.read.load(Ordering::Relaxed);
        let waiting = self.written.load(Ordering::Acquire).wrapping_sub(read);
        let count = waiting.min(buffer.len());
        for (offset, byte) in buffer[..count].iter_mut().enumerate() {
            *byte = self.bytes[read.wrapping_add(offset) % CAPACITY].load(Ordering::Relaxed);
        }
        // Release: the writer overwrites bytes only after they were read.
        self.read.store(read.wrapping_add(count), Ordering::Release);
        count
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    #[test]
    fn a_full_ring_refuses_more() {
        let ring = InputRing::new();
        for byte in 0..=255 {
            assert!(ring.push(byte));
        }
        assert!(!ring.has_room() && !ring.push(1));
        assert_eq!(ring.written(), CAPACITY, "what was refused does not count");
        let mut buffer = [9; 300];
        assert_eq!(ring.pop(&mut buffer), CAPACITY);
        assert_eq!((buffer[0], buffer[255]), (0, 255));
        assert_eq!(ring.pop(&mut buffer), 0);
        assert!(ring.has_room() && ring.push(1));
        assert_eq!(ring.written(), CAPACITY + 1);
    }

    #[test]
    fn a_writer_that_interrupts_is_heard_in_order() {
        let ring = InputRing::new();
        let total = if cfg!(miri) { 600u32 } else { 200_000 };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut next = 0;
                while next < total {
                    if ring.push(next as u8) {
                        next += 1;
                    } else {
                        std::thread::yield_now();
                    }
                }
            });
            let mut expected = 0u32;
            let mut buffer = [0; 7];
            while expected < total {
                let count = ring.pop(&mut buffer);
                for &byte in &buffer[..count] {
                    assert_eq!(byte, expected as u8);
                    expected += 1;
                }
                std::thread::yield_now();
            }
        });
    }
}
