//! Clock, timers, idling, and a task that does not return.

use core::hint::black_box;
use ukernel::Context;
use ukernel::arch::stats;
use ukernel::arch::{time, timer};
use ukernel::time::Duration;

pub(crate) async fn sleep(ctx: &Context, milliseconds: u64) {
    ctx.clock().sleep(Duration::from_millis(milliseconds)).await;
    log::info!("guest: slept milliseconds={milliseconds}");
}

/// Sleeps of many lengths: none may end early; the latest is shown.
pub(crate) async fn check_timers(ctx: &Context) {
    let clock = ctx.clock();
    let mut worst = Duration::ZERO;
    for micros in [1, 50, 700, 3_000, 20_000, 60_000, 250_000, 1_200_000] {
        let deadline = clock.now() + Duration::from_micros(micros);
        clock.sleep_until(deadline).await;
        let now = clock.now();
        assert!(now >= deadline, "early");
        worst = worst.max(now - deadline);
    }
    log::info!(
        "guest: timers work device={:?} worst_late_us={}",
        timer::device(),
        worst.as_micros()
    );
}

/// A line each second; the test compares with its own clock.
pub(crate) async fn tick(ctx: &Context, count: u64) {
    log::info!(
        "guest: clock={:?} timer={:?}",
        time::kind(),
        timer::device()
    );
    let mut interval = ctx.clock().interval(Duration::from_secs(1));
    for number in 0..count {
        interval.tick().await;
        let now = ctx.clock().now().as_nanos();
        log::info!(
            "guest: tick number={number} nanos={now} tsc_hz={}",
            time::tsc_hz()
        );
    }
}

pub(crate) fn wall_clock(ctx: &Context) {
    match ctx.wall_clock() {
        Some(since) => log::info!("guest: wall clock seconds={}", since.as_secs()),
        None => log::info!("guest: wall clock unknown"),
    }
}

/// Does nothing for some seconds, after letting the machine settle, and says what that cost.
pub(crate) async fn idle(ctx: &Context, seconds: u64) {
    ctx.clock().sleep(Duration::from_millis(2_500)).await;
    let before = ctx.stats();
    ctx.clock().sleep(Duration::from_secs(seconds)).await;
    let after = ctx.stats();
    let (was, is) = (before.machine, after.machine);
    log::info!(
        "guest: idle polls={} halts={} interrupts={} settings={} rearms={} fired={} slept_on={}",
        after.reactor.polls - before.reactor.polls,
        is.halts - was.halts,
        is.interrupts_in_all() - was.interrupts_in_all(),
        is.timer_settings - was.timer_settings,
        is.timer_rearms - was.timer_rearms,
        is.timer_fired - was.timer_fired,
        is.slept_on - was.slept_on,
    );
}

/// A task that keeps the processor for some seconds.
pub(crate) async fn spin(ctx: &Context, seconds: u64) {
    let clock = ctx.clock();
    let task = ctx.task("selfish").spawn(async move {
        let end = clock.now() + Duration::from_secs(seconds);
        while clock.now() < end {
            // Most of the time here rather than in the clock, whose short functions have no frame of
            // their own by which a backtrace could find the way to this one.
            for step in 0..100_000 {
                black_box(step);
            }
        }
    });
    let ended = task.await.is_ok();
    let reports = stats::now().stuck_polls;
    log::info!("guest: spun ended={ended} reports={reports}");
}
