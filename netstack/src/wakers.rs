//! Tasks that wait for one thing, any number of them.
//!
//! Listeners, UDP sockets and the address configuration use it, since several tasks may wait for
//! the same one. Streams use smoltcp's two slots: their halves have one owner each.

use alloc::vec::Vec;
use core::task::Waker;

/// Wakers to be woken together, once each.
#[derive(Debug, Default)]
pub(crate) struct Wakers {
    waiting: Vec<Waker>,
}

impl Wakers {
    /// Registers a task; once, however often it asks. Bounded by the tasks there are.
    pub(crate) fn register(&mut self, waker: &Waker) {
        if !self.waiting.iter().any(|known| known.will_wake(waker)) {
            self.waiting.push(waker.clone());
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Wakes everybody and forgets them; the room stays allocated.
    pub(crate) fn wake_all(&mut self) {
        for waker in self.waiting.drain(..) {
            waker.wake();
        }
    }
}
