//! A periodic job: every tick starts a piece of work, and work that takes too long is cut off. When
//! the rounds are up, or the machine is told to stop, the task that reports on it is cancelled.
//!
//! Arguments: `rounds=<number>` (default 5) and `period=<milliseconds>` (default 200).
#![no_std]
#![no_main]

extern crate alloc;

use alloc::rc::Rc;
use core::cell::Cell;
use core::pin::pin;
use core::time::Duration;

use futures_util::future::{Either, select};
use ukernel::Context;
use ukernel::time::Clock;

/// What has become of the rounds so far.
#[derive(Default)]
struct Tally {
    finished: Cell<u32>,
    cut_off: Cell<u32>,
}

#[ukernel::main]
async fn main(ctx: Context) {
    let rounds = argument(&ctx, "rounds").unwrap_or(5);
    let period = Duration::from_millis(argument(&ctx, "period").unwrap_or(200).into());
    let tally = Rc::new(Tally::default());

    // Never ends by itself: it is cancelled below.
    let reporter = ctx
        .task("reporter")
        .spawn(report(ctx.clock(), period * 2, tally.clone()));

    let work = pin!(run(ctx.clock(), rounds, period, &tally));
    let shutdown = ctx.shutdown();
    let ending = match select(work, pin!(shutdown.requested())).await {
        Either::Left(_) => "all rounds are done",
        Either::Right(_) => "told to stop",
    };
    reporter.cancel();
    let cancelled = reporter.await.is_err();
    log::info!(
        "job: ended reason=\"{ending}\" finished={} cut_off={} reporter_cancelled={cancelled}",
        tally.finished.get(),
        tally.cut_off.get()
    );
}

/// Starts one piece of work a period; none may take longer than its period.
async fn run(clock: Clock, rounds: u32, period: Duration, tally: &Tally) {
    let mut ticks = clock.interval(period);
    for round in 1..=rounds {
        ticks.tick().await;
        // Every third piece is too slow.
        let length = if round % 3 == 0 {
            period * 10
        } else {
            period / 4
        };
        let count = match clock.timeout(period / 2, clock.sleep(length)).await {
            Ok(()) => &tally.finished,
            Err(_) => &tally.cut_off,
        };
        count.set(count.get() + 1);
    }
}

/// Says now and then how far the work is.
async fn report(clock: Clock, period: Duration, tally: Rc<Tally>) {
    loop {
        clock.sleep(period).await;
        log::info!(
            "job: finished={} cut_off={}",
            tally.finished.get(),
            tally.cut_off.get()
        );
    }
}

/// The number in the argument `name=<number>`.
fn argument(ctx: &Context, name: &str) -> Option<u32> {
    let mut pairs = ctx.args().iter().filter_map(|word| word.split_once('='));
    pairs.find(|(key, _)| *key == name)?.1.parse().ok()
}
