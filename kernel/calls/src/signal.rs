//! Something that happens once: a deadline, the request to stop. Readable from then on.

use core::cell::{Cell, RefCell};
use core::task::Context;

use reactor::Clock;
use reactor::readiness::{Interest, Pollable, Readiness};
use reactor::sync::Wakers;
use reactor::task::JoinHandle;
use reactor::time::Instant;

/// A thing that happens once.
#[derive(Default)]
pub(crate) struct Signal {
    happened: Cell<bool>,
    /// It happens at that time, also before the watcher has had its turn to notice.
    due: Option<(Clock, Instant)>,
    waiters: RefCell<Wakers>,
    /// The task that waits for it to happen; ended with the signal.
    watcher: RefCell<Option<JoinHandle<()>>>,
}

impl Signal {
    /// Something that happens at a time.
    pub(crate) fn at(clock: Clock, time: Instant) -> Signal {
        Signal {
            happened: Cell::new(false),
            due: Some((clock, time)),
            waiters: RefCell::default(),
            watcher: RefCell::default(),
        }
    }

    /// Whether it has happened.
    pub(crate) fn has_happened(&self) -> bool {
        let is_due = |(clock, time): &(Clock, Instant)| clock.now() >= *time;
        self.happened.get() || self.due.as_ref().is_some_and(is_due)
    }

    /// It happens.
    pub(crate) fn set(&self) {
        self.happened.set(true);
        self.waiters.borrow_mut().wake_all();
    }

    /// Names the task that will call [`Signal::set`].
    pub(crate) fn watched_by(&self, watcher: JoinHandle<()>) {
        *self.watcher.borrow_mut() = Some(watcher);
    }
}

impl Drop for Signal {
    fn drop(&mut self) {
        if let Some(watcher) = self.watcher.take() {
            watcher.cancel();
        }
    }
}

impl Pollable for Signal {
    fn poll_readiness(&self, _: Interest, cx: &mut Context<'_>) -> Readiness {
        if self.has_happened() {
            return Readiness::READABLE;
        }
        self.waiters.borrow_mut().register(cx.waker());
        Readiness::EMPTY
    }
}
