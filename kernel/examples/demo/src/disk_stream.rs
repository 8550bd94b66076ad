//! Reading a disk ahead of whoever takes the bytes.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use ukernel::block::{Disk, DiskError};
use ukernel::task::{JoinHandle, Spawner};

use crate::byte_range::ByteRange;

/// Bytes of one read.
pub const CHUNK: usize = 32 * 1024;
/// Reads under way or waiting to be taken.
pub const READS_AHEAD: usize = 4;

/// A part of a disk, piece by piece and in order. Each read is a task, so that several are under way
/// while the reader is busy with something else. Dropping this abandons them.
pub struct DiskStream {
    disk: Disk,
    spawner: Spawner,
    rest: ByteRange,
    reads: VecDeque<JoinHandle<Result<Vec<u8>, DiskError>>>,
}

impl DiskStream {
    /// Prepares to read `range`, which lies on the disk. Nothing is read before the first piece is
    /// asked for.
    pub fn new(disk: Disk, range: ByteRange, spawner: Spawner) -> Self {
        DiskStream {
            disk,
            spawner,
            rest: range,
            reads: VecDeque::with_capacity(READS_AHEAD),
        }
    }

    /// The next piece; `None` behind the last one.
    pub async fn next(&mut self) -> Option<Result<Vec<u8>, DiskError>> {
        while self.reads.len() < READS_AHEAD
            && let Some(chunk) = self.rest.take_chunk(CHUNK as u64)
        {
            let disk = self.disk.clone();
            let read = async move { disk.read(chunk.offset, chunk.length as usize).await };
            self.reads.push_back(self.spawner.task("read").spawn(read));
        }
        let read = self.reads.pop_front()?;
        // A task that was cancelled has no answer; nobody else has the handle.
        Some(read.await.unwrap_or(Err(DiskError::DeviceFailed)))
    }
}

impl Drop for DiskStream {
    fn drop(&mut self) {
        self.reads.iter().for_each(JoinHandle::cancel);
    }
}
