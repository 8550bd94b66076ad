//! TIME-WAIT without buffers (RFC 9293 §3.6.1).
//!
//! A connection whose stream is gone and which only waits for late segments is worth a few dozen
//! bytes, not a socket. The table keeps the flow; this keeps their order and their end.

use alloc::collections::VecDeque;
use reactor::time::Instant;
use smoltcp::wire::TcpRepr;

use super::by_hand::segment;
use super::flow::Flow;
use crate::packet::{IpHead, flags};

/// Flows in TIME-WAIT, oldest first. All wait equally long, so the oldest ends first.
#[derive(Debug, Default)]
pub(crate) struct TimeWait {
    waiting: VecDeque<(Instant, Flow)>,
}

impl TimeWait {
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn earliest(&self) -> Option<Instant> {
        self.waiting.front().map(|(until, _)| *until)
    }

    /// Whether another one fits, after growing where there is memory for it.
    pub(crate) fn has_room(&mut self) -> bool {
        self.waiting.try_reserve(1).is_ok()
    }

    /// Adds the latest. Only while there [is room](Self::has_room).
    pub(crate) fn push(&mut self, until: Instant, flow: Flow) {
        self.waiting.push_back((until, flow));
    }

    /// Takes the oldest if its time is over.
    pub(crate) fn pop_over(&mut self, now: Instant) -> Option<(Instant, Flow)> {
        if self.earliest()? > now {
            None
        } else {
            self.pop_oldest()
        }
    }

    pub(crate) fn pop_oldest(&mut self) -> Option<(Instant, Flow)> {
        self.waiting.pop_front()
    }
}

/// What acknowledges a segment that comes after the end (RFC 9293 §3.10.7.4). It follows from the
/// segment itself, so nothing else has to be remembered. `None`: nothing to acknowledge.
pub(super) fn late_answer(head: &IpHead<'_>, bits: u8) -> Option<TcpRepr<'static>> {
    let (sequence, len) = head.sequence_space()?;
    if bits & flags::RST != 0 || bits & flags::ACK == 0 || len == 0 {
        return None;
    }
    let (source, destination) = head.ports()?;
    let (next, expected) = (head.acknowledged()?, sequence.wrapping_add(len));
    Some(segment(destination, source, next, expected))
}

/// RFC 9293 §3.10.7.4, TIME-WAIT: a SYN beyond the old sequence space opens a new connection.
pub(super) fn is_later(head: &IpHead<'_>, sequence: u32) -> bool {
    head.sequence_space()
        .is_some_and(|(new, _)| (new.wrapping_sub(sequence) as i32) > 0)
}
