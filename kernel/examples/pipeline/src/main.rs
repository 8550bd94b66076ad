//! A pipeline of three tasks over bounded channels: one reads disk 0, one hashes what was read, one
//! counts zero bytes in it. The slowest stage sets the pace, and memory stays bounded by the
//! channels' capacity.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::rc::Rc;
use alloc::vec::Vec;

use sha2::{Digest, Sha256};
use ukernel::block::Disk;
use ukernel::sync::mpsc::{Receiver, Sender, bounded};
use ukernel::{Context, Result};

/// Bytes of one read.
const CHUNK: u64 = 64 * 1024;
/// Chunks that may wait between two stages.
const CAPACITY: usize = 4;

/// A piece of the disk, shared by the stages.
type Chunk = Rc<Vec<u8>>;

#[ukernel::main]
async fn main(ctx: Context) -> Result {
    let disk = ctx.disk(0)?;
    let (to_hash, hash_input) = bounded(CAPACITY);
    let (to_count, count_input) = bounded(CAPACITY);
    let reader = ctx.task("reader").spawn(read(disk, to_hash, to_count));
    let hasher = ctx.task("hasher").spawn(hash(hash_input));
    let counter = ctx.task("counter").spawn(count_zeros(count_input));

    let bytes = reader.await??;
    let digest: Vec<u8> = hasher.await?;
    let zeros = counter.await?;
    log::info!(
        "pipeline: done bytes={bytes} zeros={zeros} sha256={}",
        Hex(&digest)
    );
    Ok(())
}

/// First stage: the whole disk, chunk by chunk, to both of the others.
async fn read(disk: Disk, to_hash: Sender<Chunk>, to_count: Sender<Chunk>) -> Result<u64> {
    let length = disk.len_bytes();
    let mut offset = 0;
    while offset < length {
        let count = CHUNK.min(length - offset);
        let chunk = Rc::new(disk.read(offset, count as usize).await?);
        to_hash.send(chunk.clone()).await?;
        to_count.send(chunk).await?;
        offset += count;
    }
    Ok(length)
}

/// Second stage, until the reader drops its end.
async fn hash(mut input: Receiver<Chunk>) -> Vec<u8> {
    let mut hasher = Sha256::new();
    while let Some(chunk) = input.recv().await {
        hasher.update(&**chunk);
    }
    hasher.finalize().to_vec()
}

/// Third stage, until the reader drops its end.
async fn count_zeros(mut input: Receiver<Chunk>) -> u64 {
    let mut zeros = 0;
    while let Some(chunk) = input.recv().await {
        zeros += chunk.iter().filter(|byte| **byte == 0).count() as u64;
    }
    zeros
}

/// Bytes in lower-case hexadecimal.
struct Hex<'a>(&'a [u8]);

impl core::fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
