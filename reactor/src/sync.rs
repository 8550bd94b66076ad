//! What the tasks of one reactor wait for each other with.
//!
//! Owns channels ([`mpsc`], [`oneshot`]), [`Mutex`], [`Semaphore`], [`Notify`], [`Event`], the
//! bare [`WakerSlot`], and [`Wakers`] for many. All of it is single-context (not `Send`) and built on two things: a slot for
//! one waker, and a queue of waiters that lives in the waiting futures, so no wait allocates.
//! Waiters are served in the order they came.

mod event;
pub mod mpsc;
mod mutex;
mod notify;
pub mod oneshot;
mod semaphore;
mod wait_queue;
mod waker_slot;
mod wakers;

pub use event::{Event, WaitEvent};
pub use mutex::{Mutex, MutexGuard};
pub use notify::{Notified, Notify};
pub use semaphore::{Acquire, Closed, OwnedPermit, Permit, Semaphore};
pub use waker_slot::WakerSlot;
pub use wakers::Wakers;
