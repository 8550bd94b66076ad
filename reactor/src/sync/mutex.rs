//! A value that one task at a time may use, also across awaits.

use core::cell::{RefCell, RefMut};
use core::fmt;
use core::ops::{Deref, DerefMut};

use crate::sync::semaphore::{Permit, Semaphore};

/// Mutual exclusion for a value that is kept across awaits. (Within one poll a `RefCell` is enough:
/// tasks of one reactor never run at the same time.)
///
/// Fair: first come, first served. Waiting allocates nothing. Not poisoned by a panic. Not `Send`.
///
/// ```
/// use reactor::{Reactor, sync::Mutex, task::yield_now, testing::VirtualClock};
/// let reactor = Reactor::new(VirtualClock::new());
/// let line = Mutex::new(String::new());
/// let write = async |text: &str| {
///     let mut line = line.lock().await;
///     for letter in text.chars() {
///         line.push(letter);
///         yield_now().await;
///     }
/// };
/// reactor.block_on(async { futures_util::join!(write("one "), write("two")) });
/// assert_eq!(line.into_inner(), "one two");
/// ```
pub struct Mutex<T: ?Sized> {
    semaphore: Semaphore,
    value: RefCell<T>,
}

impl<T> Mutex<T> {
    /// A free mutex.
    pub const fn new(value: T) -> Mutex<T> {
        Mutex {
            semaphore: Semaphore::new(1),
            value: RefCell::new(value),
        }
    }

    /// The value.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Waits until nobody else uses the value. Dropping the future leaves the queue.
    pub async fn lock(&self) -> MutexGuard<'_, T> {
        let permit = self.semaphore.acquire(1).await;
        self.guard(permit.expect("the mutex never closes its semaphore"))
    }

    /// The value, if nobody uses it or waits for it.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.semaphore
            .try_acquire(1)
            .map(|permit| self.guard(permit))
    }

    /// The value, which nobody else can use.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    fn guard<'a>(&'a self, permit: Permit<'a>) -> MutexGuard<'a, T> {
        MutexGuard {
            value: self.value.borrow_mut(),
            _permit: permit,
        }
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mutex")
            .field("value", &&self.value)
            .finish()
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Mutex<T> {
        Mutex::new(T::default())
    }
}

/// The use of a [`Mutex`]'s value; dropping it lets the next one in.
#[must_use = "dropping a guard unlocks at once"]
pub struct MutexGuard<'a, T: ?Sized> {
    // Dropped before the permit: the next owner must find the value free.
    value: RefMut<'a, T>,
    _permit: Permit<'a>,
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
