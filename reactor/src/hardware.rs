//! What a Runner asks of the device it owns, apart from the data path.
//!
//! Owns the [`Hardware`] trait only. A network device is `smoltcp::phy::Device + Hardware`: the
//! data path is smoltcp's trait, the rest is here, so that the network stack names no driver and a
//! driver no stack.

use core::task::{Context, Poll};

/// A device with rings, owned by one Runner task.
///
/// All methods are called by that task only, never by an interrupt handler; none waits.
pub trait Hardware {
    /// Tells the device about everything queued since the last call: at most one notification per
    /// queue. The Runner calls it once at the end of each poll, and it is polled at most once a
    /// turn.
    fn flush(&mut self);

    /// Asks whether there may be work in a ring.
    ///
    /// `Ready`: look at the rings now. `Pending`: the waker is registered, the device has been
    /// asked to interrupt, and the rings were looked at once more after that, so no completion can
    /// slip between.
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// Link state; `true` where the device has none.
    fn is_up(&self) -> bool;
}
