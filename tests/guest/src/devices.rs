//! What is attached to the machine, as a workload gets it.

use alloc::format;
use rand_core::Rng;
use ukernel::net::{ListenOptions, Stack, TcpListener};
use ukernel::{Context, Result};

/// Listens on port 1000 of the first network, on 1001 of the second and so on, and says there which one
/// it is, until it is asked to stop.
pub(crate) async fn serve_networks(ctx: &Context) {
    for (number, stack) in ctx.networks().iter().enumerate() {
        ctx.spawn(serve(stack.clone(), number as u16));
    }
    ctx.shutdown().await;
}

async fn serve(stack: Stack, number: u16) -> Result {
    let listener = TcpListener::bind(&stack, 1000 + number, ListenOptions::default())?;
    stack.wait_config_up().await;
    log::info!("guest: listening network={number}");
    loop {
        let (mut stream, _) = listener.accept().await;
        stream
            .write_all(format!("network {number}").as_bytes())
            .await?;
        stream.shutdown().await?;
    }
}

/// The first thing that the random source gives.
pub(crate) fn draw(ctx: &Context) {
    log::info!("guest: drew word={:#018x}", ctx.random().next_u64());
}
