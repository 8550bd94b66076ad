//! TIME-WAIT without buffers (RFC 9293 §3.6.1).
//!
//! A connection whose stream is gone and which only waits for late segments is worth a few dozen
//! bytes, not a socket. The table keeps the flow; this keeps their order and their end.

use alloc::collections::VecDeque;
use reactor::time::Instant;

use super::flow::Flow;

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
