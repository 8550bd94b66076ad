//! Reading a disk ahead of whoever takes the bytes.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::pin::Pin;

use futures_util::stream::{self, Stream, StreamExt};
use ukernel::block::{Disk, DiskError};

use crate::byte_range::ByteRange;

/// Bytes of one read.
pub const CHUNK: usize = 32 * 1024;
/// Reads under way or waiting to be taken.
pub const READS_AHEAD: usize = 4;

/// A part of the disk, read in order.
pub type Pieces = Pin<Box<dyn Stream<Item = Result<Vec<u8>, DiskError>>>>;

/// Reads `range`, keeping [`READS_AHEAD`] reads of [`CHUNK`] bytes under way. Nothing is read before the
/// stream is polled; dropping it abandons what is under way.
pub fn read(disk: Disk, range: ByteRange) -> Pieces {
    let reads = stream::iter(range.chunks(CHUNK as u64)).map(move |chunk| {
        let disk = disk.clone();
        async move { disk.read(chunk.offset, chunk.length as usize).await }
    });
    Box::pin(reads.buffered(READS_AHEAD))
}
