//! How late a sleep of a millisecond ends.

use alloc::vec::Vec;

use bench_work::sleep::{REPEATS, SLEEP};
use ukernel::{Context, Result};

pub(crate) async fn measure(ctx: &Context) -> Result {
    let clock = ctx.clock();
    let mut late = Vec::with_capacity(REPEATS);
    for _ in 0..REPEATS {
        let start = clock.now();
        clock.sleep(SLEEP).await;
        let took = clock.now().duration_since(start);
        late.push(took.saturating_sub(SLEEP).as_nanos());
    }
    late.sort_unstable();
    log::info!(
        "bench: sleep p50_nanos={} p99_nanos={}",
        late[REPEATS / 2],
        late[REPEATS * 99 / 100]
    );
    Ok(())
}
