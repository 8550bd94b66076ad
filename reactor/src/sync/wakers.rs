//! Tasks that wait for one thing, any number of them, to be woken together.
//!
//! Owns [`Wakers`], for objects that several tasks may wait for by polling. Nearly always it is one
//! task, for which nothing is allocated.

use alloc::vec::Vec;
use core::task::Waker;

/// Wakers to be woken together, once each.
///
/// ```
/// use core::task::Waker;
/// use reactor::sync::Wakers;
/// let mut wakers = Wakers::default();
/// wakers.register(Waker::noop());
/// assert!(!wakers.is_empty());
/// wakers.wake_all();
/// assert!(wakers.is_empty());
/// ```
#[derive(Debug, Default)]
pub struct Wakers {
    first: Option<Waker>,
    others: Vec<Waker>,
}

impl Wakers {
    /// Nobody waits.
    pub const fn new() -> Wakers {
        Wakers {
            first: None,
            others: Vec::new(),
        }
    }

    /// Registers a task; once, however often it asks. Bounded by the tasks there are.
    pub fn register(&mut self, waker: &Waker) {
        match &self.first {
            None => self.first = Some(waker.clone()),
            Some(first) if first.will_wake(waker) => {}
            Some(_) if self.others.iter().any(|known| known.will_wake(waker)) => {}
            Some(_) => self.others.push(waker.clone()),
        }
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// Wakes everybody and forgets them; the room stays allocated.
    pub fn wake_all(&mut self) {
        if let Some(first) = self.first.take() {
            first.wake();
        }
        for waker in self.others.drain(..) {
            waker.wake();
        }
    }
}
