//! Text of foreign programs, and whatever else is long, on its way to the serial port, in the same ring as the lines of the log.
//!
//! Whoever writes more than the port takes waits, so that nothing of it is lost and the log has its part of the ring.

use core::task::{Context, Poll};
use reactor::sync::Wakers;

#[cfg(feature = "foreign")]
use super::wake_sender;
use super::{RING, RING_SIZE};
use crate::exclusive::Exclusive;

/// What text leaves free for the log.
const KEPT: usize = RING_SIZE / 2;
/// Writers go on once no more than this waits, so that each of them runs for many bytes at a time.
const LOW: usize = RING_SIZE / 4;

/// Tasks that wait for room, or for everything to be sent.
static WAITING: Exclusive<Wakers> = Exclusive::new(Wakers::new());

/// Adds text, at least one byte, unless there is none; answers how much.
#[cfg(feature = "foreign")]
pub(crate) fn poll_text(cx: &mut Context<'_>, text: &[u8]) -> Poll<usize> {
    let taken = RING
        .try_with(|ring| ring.push_text(text, KEPT))
        .unwrap_or(0);
    if taken == 0 && !text.is_empty() {
        return wait(cx);
    }
    wake_sender();
    Poll::Ready(taken)
}

/// Ready while there is room for text.
pub(crate) fn poll_room(cx: &mut Context<'_>) -> Poll<()> {
    match RING.try_with(|ring| ring.len() < RING_SIZE - KEPT) {
        Some(true) => Poll::Ready(()),
        _ => wait(cx),
    }
}

/// Ready while nothing waits to be sent.
#[cfg(feature = "foreign")]
pub(crate) fn poll_sent(cx: &mut Context<'_>) -> Poll<()> {
    match RING.try_with(|ring| ring.is_empty()) {
        Some(true) => Poll::Ready(()),
        _ => wait(cx),
    }
}

fn wait<T>(cx: &mut Context<'_>) -> Poll<T> {
    WAITING.try_with(|waiting| waiting.register(cx.waker()));
    Poll::Pending
}

/// Wakes whom it may concern that `sent` bytes are out and `left` wait.
pub(super) fn sent(left: usize, sent: usize) {
    let has_room = left <= LOW && left + sent > LOW;
    if has_room || left == 0 {
        WAITING.try_with(Wakers::wake_all);
    }
}
