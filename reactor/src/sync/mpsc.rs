//! A bounded queue from many tasks to one.

use alloc::collections::VecDeque;
use alloc::rc::Rc;
use core::cell::{Cell, RefCell};
use core::fmt;
use core::future::poll_fn;
use core::pin::Pin;
use core::task::{Context, Poll};

use futures_core::Stream;

use crate::sync::WakerSlot;
use crate::sync::semaphore::Semaphore;

/// Room that is allocated with the channel; more follows when it is first needed, up to the
/// capacity.
const INITIAL_ROOM: usize = 32;

/// A channel for at most `capacity` messages at a time (at least one).
///
/// Senders wait for room in the order they came. Once the room has been used, neither sending,
/// receiving nor waiting allocates. To share the work among several receivers, put the receiver
/// into a
/// [`Mutex`](crate::sync::Mutex).
///
/// ```
/// use reactor::{Reactor, sync::mpsc, testing::VirtualClock};
/// let reactor = Reactor::new(VirtualClock::new());
/// let (sender, mut receiver) = mpsc::bounded(2);
/// reactor.spawner().spawn(async move {
///     for number in 0..5 {
///         sender.send(number).await.unwrap();
///     }
/// }).detach();
/// let sum = reactor.block_on(async move {
///     let mut sum = 0;
///     while let Some(number) = receiver.recv().await {
///         sum += number;
///     }
///     sum
/// });
/// assert_eq!(sum, 10);
/// ```
pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let capacity = capacity.max(1);
    let channel = Rc::new(Channel {
        messages: RefCell::new(VecDeque::with_capacity(capacity.min(INITIAL_ROOM))),
        room: Semaphore::new(capacity),
        receiver: WakerSlot::new(),
        senders: Cell::new(1),
        capacity,
    });
    (
        Sender {
            channel: channel.clone(),
        },
        Receiver { channel },
    )
}

struct Channel<T> {
    messages: RefCell<VecDeque<T>>,
    /// A permit for each message that may still come; closed when the receiver wants no more.
    room: Semaphore,
    receiver: WakerSlot,
    senders: Cell<usize>,
    capacity: usize,
}

impl<T> Channel<T> {
    /// Adds a message for which a permit was taken.
    fn push(&self, message: T) {
        self.messages.borrow_mut().push_back(message);
        self.receiver.wake();
    }

    fn pop(&self) -> Option<T> {
        let message = self.messages.borrow_mut().pop_front()?;
        self.room.release(1);
        Some(message)
    }

    fn is_finished(&self) -> bool {
        self.senders.get() == 0 || self.room.is_closed()
    }
}

/// The receiver has gone or closed the channel; holds the message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SendError<T>(pub T);

/// Why a message was not sent at once; holds the message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TrySendError<T> {
    /// There is no room, or others wait for it.
    Full(T),
    /// The receiver has gone or closed the channel.
    Closed(T),
}

/// Why there is no message at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryRecvError {
    /// None has come.
    Empty,
    /// None will come any more.
    Closed,
}

/// Sends messages; clone it for more senders. When the last one is dropped, the receiver gets what
/// was sent, then `None`.
pub struct Sender<T> {
    channel: Rc<Channel<T>>,
}

