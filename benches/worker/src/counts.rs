//! What one operation costs, on traffic that this machine makes itself. Each phase warms up, marks its
//! start, repeats one operation, and marks its end; `benches` pairs the marks with the lines logged
//! here, so the order of the phases is the order of the marks.

mod disk;
pub(crate) mod network;
pub(crate) mod tasks;

use core::time::Duration;

use ukernel::{Context, Result};

use crate::mark::bench_mark;

/// How often each operation is repeated while it is counted, and before.
pub(crate) const REPEATS: u64 = 1000;
const WARM_UP: u64 = 100;
const ROUNDS: u32 = 3;
/// Longer than a line of the log takes to leave.
const PAUSE: Duration = Duration::from_millis(2);

/// The kernel's own counters at a mark.
struct Counters {
    allocations: u64,
    polls: u64,
}

impl Counters {
    fn now(ctx: &Context) -> Counters {
        let stats = ctx.stats();
        Counters {
            allocations: stats.memory.allocations,
            polls: stats.reactor.polls,
        }
    }
}

/// Runs every phase that this machine has the devices for, and ends.
pub(crate) async fn count(ctx: &Context) -> Result {
    tasks::count(ctx).await?;
    network::count_loopback(ctx).await?;
    network::count_wire(ctx).await?;
    disk::count(ctx).await?;
    // Last: what has a trace has a task more.
    tasks::count_spans(ctx).await?;
    log::info!("bench: counted");
    Ok(())
}

/// Counts one phase: `operation` is handed how often to do what it does.
///
/// Counted several times over: an interrupt more or less makes a difference, and the best round is the
/// one that was disturbed least.
pub(crate) async fn phase<F>(ctx: &Context, name: &str, repeats: u64, mut operation: F) -> Result
where
    F: AsyncFnMut(u64) -> Result,
{
    operation(WARM_UP.min(repeats)).await?;
    for _ in 0..ROUNDS {
        round(ctx, name, repeats, &mut operation).await?;
    }
    Ok(())
}

async fn round<F>(ctx: &Context, name: &str, repeats: u64, operation: &mut F) -> Result
where
    F: AsyncFnMut(u64) -> Result,
{
    // Taking the counters allocates; how much, the first pair of them says.
    let before = Counters::now(ctx);
    let start = Counters::now(ctx);
    bench_mark();
    operation(repeats).await?;
    bench_mark();
    let end = Counters::now(ctx);
    let own = start.allocations - before.allocations;
    let allocations = end.allocations - start.allocations - own;
    let polls = end.polls - start.polls;
    log::info!("bench: phase={name} repeats={repeats} allocations={allocations} polls={polls}");
    // Its bytes leave now, not among what is counted next.
    ctx.clock().sleep(PAUSE).await;
    Ok(())
}
