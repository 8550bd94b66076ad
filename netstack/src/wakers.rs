//! Tasks that wait for one thing, any number of them.
//!
//! Connections, listeners, UDP sockets and the address configuration use it, since several tasks may
//! wait for the same one. Nearly always it is one task, for which nothing is allocated: a peer that
//! opens connections must not make memory for their waiters grow, too.

use alloc::vec::Vec;
use core::task::Waker;

/// Wakers to be woken together, once each.
#[derive(Debug, Default)]
pub(crate) struct Wakers {
    first: Option<Waker>,
    others: Vec<Waker>,
}

impl Wakers {
    /// Registers a task; once, however often it asks. Bounded by the tasks there are.
    pub(crate) fn register(&mut self, waker: &Waker) {
        match &self.first {
            None => self.first = Some(waker.clone()),
            Some(first) if first.will_wake(waker) => {}
            Some(_) if self.others.iter().any(|known| known.will_wake(waker)) => {}
            Some(_) => self.others.push(waker.clone()),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// Wakes everybody and forgets them; the room stays allocated.
    pub(crate) fn wake_all(&mut self) {
        if let Some(first) = self.first.take() {
            first.wake();
        }
        for waker in self.others.drain(..) {
            waker.wake();
        }
    }
}