impl<T> Sender<T> {
    /// Waits for room, then sends. Dropping the future before that sends nothing, and drops the
    /// message.
    pub async fn send(&self, message: T) -> Result<(), SendError<T>> {
        // The common case first: it needs no place in the queue of waiters.
        let message = match self.try_send(message) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Closed(message)) => return Err(SendError(message)),
            Err(TrySendError::Full(message)) => message,
        };
        match self.reserve().await {
            Ok(slot) => {
                slot.send(message);
                Ok(())
            }
            Err(SendError(())) => Err(SendError(message)),
        }
    }

    /// Waits for room for one message, to make the message only then.
    pub async fn reserve(&self) -> Result<Slot<'_, T>, SendError<()>> {
        let permit = self.channel.room.acquire(1).await;
        permit.map_err(|_| SendError(()))?.forget();
        Ok(Slot {
            channel: &self.channel,
        })
    }

    /// Sends if there is room and nobody waits for it.
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        match self.channel.room.try_acquire(1) {
            Some(permit) => {
                permit.forget();
                self.channel.push(message);
                Ok(())
            }
            None if self.is_closed() => Err(TrySendError::Closed(message)),
            None => Err(TrySendError::Full(message)),
        }
    }

    /// Whether nobody will receive any more.
    pub fn is_closed(&self) -> bool {
        self.channel.room.is_closed()
    }

    /// How many messages fit at a time.
    pub fn capacity(&self) -> usize {
        self.channel.capacity
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Sender<T> {
        self.channel.senders.set(self.channel.senders.get() + 1);
        Sender {
            channel: self.channel.clone(),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.channel.senders.set(self.channel.senders.get() - 1);
        if self.channel.senders.get() == 0 {
            self.channel.receiver.wake();
        }
    }
}

/// Room for one message; from [`Sender::reserve`]. Dropping it gives the room back.
#[must_use = "dropping a slot gives it back at once"]
pub struct Slot<'a, T> {
    channel: &'a Channel<T>,
}

impl<T> Slot<'_, T> {
    /// Sends into the room. Never waits; if the channel was closed since, the message is dropped
    /// with it.
    pub fn send(self, message: T) {
        self.channel.push(message);
        core::mem::forget(self); // the permit went with the message
    }
}

impl<T> Drop for Slot<'_, T> {
    fn drop(&mut self) {
        self.channel.room.release(1);
    }
}

/// Receives messages, in the order they were sent. Dropping it closes the channel and drops what is
/// in it.
///
/// A [`Stream`].
pub struct Receiver<T> {
    channel: Rc<Channel<T>>,
}

impl<T> Receiver<T> {
    /// Waits for a message; `None` when there are neither messages nor senders. Dropping the future
    /// loses nothing.
    pub async fn recv(&mut self) -> Option<T> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// As [`recv`](Receiver::recv), for a future of one's own.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        if let Some(message) = self.channel.pop() {
            return Poll::Ready(Some(message));
        }
        if self.channel.is_finished() {
            return Poll::Ready(None);
        }
        self.channel.receiver.register(cx.waker());
        Poll::Pending
    }

    /// A message, if one is there.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        match self.channel.pop() {
            Some(message) => Ok(message),
            None if self.channel.is_finished() => Err(TryRecvError::Closed),
            None => Err(TryRecvError::Empty),
        }
    }

    /// Lets nobody send any more; what was sent can still be received.
    pub fn close(&mut self) {
        self.channel.room.close();
    }

    /// How many messages wait.
    pub fn len(&self) -> usize {
        self.channel.messages.borrow().len()
    }

    /// Whether no message waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> Stream for Receiver<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.poll_recv(cx)
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.close();
        self.channel.receiver.clear();
        // Taken out first: a message's destructor may use the channel.
        let messages = self.channel.messages.take();
        drop(messages);
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("closed", &self.is_closed())
            .finish()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("len", &self.len())
            .finish()
    }
}

impl<T> fmt::Debug for Slot<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Slot")
    }
}

// The messages need not be printable for an error to be.
impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SendError")
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("channel is closed")
    }
}

impl<T> core::error::Error for SendError<T> {}

impl<T> fmt::Debug for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TrySendError::Full(_) => "Full",
            TrySendError::Closed(_) => "Closed",
        })
    }
}

impl<T> fmt::Display for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TrySendError::Full(_) => "channel is full",
            TrySendError::Closed(_) => "channel is closed",
        })
    }
}

impl<T> core::error::Error for TrySendError<T> {}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TryRecvError::Empty => "channel is empty",
            TryRecvError::Closed => "channel is closed",
        })
    }
}

impl core::error::Error for TryRecvError {}
