//! The one task that moves packets.

use core::convert::Infallible;
use core::future::poll_fn;
use core::pin::{Pin, pin};
use core::task::Poll;
use reactor::Clock;
use reactor::hardware::Hardware;
use reactor::time::Instant;
use reactor::timers::Sleep;
use smoltcp::phy::Device;

use crate::engine::Next;
use crate::stack::Stack;

/// Owns the device and drives the stack: [`run`](Self::run) it as one task.
pub struct Runner<D> {
    stack: Stack,
    device: D,
}

impl<D: Device + Hardware + 'static> Runner<D> {
    pub(crate) fn new(stack: Stack, device: D) -> Runner<D> {
        Runner { stack, device }
    }

    /// Runs for as long as it is polled. Dropping it stops the network; streams then wait for ever.
    ///
    /// It is woken by the device, by a write or another call of the workload, or by the earliest
    /// deadline, and wakes itself only when it left work behind for the sake of other tasks. While
    /// the device's transmit queue is full it waits for the device and not for a deadline: the
    /// device must make `poll_event` ready when a full queue has room again.
    pub async fn run(mut self) -> Infallible {
        let clock = self.stack.clock().clone();
        let mut alarm = pin!(None::<Sleep>);
        poll_fn(|cx| {
            let now = clock.recent();
            let deadline = match self.stack.engine().turn(&mut self.device, now, cx) {
                Next::AtOnce => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Next::At(deadline) => Some(deadline),
                Next::WhenWoken => None,
            };
            set_alarm(alarm.as_mut(), deadline, &clock);
            if let Some(sleep) = alarm.as_mut().as_pin_mut()
                && sleep.poll(cx).is_ready()
            {
                cx.waker().wake_by_ref();
            }
            Poll::Pending
        })
        .await
    }
}

/// Without a deadline there is no timer at all, so that an idle machine sleeps without one. A timer that
/// fires earlier than it must stays as it is: nearly every packet moves the deadline on, and the turn
/// that comes too early, at most one for each span of the deadline, sets it anew.
fn set_alarm(mut alarm: Pin<&mut Option<Sleep>>, deadline: Option<Instant>, clock: &Clock) {
    match (alarm.as_mut().as_pin_mut(), deadline) {
        (Some(sleep), Some(at)) if sleep.deadline() <= at && !sleep.is_elapsed() => {}
        (Some(sleep), Some(at)) => sleep.reset(at),
        (None, Some(at)) => alarm.set(Some(clock.sleep_until(at))),
        (Some(_), None) => alarm.set(None),
        (None, None) => {}
    }
}
