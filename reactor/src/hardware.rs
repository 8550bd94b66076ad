//! What a Runner asks of the device it owns, apart from the data path.
//!
//! Owns the [`Hardware`] trait only. A network device is `smoltcp::phy::Device + Hardware`: the
//! data path is smoltcp's trait, the rest is here, so that the network stack names no driver and a
//! driver no stack.

use core::task::{Context, Poll};

/// A device with rings, owned by one Runner task.
///
/// All methods are called by that task only, never by an interrupt handler; none waits.
///
/// ```
/// use std::task::{Context, Poll};
/// use reactor::{Reactor, hardware::Hardware, irq::IrqEvent, testing::VirtualClock};
///
/// /// A device that says with an interrupt that something is done.
/// struct Beeper {
///     event: IrqEvent,
///     queued: bool,
///     kicks: u32,
/// }
///
/// impl Hardware for Beeper {
///     fn flush(&mut self) {
///         self.kicks += u32::from(std::mem::take(&mut self.queued));
///     }
///     fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<()> {
///         self.event.poll_raised(cx)
///     }
///     fn is_up(&self) -> bool {
///         true
///     }
/// }
///
/// let clock = VirtualClock::new();
/// let reactor = Reactor::new(clock.clone());
/// let mut beeper = Beeper { event: reactor.irq_event(5), queued: true, kicks: 0 };
/// clock.raise(5);
/// reactor.block_on(std::future::poll_fn(|cx| {
///     let event = beeper.poll_event(cx);
///     beeper.flush(); // once, at the end of the Runner's poll
///     event
/// }));
/// assert_eq!(beeper.kicks, 1);
/// ```
pub trait Hardware {
    /// Tells the device about everything queued since the last call: at most one notification per
    /// queue. The Runner calls it at most once a poll, at its end, and is polled at most once a turn. A
    /// poll that is followed by another in the next turn may leave it out where nothing is to be sent and the
    /// device keeps buffers to receive into.
    fn flush(&mut self);

    /// Asks whether there may be work in a ring.
    ///
    /// `Ready`: look at the rings now. `Pending`: the waker is registered, the device has been
    /// asked to interrupt, and the rings were looked at once more after that, so no completion can
    /// slip between.
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// Link state; `true` where the device has none.
    fn is_up(&self) -> bool;

    /// What arrived since the device came up and was dropped by its driver, unread: checksums that
    /// are wrong, lengths that cannot be. Only grows; none where the driver drops nothing.
    fn dropped(&self) -> u64 {
        0
    }
}
