//! A value that one piece of code at a time may change, for the kernel's singletons.
//!
//! There is one processor, and interrupt handlers touch atomics only, so nothing ever has to wait
//! here: who finds the value in use is either a fault inside the code that uses it or a mistake,
//! and gets `None`.
//!
//! ```
//! use ukernel::exclusive::Exclusive;
//!
//! static COUNT: Exclusive<u32> = Exclusive::new(0);
//! COUNT.try_with(|count| {
//!     *count += 1;
//!     assert!(COUNT.try_with(|_| ()).is_none(), "in use");
//! });
//! assert_eq!(COUNT.try_with(|count| *count), Some(1));
//! ```
#![allow(
    unsafe_code,
    reason = "hands out `&mut` from a shared reference, guarded by a flag"
)]

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering};

/// A value behind a flag that says whether somebody is using it.
#[derive(Debug)]
pub struct Exclusive<T> {
    in_use: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: `try_with` lets one caller at a time at the value, whichever thread it comes from: the
// flag is taken with `swap`. Handing `&mut T` to another thread needs `T: Send`.
unsafe impl<T: Send> Sync for Exclusive<T> {}

impl<T> Exclusive<T> {
    /// Wraps `value`.
    pub const fn new(value: T) -> Exclusive<T> {
        Exclusive {
            in_use: AtomicBool::new(false),
            value: UnsafeCell::new(value),
        }
    }

    /// Calls `change` with the value. `None`, at once, where the value is in use. If `change`
    /// panics the value stays in use for ever, because it may be half changed.
    pub fn try_with<R>(&self, change: impl FnOnce(&mut T) -> R) -> Option<R> {
        if self.in_use.swap(true, Ordering::Acquire) {
            return None;
        }
        // SAFETY: the flag was clear and is set now, so nobody else has a reference to the value
        // until it is cleared below.
        let result = change(unsafe { &mut *self.value.get() });
        self.in_use.store(false, Ordering::Release);
        Some(result)
    }

    /// Calls `change` with the value even where it is in use: for the machine's last words, which may come out of a
    /// fault in the middle of a change.
    ///
    /// # Safety
    /// Whoever uses the value must never go on, and `change` must be right for a value that is half changed.
    pub unsafe fn seize<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        // SAFETY: by the caller's promise no other reference to the value is used any more.
        change(unsafe { &mut *self.value.get() })
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    #[test]
    fn a_panic_inside_leaves_it_in_use() {
        let value = Exclusive::new(1);
        let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            value.try_with(|_| panic!("half way"))
        }));
        assert!(unwound.is_err());
        assert_eq!(value.try_with(|v| *v), None);
    }

    #[test]
    fn the_last_one_takes_it_from_whoever_will_not_go_on() {
        let value = Exclusive::new(1);
        let never_went_on = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            value.try_with(|v| {
                *v = 2;
                panic!("a fault")
            })
        }));
        assert!(never_went_on.is_err());
        // SAFETY: its user has unwound.
        assert_eq!(unsafe { value.seize(|v| *v) }, 2);
    }

    #[test]
    fn threads_never_meet_inside() {
        let value = Exclusive::new(0u32);
        let rounds = if cfg!(miri) { 20 } else { 2000 };
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let mut done = 0;
                    while done < rounds {
                        done += value.try_with(|v| *v += 1).map_or(0, |()| 1);
                        std::thread::yield_now();
                    }
                });
            }
        });
        assert_eq!(value.try_with(|v| *v), Some(2 * rounds));
    }
}
