//! A job: for each argument, a number, it works out a Fibonacci number, all of them side by side, and ends. Status 0: all
//! is done; 1: something failed or took too long; 2: told to stop before that.
#![no_std]

extern crate alloc;

use alloc::vec::Vec;
use core::pin::pin;
use core::time::Duration;

use futures_util::future::{Either, select};
use ukernel::task::{JoinHandle, yield_now};
use ukernel::time::Clock;
use ukernel::{Context, ExitCode};

/// How long one piece of work may take, where the variable `LIMIT` does not say it in milliseconds.
const LIMIT: Duration = Duration::from_secs(1);
/// The largest argument: what is beyond does not fit a number of 64 bits.
const MAX: u32 = 93;

/// Works through the arguments, or until the machine is told to stop.
pub async fn run(ctx: Context) -> ExitCode {
    let limit = ctx.variable("LIMIT").and_then(|text| text.parse().ok());
    let limit = limit.map_or(LIMIT, Duration::from_millis);
    let start = |word: &&'static str| ctx.task("piece").spawn(piece(word, ctx.clock(), limit));
    let pieces: Vec<_> = ctx.args().iter().map(start).collect();
    let shutdown = ctx.shutdown();
    match select(pin!(all(pieces)), pin!(shutdown.requested())).await {
        Either::Left((failed, _)) => {
            log::info!("job: ended failed={failed}");
            ExitCode::from(u8::from(failed > 0))
        }
        Either::Right(_) => {
            log::warn!("job: told to stop");
            ExitCode::from(2)
        }
    }
}

/// Waits for all pieces. Returns how many failed.
async fn all(pieces: Vec<JoinHandle<bool>>) -> usize {
    let mut failed = 0;
    for piece in pieces {
        failed += usize::from(!matches!(piece.await, Ok(true)));
    }
    failed
}

/// One piece of work, which says what came of it.
async fn piece(word: &'static str, clock: Clock, limit: Duration) -> bool {
    let Some(number) = word.parse().ok().filter(|number| *number <= MAX) else {
        log::error!("job: not a number up to {MAX} argument=\"{word}\"");
        return false;
    };
    match clock.timeout(limit, fibonacci(number)).await {
        Ok(result) => {
            log::info!("job: fibonacci({number}) = {result}");
            true
        }
        Err(_) => {
            log::error!("job: took too long argument=\"{word}\"");
            false
        }
    }
}

/// The Fibonacci number `number`; lets others run after each step.
async fn fibonacci(number: u32) -> u64 {
    let (mut this, mut next) = (0_u64, 1_u64);
    for _ in 0..number {
        (this, next) = (next, this.saturating_add(next));
        yield_now().await;
    }
    this
}
