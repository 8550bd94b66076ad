//! One waker for all waits of a kernel's first task.
//!
//! Each of its waits is a task of the reactor, with a waker of its own; but what it waits for keeps wakers by whose
//! they are, and would keep those of all waits there ever were. It is given this one instead.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

/// Stands for the waker of the wait that is going on, if one is.
#[derive(Default)]
pub(crate) struct Alias(Mutex<Option<Waker>>);

impl Alias {
    fn waker(&self) -> MutexGuard<'_, Option<Waker>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whom it stands for from now on.
    pub(crate) fn stands_for(&self, waker: &Waker) {
        let mut current = self.waker();
        match &mut *current {
            Some(current) => current.clone_from(waker),
            None => *current = Some(waker.clone()),
        }
    }

    /// It stands for nobody from now on.
    pub(crate) fn stands_for_nobody(&self) {
        self.waker().take();
    }
}

impl Wake for Alias {
    fn wake(self: Arc<Alias>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Alias>) {
        if let Some(waker) = &*self.waker() {
            waker.wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[derive(Default)]
    struct Counter(AtomicU32);

    impl Wake for Counter {
        fn wake(self: Arc<Counter>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn it_wakes_whom_it_stands_for() {
        let counters: [Arc<Counter>; 2] = Default::default();
        let alias = Arc::<Alias>::default();
        let waker = Waker::from(Arc::clone(&alias));
        waker.wake_by_ref(); // nobody
        for counter in &counters {
            alias.stands_for(&Waker::from(Arc::clone(counter)));
            waker.wake_by_ref();
        }
        alias.stands_for_nobody();
        waker.wake();
        assert_eq!(
            counters.map(|counter| counter.0.load(Ordering::Relaxed)),
            [1, 1]
        );
    }
}
