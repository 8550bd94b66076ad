//! One waker for all waits of a kernel's first task.
//!
//! What it waits for keeps wakers by whose they are, and would keep those of all waits there ever were. It is given this
//! one instead: it stands for the reactor's task that a wait is, or, where the first task polls by itself, it ends its
//! sleep.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

use reactor::platform::Platform;

/// Stands for the waker of the wait that is going on, if that is a task of the reactor.
pub(crate) struct Alias {
    platform: Arc<dyn Platform>,
    /// The context that the kernel runs in.
    context: usize,
    waker: Mutex<Option<Waker>>,
    woken: AtomicBool,
}

impl Alias {
    /// For the kernel of that context. It stands for nobody yet.
    pub(crate) fn new(context: usize, platform: Arc<dyn Platform>) -> Alias {
        Alias {
            platform,
            context,
            waker: Mutex::default(),
            woken: AtomicBool::new(false),
        }
    }

    fn waker(&self) -> MutexGuard<'_, Option<Waker>> {
        self.waker.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Forgets what has been, before a poll that sees it.
    pub(crate) fn listen(&self) {
        self.woken.store(false, Ordering::SeqCst);
    }

    /// Whether it was woken since [`listen`](Alias::listen), standing for nobody.
    pub(crate) fn was_woken(&self) -> bool {
        self.woken.load(Ordering::SeqCst)
    }

    fn wake_sleeper(&self) {
        self.woken.store(true, Ordering::SeqCst);
        // Who wakes from the kernel's own context does not sleep.
        if self.platform.context() != self.context {
            self.platform.unpark();
        }
    }
}

impl Wake for Alias {
    fn wake(self: Arc<Alias>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Alias>) {
        match &*self.waker() {
            Some(waker) => waker.wake_by_ref(),
            None => self.wake_sleeper(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::Linux;
    use std::sync::atomic::AtomicU32;

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
        let alias = Arc::new(Alias::new(7, Linux::new().unwrap()));
        let waker = Waker::from(Arc::clone(&alias));
        alias.listen();
        assert!(!alias.was_woken());
        waker.wake_by_ref(); // nobody
        assert!(alias.was_woken());
        alias.listen();
        for counter in &counters {
            alias.stands_for(&Waker::from(Arc::clone(counter)));
            waker.wake_by_ref();
        }
        assert!(!alias.was_woken(), "they were");
        alias.stands_for_nobody();
        waker.wake();
        assert!(alias.was_woken());
        assert_eq!(
            counters.map(|counter| counter.0.load(Ordering::Relaxed)),
            [1, 1]
        );
    }
}
