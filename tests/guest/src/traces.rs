//! Spans and events of native tasks, and what becomes of them on the serial line.

use alloc::format;

use ukernel::time::Duration;
use ukernel::{Context, Result};

use crate::{faults, lines};

/// Spans within each other, and one that another task ends; a third stays open. Whether any of it is recorded is the
/// command line's to say.
pub(crate) async fn spans(ctx: &Context) -> Result {
    let trace = ctx.trace();
    let outer = trace.span("outer");
    outer.attribute("path=/a b");
    let passed = outer.span("passed");
    let worker = ctx.task("worker").spawn({
        let (trace, clock) = (ctx.trace(), ctx.clock());
        async move {
            let other = trace.span("other");
            clock.sleep(Duration::from_millis(1)).await;
            other.event("tick", "n=1");
            drop(passed);
        }
    });
    worker.await?;
    outer.end();
    core::mem::forget(trace.span("open"));
    Ok(())
}

/// A tick every few milliseconds in one span and the log, until the machine is asked to stop.
pub(crate) async fn tick(ctx: &Context) -> Result {
    let trace = ctx.trace();
    trace.enable()?;
    let ticking = trace.span("ticking");
    log::info!("guest: ticking");
    let mut number = 0;
    while !ctx.shutdown().is_requested() {
        ticking.event("tick", &format!("n={number}"));
        log::info!("guest: tick number={number}");
        number += 1;
        ctx.clock().sleep(Duration::from_millis(3)).await;
    }
    ticking.end();
    log::info!("guest: ticked count={number}");
    Ok(())
}

/// Records and reads the input of the serial port itself.
pub(crate) async fn listen(ctx: &Context) -> Result {
    let trace = ctx.trace();
    trace.enable()?;
    trace.event("before", "");
    lines::echo(ctx).await;
    trace.event("after", "");
    Ok(())
}

/// Records something, and then more than there is room for, and panics or faults within a span.
pub(crate) async fn fail(ctx: &Context, how: &str) -> Result {
    let trace = ctx.trace();
    trace.enable()?;
    for _ in 0..3000 {
        trace.span("short").end();
    }
    let _span = trace.span("last");
    match how {
        "panic" => faults::panic(),
        "overflow" => faults::overflow(),
        _ => faults::read_null(),
    }
    Ok(())
}
