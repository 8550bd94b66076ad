//! Tasks that wait for one thing, any number of them, to be woken together.
//!
//! Owns [`Wakers`], for objects that several tasks may wait for by polling. Nearly always it is one
//! task, for which nothing is allocated.

use alloc::vec::Vec;
use core::task::Waker;

use crate::task::NOBODY;

/// Wakers to be woken together, once each.
///
/// ```
/// use std::sync::Arc;
/// use std::task::{Wake, Waker};
/// use reactor::sync::Wakers;
/// struct Sleeper;
/// impl Wake for Sleeper {
///     fn wake(self: Arc<Sleeper>) {}
/// }
/// let mut wakers = Wakers::default();
/// wakers.register(Wakers::nobody());
/// assert!(wakers.is_empty(), "who only looks does not wait");
/// wakers.register(&Waker::from(Arc::new(Sleeper)));
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

    /// The waker to look with at what one does not wait for. It wakes nobody, and [`register`](Wakers::register) does
    /// not keep it. ([`Waker::noop`] cannot be told from others: it may be at several addresses.)
    pub fn nobody() -> &'static Waker {
        &NOBODY
    }

    /// Registers a task; once, however often it asks. Bounded by the tasks there are.
    pub fn register(&mut self, waker: &Waker) {
        if waker.will_wake(&NOBODY) {
            return;
        }
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
        // Nearly always there are no others, and draining none costs as much as waking one.
        if !self.others.is_empty() {
            self.others.drain(..).for_each(Waker::wake);
        }
    }
}
