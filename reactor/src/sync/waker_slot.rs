//! A place for the waker of whoever waits for one thing.
//!
//! Owns [`WakerSlot`], the single-context counterpart of futures' `AtomicWaker`.

use core::cell::Cell;
use core::fmt;
use core::task::Waker;

/// Holds the waker of one waiter, for use within one reactor's context.
///
/// Keeps the waker after waking it, so that a task which waits here again and again costs no
/// reference counting. It therefore keeps the memory (not the future) of a task that ended, until
/// the slot is dropped or another waiter registers.
///
/// ```
/// use core::task::Waker;
/// use reactor::sync::WakerSlot;
/// let slot = WakerSlot::new();
/// assert!(!slot.wake());
/// slot.register(Waker::noop());
/// assert!(slot.wake());
/// assert!(!slot.wake(), "woken once for each registration");
/// ```
#[derive(Default)]
pub struct WakerSlot {
    waker: Cell<Option<Waker>>,
    waiting: Cell<bool>,
}

impl WakerSlot {
    /// An empty slot.
    pub const fn new() -> WakerSlot {
        WakerSlot {
            waker: Cell::new(None),
            waiting: Cell::new(false),
        }
    }

    /// Makes `waker` the one to wake; whoever registered before is forgotten. Look again at what
    /// you wait for after this, if it can have changed in between.
    pub fn register(&self, waker: &Waker) {
        self.waiting.set(true);
        let old = self.waker.take();
        if old.as_ref().is_some_and(|old| old.will_wake(waker)) {
            self.waker.set(old);
        } else {
            self.waker.set(Some(waker.clone()));
        }
    }

    /// Wakes the waiter that registered since the last wake; says whether there was one.
    pub fn wake(&self) -> bool {
        if !self.waiting.replace(false) {
            return false;
        }
        let Some(waker) = self.waker.take() else {
            return false;
        };
        waker.wake_by_ref();
        // A waker may run any code, so somebody may have registered meanwhile: who came last stays.
        match self.waker.take() {
            None => self.waker.set(Some(waker)),
            newer => self.waker.set(newer),
        }
        true
    }

    /// Whether somebody registered since the last wake.
    pub fn is_waiting(&self) -> bool {
        self.waiting.get()
    }

    /// Forgets the waiter and gives up its waker.
    pub fn clear(&self) {
        self.waiting.set(false);
        drop(self.waker.take());
    }
}

impl fmt::Debug for WakerSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WakerSlot")
            .field("waiting", &self.waiting.get())
            .finish()
    }
}
