//! A future that is ready at a deadline.
#![allow(unsafe_code, reason = "pins the wheel's intrusive entry")]

use alloc::rc::Rc;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::ptr::NonNull;
use core::task::{Context, Poll};

use crate::executor::Core;
use crate::time::Instant;
use crate::timers::wheel::Entry;

/// Waits for a deadline; from [`Clock::sleep`](crate::Clock::sleep).
///
/// Ready in the first turn at or after its deadline, never before; a deadline in the past is ready
/// at once. Stays ready until it is [reset](Sleep::reset). Allocates nothing: the timer is part of
/// the future, which therefore has to be pinned. Arming (at the first poll), resetting and dropping
/// cost O(1).
#[must_use = "futures do nothing unless awaited"]
pub struct Sleep {
    core: Rc<Core>,
    entry: Entry,
}

impl Sleep {
    pub(crate) fn new(core: Rc<Core>, deadline: Instant) -> Sleep {
        Sleep {
            core,
            entry: Entry::new(deadline),
        }
    }

    /// When it is ready.
    pub fn deadline(&self) -> Instant {
        self.entry.deadline()
    }

    /// Whether the deadline was seen to have come, by the run loop or a poll.
    pub fn is_elapsed(&self) -> bool {
        self.entry.has_fired()
    }

    /// Waits for another deadline instead, also if the old one has come. Whoever polled it last is
    /// woken at the new deadline; if it was ready since, it has to be polled again first.
    pub fn reset(self: Pin<&mut Self>, deadline: Instant) {
        let this = self.as_ref();
        let was_armed = this.disarm();
        this.entry.set_deadline(deadline);
        if was_armed {
            this.arm();
        }
    }

    fn arm(self: Pin<&Self>) {
        let entry = NonNull::from(&self.get_ref().entry);
        // SAFETY: callers saw that it is not armed; pinned, and `Drop` takes it out of the wheel.
        unsafe { self.core.timers.arm(entry, self.core.now()) };
    }

    fn disarm(&self) -> bool {
        let armed = self.entry.is_armed();
        if armed {
            self.core.timers.cancel(&self.entry);
        }
        armed
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.as_ref();
        if this.entry.has_fired() {
            return Poll::Ready(());
        }
        // The run loop's last look at the clock: it may be a little behind, so this is never early.
        if this.entry.deadline() <= this.core.now() {
            this.disarm();
            this.entry.set_fired();
            return Poll::Ready(());
        }
        this.entry.set_waker(cx.waker());
        if !this.entry.is_armed() {
            this.arm();
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.disarm();
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep")
            .field("deadline", &self.deadline())
            .field("elapsed", &self.is_elapsed())
            .finish()
    }
}
