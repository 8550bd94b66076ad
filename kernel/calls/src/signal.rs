//! Something that happens once: a deadline, the request to stop. Readable from then on.

use core::cell::{Cell, RefCell};
use core::task::Context;

use reactor::readiness::{Interest, Pollable, Readiness};
use reactor::sync::Wakers;
use reactor::task::JoinHandle;

/// A thing that happens once.
#[derive(Default)]
pub(crate) struct Signal {
    happened: Cell<bool>,
    waiters: RefCell<Wakers>,
    /// The task that waits for it to happen; ended with the signal.
    watcher: RefCell<Option<JoinHandle<()>>>,
}

impl Signal {
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
        if self.happened.get() {
            return Readiness::READABLE;
        }
        self.waiters.borrow_mut().register(cx.waker());
        Readiness::EMPTY
    }
}
