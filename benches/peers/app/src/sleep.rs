//! How late a sleep of a millisecond ends.

use std::time::Instant;

use bench_work::sleep::{REPEATS, SLEEP};

pub(crate) async fn measure() {
    let mut late = Vec::with_capacity(REPEATS);
    for _ in 0..REPEATS {
        let start = Instant::now();
        tokio::time::sleep(SLEEP).await;
        late.push(start.elapsed().saturating_sub(SLEEP).as_nanos());
    }
    late.sort_unstable();
    println!(
        "bench: sleep p50_nanos={} p99_nanos={}",
        late[REPEATS / 2],
        late[REPEATS * 99 / 100]
    );
}
