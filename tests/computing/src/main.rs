//! Computes on the bare target and with hard float. Its first argument says what it does;
//! `tests/vm/hard_float.rs` has the other side.
#![no_std]
#![no_main]

mod arithmetic;
mod numbers;
mod system_call;
mod vectors;

use ukernel::{Context, Result};

#[ukernel::main]
async fn main(ctx: Context) -> Result {
    match ctx.args().first().copied() {
        Some("numbers") => numbers::compute(),
        Some("vectors") => vectors::keep(&ctx).await,
        Some("system-call") => system_call::make(),
        other => {
            return Err(if other.is_some() {
                "unknown mode"
            } else {
                "no mode"
            }
            .into());
        }
    }
    Ok(())
}
