//! Timers that run, and are not due for long.

use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;
use core::future::poll_fn;
use core::pin::Pin;
use core::task::Poll;
use core::time::Duration;

use ukernel::time::Sleep;
use ukernel::{Context, Result};

use super::{MANY, Memory};
use crate::counts::tasks::{FAR, cancels, fires};
use crate::counts::{REPEATS, phase};

/// Between the deadlines of two: so that they do not lie in one slot of a wheel.
const APART: Duration = Duration::from_micros(997);

pub(super) async fn measure(ctx: &Context) -> Result {
    for timers in MANY {
        let memory = Memory::now(ctx);
        let live = arm(ctx, timers).await;
        memory.report(ctx, "timer", timers, timers);
        let name = format!("timer_arm_cancel@{timers}");
        phase(ctx, &name, REPEATS, async |count| cancels(ctx, count).await).await?;
        let name = format!("timer_fire@{timers}");
        phase(ctx, &name, REPEATS, async |count| fires(ctx, count).await).await?;
        drop(live);
    }
    Ok(())
}

async fn arm(ctx: &Context, timers: usize) -> Vec<Pin<Box<Sleep>>> {
    let clock = ctx.clock();
    let sleep = |number| Box::pin(clock.sleep(FAR + APART * number));
    let mut live: Vec<Pin<Box<Sleep>>> = (0..timers as u32).map(sleep).collect();
    poll_fn(|cx| {
        let fired = live
            .iter_mut()
            .any(|sleep| sleep.as_mut().poll(cx).is_ready());
        assert!(!fired, "an hour is not over");
        Poll::Ready(())
    })
    .await;
    live
}
