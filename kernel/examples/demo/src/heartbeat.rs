//! A line in the log now and then, which shows that the machine is alive and what it does.

use core::time::Duration;

use ukernel::{Context, Stats};

/// Logs a line every `period`, for ever.
pub async fn run(ctx: Context, period: Duration) {
    let mut ticks = ctx.clock().interval(period);
    let mut before = ctx.stats();
    loop {
        ticks.tick().await;
        let now = ctx.stats();
        beat(&before, &now);
        before = now;
    }
}

fn beat(before: &Stats, now: &Stats) {
    // In 64 bits: formatting 128 is code that nothing else needs.
    let span = (now.uptime - before.uptime).as_millis().max(1) as u64;
    let idle = (now.reactor.idle - before.reactor.idle).as_millis() as u64;
    log::info!(
        "demo: heartbeat uptime={}s tasks={} polls={} interrupts={} idle={}% heap_used={}",
        now.uptime.as_secs(),
        now.reactor.tasks_live,
        now.reactor.polls - before.reactor.polls,
        now.interrupts - before.interrupts,
        idle * 100 / span,
        now.memory.heap_used_bytes,
    );
}
