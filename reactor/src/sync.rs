//! What tasks of one reactor use to wait for each other. Single-context: none of it is `Send`.

mod waker_slot;

pub use waker_slot::WakerSlot;
