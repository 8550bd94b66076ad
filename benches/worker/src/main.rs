//! The program in the virtual machine that the benchmarks load. Its first argument says what it does:
//! `serve`, `disk` and `sleep` (what the peers do as well), `counts` (what one operation costs) or `scaling`
//! (how that grows).
#![no_std]
#![no_main]

extern crate alloc;

mod counts;
mod disk;
mod http;
mod mark;
mod scaling;
mod services;
mod sleep;

use ukernel::{Context, Result};

/// Without an argument it serves.
#[ukernel::main]
async fn main(ctx: Context) -> Result {
    log::info!("bench: up");
    match ctx.args().first().copied().unwrap_or("serve") {
        "serve" => services::serve(&ctx).await,
        "disk" => disk::measure(&ctx).await,
        "sleep" => sleep::measure(&ctx).await,
        "counts" => counts::count(&ctx).await,
        "scaling" => scaling::measure(&ctx).await,
        other => Err(alloc::format!("bench: unknown mode {other:?}").into()),
    }
}
