//! The one task that moves packets.

use core::convert::Infallible;
use core::future::poll_fn;
use core::pin::pin;
use core::task::Poll;
use reactor::hardware::Hardware;
use reactor::time::Instant;
use smoltcp::phy::Device;

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
        let mut alarm = pin!(clock.sleep_until(Instant::FAR_FUTURE));
        poll_fn(|cx| {
            let deadline = self.stack.engine().turn(&mut self.device, clock.now(), cx);
            let deadline = deadline.unwrap_or(Instant::FAR_FUTURE);
            if alarm.deadline() != deadline || alarm.is_elapsed() {
                alarm.as_mut().reset(deadline);
            }
            if alarm.as_mut().poll(cx).is_ready() {
                cx.waker().wake_by_ref();
            }
            Poll::Pending
        })
        .await
    }
}
