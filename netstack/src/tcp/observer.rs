//! Watches the segments that a connection sends.
//!
//! smoltcp does not say when it repeats itself, so each segment's sequence number is compared with
//! the highest one sent. The engine counts repetitions, and starts congestion control at the first.

use smoltcp::wire::{IPV4_HEADER_LEN, IPV6_HEADER_LEN};

use crate::link::hop::HopCache;
use crate::packet::sequence_space;

/// What a connection's packets pass on their way out.
#[derive(Debug, Default)]
pub(crate) struct Sender {
    pub(crate) observer: Observer,
    pub(crate) hop: HopCache,
}

/// The sequence space a connection has used, and how often it went back in it.
#[derive(Debug, Default)]
pub(crate) struct Observer {
    /// One past the highest sequence number sent.
    next: Option<u32>,
    repeated: u64,
}

impl Observer {
    /// Sees an IP packet of smoltcp's with a TCP segment: nothing else is in it, and no options of IP.
    pub(crate) fn sent(&mut self, packet: &[u8]) {
        let header = match packet.first() {
            Some(0x45) => IPV4_HEADER_LEN,
            _ => IPV6_HEADER_LEN,
        };
        let segment = packet.get(header..);
        if let Some((sequence, len)) = segment.and_then(sequence_space) {
            self.segment(sequence, len);
        }
    }

    /// Whether a sequence number is one of the last `len` that were sent.
    pub(crate) fn is_within(&self, sequence: u32, len: usize) -> bool {
        let before = |next: u32| next.wrapping_sub(sequence) as usize;
        self.next
            .is_some_and(|next| (1..=len).contains(&before(next)))
    }

    /// Repetitions since the last call.
    pub(crate) fn take_repeated(&mut self) -> u64 {
        core::mem::take(&mut self.repeated)
    }

    fn segment(&mut self, sequence: u32, len: u32) {
        if len == 0 {
            return;
        }
        let end = sequence.wrapping_add(len);
        let Some(next) = self.next else {
            self.next = Some(end);
            return;
        };
        let behind = (sequence.wrapping_sub(next) as i32) < 0;
        // A keep-alive repeats the last byte (RFC 9293 §3.8.4), whether or not that was data.
        let keep_alive = len == 1 && end == next;
        if behind && !keep_alive {
            self.repeated += 1;
        }
        if (end.wrapping_sub(next) as i32) > 0 {
            self.next = Some(end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_goes_back_is_a_repetition() {
        let mut observer = Observer::default();
        observer.segment(u32::MAX - 1, 1);
        observer.segment(u32::MAX, 100);
        observer.segment(99, 0);
        observer.segment(98, 1);
        assert_eq!(observer.take_repeated(), 0);
        observer.segment(u32::MAX, 100);
        observer.segment(99, 10);
        assert_eq!(observer.take_repeated(), 1);
        assert_eq!(observer.take_repeated(), 0);
    }
}
