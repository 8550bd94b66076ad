//! The serial line in both directions, the request to stop, and boot modules.

use ukernel::Context;
use ukernel::arch::serial;
use ukernel::task::{Priority, yield_now};
use ukernel::time::Duration;

/// More lines than the log holds, at once; then one when there is room again.
pub(crate) async fn flood(ctx: &Context, count: u64) {
    for number in 0..count {
        log::info!("guest: flood number={number}");
    }
    ctx.clock().sleep(Duration::from_millis(500)).await;
    let dropped = ctx.stats().log_lines_dropped;
    log::info!("guest: flood over dropped={dropped}");
}

/// Logs a line and keeps the processor busy, with tasks of every priority that matters, until a byte comes
/// in.
pub(crate) async fn stay_busy(ctx: &Context) {
    let busy = || async {
        loop {
            yield_now().await;
        }
    };
    ctx.task("urgent").priority(Priority::High).spawn(busy());
    ctx.task("eager").spawn(busy());
    let parks = ctx.stats().reactor.parks;
    log::info!("guest: logged while busy");
    while serial::receive(&mut [0]) == 0 {
        yield_now().await;
    }
    let parks = ctx.stats().reactor.parks - parks;
    log::info!("guest: no longer busy parks={parks}");
}

/// Queues lines, none of which can have gone out yet.
pub(crate) fn queue(count: u64) {
    for number in 0..count {
        log::info!("guest: queued number={number}");
    }
}

/// Says what came in on the serial line, line by line, until "end".
pub(crate) async fn echo(ctx: &Context) {
    let mut line = alloc::string::String::new();
    let mut buffer = [0; 64];
    log::info!("guest: listening");
    loop {
        let count = serial::receive(&mut buffer);
        for &byte in &buffer[..count] {
            if byte != b'\n' && byte != b'\r' {
                line.push(char::from(byte));
                continue;
            }
            let (length, start) = (line.len(), &line[..line.len().min(40)]);
            log::info!("guest: heard line={start:?} length={length}");
            if line == "end" {
                let serial = ctx.stats().serial;
                let (bytes, stalls) = (serial.input_bytes, serial.input_stalls);
                log::info!("guest: input bytes={bytes} stalls={stalls}");
                return;
            }
            line.clear();
        }
        if count == 0 {
            ctx.clock().sleep(Duration::from_millis(20)).await;
        }
    }
}

pub(crate) async fn wait_for_stop(ctx: &Context) {
    log::info!("guest: waiting for the request to stop");
    ctx.shutdown().await;
    log::info!("guest: asked to stop");
}

/// The boot modules, read where they lie: their sizes and a sum of their bytes.
pub(crate) fn show_modules(ctx: &Context) {
    for (number, module) in ctx.modules().iter().enumerate() {
        let sum: u64 = module.iter().map(|&byte| u64::from(byte)).sum();
        log::info!(
            "guest: module number={number} bytes={} sum={sum}",
            module.len()
        );
    }
}
