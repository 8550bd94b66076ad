//! The program in the virtual machine that the benchmarks load. Its first argument says what it does:
//! `serve` (what the peers serve as well, see `services`) or `counts` (what one operation costs).
#![no_std]
#![no_main]

extern crate alloc;

mod counts;
mod http;
mod mark;
mod services;

use ukernel::{Context, Result};

/// Without an argument it serves.
#[ukernel::main]
async fn main(ctx: Context) -> Result {
    match ctx.args().first().copied().unwrap_or("serve") {
        "serve" => services::serve(&ctx).await,
        "counts" => counts::count(&ctx).await,
        other => Err(alloc::format!("bench: unknown mode {other:?}").into()),
    }
}
