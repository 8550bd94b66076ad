//! The executor's operations.

use alloc::rc::Rc;
use core::time::Duration;

use futures_util::future::{Either, select};
use ukernel::sync::Notify;
use ukernel::sync::mpsc::bounded;
use ukernel::task::yield_now;
use ukernel::{Context, Result};

use super::{REPEATS, phase};

/// Far enough away that it never comes.
pub(crate) const FAR: Duration = Duration::from_secs(3600);
/// Soon enough that it has come when it is looked at.
const NEAR: Duration = Duration::from_nanos(1);

pub(super) async fn count(ctx: &Context) -> Result {
    phase(ctx, "nothing", REPEATS, async |_| Ok(())).await?;
    phase(ctx, "yield", REPEATS, yields).await?;
    phase(ctx, "spawn_join", REPEATS, async |count| {
        spawns(ctx, count).await
    })
    .await?;
    phase(ctx, "wake", REPEATS, async |count| wakes(ctx, count).await).await?;
    phase(ctx, "channel", REPEATS, async |count| {
        messages(ctx, count).await
    })
    .await?;
    phase(ctx, "timer_arm_cancel", REPEATS, async |count| {
        cancels(ctx, count).await
    })
    .await?;
    phase(ctx, "timer_fire", REPEATS, async |count| {
        fires(ctx, count).await
    })
    .await
}

/// Spans of a trace, while tracing is off and while it is on.
pub(super) async fn count_spans(ctx: &Context) -> Result {
    let trace = ctx.trace();
    let spans = async |count| {
        for _ in 0..count {
            trace.span("request").end();
        }
        Ok(())
    };
    phase(ctx, "span_off", REPEATS, spans).await?;
    trace.enable()?;
    phase(ctx, "span_on", REPEATS, spans).await?;
    trace.disable();
    Ok(())
}

async fn yields(count: u64) -> Result {
    for _ in 0..count {
        yield_now().await;
    }
    Ok(())
}

pub(crate) async fn spawns(ctx: &Context, count: u64) -> Result {
    for number in 0..count {
        let joined = ctx.spawn(async move { number }).await?;
        assert_eq!(joined, number);
    }
    Ok(())
}

/// Two tasks wake each other in turn: half of the wakes are this task's.
async fn wakes(ctx: &Context, count: u64) -> Result {
    let pair = Rc::new((Notify::new(), Notify::new()));
    let other = ctx.spawn({
        let pair = pair.clone();
        async move {
            for _ in 0..count / 2 {
                pair.0.notified().await;
                pair.1.notify_one();
            }
        }
    });
    for _ in 0..count / 2 {
        pair.0.notify_one();
        pair.1.notified().await;
    }
    Ok(other.await?)
}

/// A message to another task, and its answer.
async fn messages(ctx: &Context, count: u64) -> Result {
    let (requests, mut inbox) = bounded(1);
    let (answers, mut outbox) = bounded(1);
    let other = ctx.spawn(async move {
        while let Some(number) = inbox.recv().await {
            if answers.send(number).await.is_err() {
                return;
            }
        }
    });
    for number in 0..count {
        requests.send(number).await?;
        assert_eq!(outbox.recv().await, Some(number));
    }
    drop(requests);
    Ok(other.await?)
}

/// A deadline is set, and given up because something else came first.
pub(crate) async fn cancels(ctx: &Context, count: u64) -> Result {
    let clock = ctx.clock();
    for _ in 0..count {
        let sleep = core::pin::pin!(clock.sleep(FAR));
        match select(sleep, core::future::ready(())).await {
            Either::Left(_) => return Err("bench: an hour was over at once".into()),
            Either::Right(_) => {}
        }
    }
    Ok(())
}

pub(crate) async fn fires(ctx: &Context, count: u64) -> Result {
    let clock = ctx.clock();
    for _ in 0..count {
        clock.sleep(NEAR).await;
    }
    Ok(())
}
