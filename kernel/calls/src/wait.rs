//! Waiting: for an object until it is closed, for a time, or not at all.

use core::future::poll_fn;
use core::pin::pin;
use core::task::{Context, Poll};

use abi::Error;
use abi::number::FOREVER;
use reactor::Clock;
use reactor::sync::Wakers;
use reactor::task::yield_now;
use reactor::time::Instant;

use crate::failure::{Failure, Outcome};
use crate::object::Entry;

/// Polls until there is an answer, or the object is closed; once only, where nobody wants to wait.
pub(crate) async fn until<T>(
    entry: &Entry,
    nonblocking: bool,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<Outcome<T>>,
) -> Outcome<T> {
    if nonblocking {
        return now(poll);
    }
    poll_fn(|cx| {
        if entry.is_closed() {
            return Poll::Ready(Err(Failure::from(Error::Closed)));
        }
        let answer = poll(cx);
        if answer.is_pending() {
            entry.on_close(cx);
        }
        answer
    })
    .await
}

/// Polls once.
fn now<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<Outcome<T>>) -> Outcome<T> {
    match poll(&mut no_wait()) {
        Poll::Ready(answer) => answer,
        Poll::Pending => Err(Error::WouldBlock.into()),
    }
}

/// What a look without a wait polls with: nobody keeps this waker (`Wakers`).
pub(crate) fn no_wait() -> Context<'static> {
    Context::from_waker(Wakers::nobody())
}

/// Polls until there is an answer or the time is over: 0 does not wait, [`FOREVER`] has no end.
pub(crate) async fn within<T>(
    clock: &Clock,
    timeout: u64,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<Outcome<T>>,
) -> Outcome<T> {
    match timeout {
        0 => {
            let answer = now(&mut poll);
            // Only where it is not there yet is it worth asking whether there is news from outside.
            if !would_block(&answer) || !clock.look() {
                return answer;
            }
            yield_now().await;
            now(poll)
        }
        FOREVER => poll_fn(poll).await,
        _ => {
            let mut sleep = pin!(clock.sleep_until(after(clock, timeout)));
            poll_fn(|cx| {
                let answer = poll(cx);
                if answer.is_pending() && sleep.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Err(Error::Timeout.into()));
                }
                answer
            })
            .await
        }
    }
}

fn would_block<T>(answer: &Outcome<T>) -> bool {
    matches!(answer, Err(failure) if failure.error == Error::WouldBlock)
}

/// The time that many nanoseconds from now; the far future for what is beyond.
pub(crate) fn after(clock: &Clock, nanos: u64) -> Instant {
    Instant::from_nanos(clock.now().as_nanos().saturating_add(nanos))
}
