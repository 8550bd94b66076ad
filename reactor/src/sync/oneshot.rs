//! One value from one task to another.

use alloc::rc::Rc;
use core::cell::Cell;
use core::fmt;
use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::{Context, Poll};

use crate::sync::WakerSlot;

/// The sender went without sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Canceled;

impl fmt::Display for Canceled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sender was dropped without a value")
    }
}

impl core::error::Error for Canceled {}

/// A channel for a single value. Allocates once.
///
/// ```
/// use reactor::{Reactor, sync::oneshot, testing::VirtualClock};
/// let reactor = Reactor::new(VirtualClock::new());
/// let (answer, question) = oneshot::channel();
/// reactor.spawner().spawn(async { answer.send(42).unwrap() }).detach();
/// assert_eq!(reactor.block_on(question), Ok(42));
/// ```
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let slot = Rc::new(Slot {
        value: Cell::new(None),
        sender_gone: Cell::new(false),
        receiver_gone: Cell::new(false),
        receiver: WakerSlot::new(),
        sender: WakerSlot::new(),
    });
    (Sender { slot: slot.clone() }, Receiver { slot })
}

struct Slot<T> {
    value: Cell<Option<T>>,
    sender_gone: Cell<bool>,
    receiver_gone: Cell<bool>,
    receiver: WakerSlot,
    sender: WakerSlot,
}

/// Sends the value. Dropping it without sending ends the receiver's wait with [`Canceled`].
pub struct Sender<T> {
    slot: Rc<Slot<T>>,
}

impl<T> Sender<T> {
    /// Hands the value over; gives it back if the receiver has gone.
    pub fn send(self, value: T) -> Result<(), T> {
        if self.slot.receiver_gone.get() {
            return Err(value);
        }
        self.slot.value.set(Some(value));
        Ok(()) // dropping `self` wakes the receiver
    }

    /// Whether the receiver has gone.
    pub fn is_closed(&self) -> bool {
        self.slot.receiver_gone.get()
    }

    /// Waits until the receiver has gone: its answer is not wanted any more.
    pub async fn closed(&mut self) {
        poll_fn(|cx| {
            if self.is_closed() {
                return Poll::Ready(());
            }
            self.slot.sender.register(cx.waker());
            Poll::Pending
        })
        .await;
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.slot.sender_gone.set(true);
        self.slot.sender.clear();
        self.slot.receiver.wake();
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("closed", &self.is_closed())
            .finish()
    }
}

/// Awaits the value. Dropping it drops a value that was sent and not received.
#[must_use = "futures do nothing unless awaited"]
pub struct Receiver<T> {
    slot: Rc<Slot<T>>,
}

impl<T> Receiver<T> {
    /// The value, if it is there.
    pub fn try_recv(&mut self) -> Option<T> {
        self.slot.value.take()
    }
}

impl<T> Future for Receiver<T> {
    type Output = Result<T, Canceled>;

    /// Polled again after it gave the value, it gives [`Canceled`].
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(value) = self.slot.value.take() {
            return Poll::Ready(Ok(value));
        }
        if self.slot.sender_gone.get() {
            return Poll::Ready(Err(Canceled));
        }
        self.slot.receiver.register(cx.waker());
        Poll::Pending
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.slot.receiver_gone.set(true);
        self.slot.receiver.clear();
        drop(self.slot.value.take());
        self.slot.sender.wake();
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("sender_gone", &self.slot.sender_gone.get())
            .finish()
    }
}
