//! Reads of the first disk.

use alloc::vec::Vec;

use futures_util::stream::{FuturesUnordered, StreamExt};
use ukernel::block::Disk;
use ukernel::{Context, Result};

use super::{REPEATS, phase};

const BLOCK: u64 = 4096;
/// Reads that are under way at the same time.
const DEPTH: usize = 32;

pub(super) async fn count(ctx: &Context) -> Result {
    let Ok(disk) = ctx.disk(0) else {
        return Ok(());
    };
    phase(ctx, "disk_read", REPEATS, async |count| {
        one_by_one(&disk, count).await
    })
    .await?;
    phase(ctx, "disk_read_deep", REPEATS, async |count| {
        many(&disk, count).await
    })
    .await
}

async fn one_by_one(disk: &Disk, count: u64) -> Result {
    let mut buffer = alloc::vec![0; BLOCK as usize];
    for number in 0..count {
        buffer = read(disk, number, buffer).await?;
    }
    Ok(())
}

async fn many(disk: &Disk, count: u64) -> Result {
    let mut reads = FuturesUnordered::new();
    for number in 0..count {
        let buffer = match reads.len() < DEPTH {
            true => alloc::vec![0; BLOCK as usize],
            false => finish(reads.next().await)?,
        };
        reads.push(read(disk, number, buffer));
    }
    while let Some(read) = reads.next().await {
        finish(Some(read))?;
    }
    Ok(())
}

fn finish(read: Option<Result<Vec<u8>>>) -> Result<Vec<u8>> {
    read.ok_or("bench: no read is under way")?
}

/// Reads a block somewhere, the same places every time.
async fn read(disk: &Disk, number: u64, buffer: Vec<u8>) -> Result<Vec<u8>> {
    let blocks = disk.len_bytes() / BLOCK;
    let block = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % blocks;
    let (result, buffer) = disk.read_into(block * BLOCK, buffer).await;
    result?;
    Ok(buffer)
}
