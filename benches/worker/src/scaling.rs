//! How costs grow with what is there already: tasks, timers, connections. Phases as in `counts`, whose
//! names end in the number that was there, such as `task_wake@1000`; and lines about memory.

mod connections;
mod tasks;
mod timers;

use ukernel::{Context, Result};

/// Of tasks and timers.
const MANY: [usize; 5] = [10, 100, 1_000, 10_000, 100_000];

/// Measures everything, and ends.
pub(crate) async fn measure(ctx: &Context) -> Result {
    tasks::measure(ctx).await?;
    timers::measure(ctx).await?;
    connections::measure(ctx).await?;
    log::info!("bench: measured");
    Ok(())
}

/// The heap's use at some time, to compare with.
struct Memory(u64);

impl Memory {
    fn now(ctx: &Context) -> Memory {
        Memory(ctx.stats().memory.heap_used_bytes)
    }

    /// Logs what each of `new` things has taken since, which make `live` with those of before.
    fn report(&self, ctx: &Context, what: &str, live: usize, new: usize) {
        let bytes = ctx.stats().memory.heap_used_bytes - self.0;
        log::info!("bench: memory={what}@{live} bytes={}", bytes / new as u64);
    }
}
