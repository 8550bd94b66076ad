//! The demonstration worker: HTTP on port 8080, echo on port 7, a heartbeat in the log.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::rc::Rc;

use demo::settings::Settings;
use demo::worker::Worker;
use demo::{echo, heartbeat, http};
use ukernel::{Context, Result};

#[ukernel::main]
async fn main(ctx: Context) -> Result {
    let settings = Settings::parse(ctx.args(), |argument| {
        log::warn!("demo: argument ignored argument=\"{argument}\"");
    });
    heartbeat::start(&ctx, settings.heartbeat);
    let worker = Rc::new(Worker::new(ctx, &settings));
    echo::start(&worker)?;
    http::serve(worker).await
}
