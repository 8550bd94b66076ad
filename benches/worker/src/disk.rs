//! Random and sequential reads and writes of the first disk, as many at a time as the peers have.

use alloc::vec::Vec;

use bench_work::disk::{BLOCK, CHUNK, CHUNKS, DEPTH, OPERATIONS, ROUNDS, block};
use bench_work::services::FILL;
use futures_util::stream::{FuturesUnordered, StreamExt};
use ukernel::block::Disk;
use ukernel::{Context, Result};

#[derive(Clone, Copy)]
enum Operation {
    Read,
    Write,
}

/// Measures everything, several times over.
pub(crate) async fn measure(ctx: &Context) -> Result {
    let disk = ctx.disk(0)?;
    for round in 0..ROUNDS {
        for (name, operation) in [("read", Operation::Read), ("write", Operation::Write)] {
            for depth in [1, DEPTH] {
                let start = ctx.clock().now();
                random(&disk, round, operation, depth).await?;
                let nanos = ctx.clock().now().duration_since(start).as_nanos();
                log::info!(
                    "bench: disk={name} way=task depth={depth} operations={OPERATIONS} nanos={nanos}"
                );
            }
        }
        let start = ctx.clock().now();
        sequential(&disk).await?;
        let nanos = ctx.clock().now().duration_since(start).as_nanos();
        log::info!("bench: disk=sequential way=task depth=1 operations={CHUNKS} nanos={nanos}");
    }
    log::info!("bench: measured");
    Ok(())
}

async fn random(disk: &Disk, round: u64, operation: Operation, depth: usize) -> Result {
    let blocks = disk.len_bytes() / BLOCK as u64;
    let mut running = FuturesUnordered::new();
    for number in 0..OPERATIONS {
        let buffer = match running.len() < depth {
            true => alloc::vec![FILL; BLOCK],
            false => finish(running.next().await)?,
        };
        running.push(one(disk, operation, block(number, round, blocks), buffer));
    }
    while let Some(done) = running.next().await {
        finish(Some(done))?;
    }
    Ok(())
}

fn finish(done: Option<Result<Vec<u8>>>) -> Result<Vec<u8>> {
    done.ok_or("bench: nothing is under way")?
}

async fn one(disk: &Disk, operation: Operation, offset: u64, buffer: Vec<u8>) -> Result<Vec<u8>> {
    let (result, buffer) = match operation {
        Operation::Read => disk.read_into(offset, buffer).await,
        Operation::Write => disk.write(offset, buffer).await,
    };
    result?;
    Ok(buffer)
}

/// A megabyte at a time, from the start.
async fn sequential(disk: &Disk) -> Result {
    let mut buffer = alloc::vec![0; CHUNK];
    for chunk in 0..CHUNKS {
        let offset = chunk * CHUNK as u64 % disk.len_bytes();
        let result;
        (result, buffer) = disk.read_into(offset, buffer).await;
        result?;
    }
    Ok(())
}
