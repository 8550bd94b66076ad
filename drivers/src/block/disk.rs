//! The handle of a disk: what a workload calls. Checks every request before it goes anywhere, and
//! turns convenient shapes (any alignment, borrowed memory, long ranges) into requests that the
//! device takes.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use super::geometry::{Geometry, SECTOR};
use super::table::{Data, Operation, Outcome, Request, SharedTable, SlotId};
use super::{DiskError, DiskStats};
use crate::virtio::Buffer;

/// A disk. Cheap to clone; all clones share one queue of requests.
///
/// Every method that touches the device is a future that may be dropped at any await. A read then
/// has no effect; a write may or may not reach the disk. Not `Send`: it lives on the kernel's
/// thread, in task context.
#[derive(Clone, Debug)]
pub struct Disk {
    table: Rc<SharedTable>,
    geometry: Geometry,
}

impl Disk {
    pub(super) fn new(table: Rc<SharedTable>, geometry: Geometry) -> Disk {
        Disk { table, geometry }
    }

    /// Size of the disk in bytes, a multiple of [`Disk::block_size`].
    pub fn len_bytes(&self) -> u64 {
        self.geometry.bytes
    }

    /// Bytes of a block, which writes must respect: 512 unless the device says otherwise.
    pub fn block_size(&self) -> u64 {
        self.geometry.block
    }

    /// Whether writes are refused.
    pub fn read_only(&self) -> bool {
        self.geometry.read_only
    }

    /// The same disk for somebody who may not write it.
    #[must_use]
    pub fn read_only_view(&self) -> Disk {
        let mut view = self.clone();
        view.geometry.read_only = true;
        view
    }

    /// Figures of the disk, over all clones of the handle.
    pub fn stats(&self) -> DiskStats {
        self.table.with(|table| table.stats())
    }

    /// Reads `len` bytes from `offset`, both at any byte. A range of whole blocks up to
    /// [`MAX_TRANSFER`](super::MAX_TRANSFER) is one request whose memory is what is returned;
    /// other ranges are copied once.
    ///
    /// # Errors
    /// [`DiskError`]; `OutOfRange` and `OutOfMemory` without asking the device.
    pub async fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>, DiskError> {
        self.geometry.check_range(offset, len)?;
        let buffer = Buffer::zeroed(len).ok_or(DiskError::OutOfMemory)?;
        let (result, bytes) = self.read_into(offset, buffer.into_vec()).await;
        result.map(|()| bytes)
    }

    /// Fills `bytes`, as long as it is, from `offset`. The memory comes back with the result. Only
    /// a failed device keeps it: the vector is empty then.
    ///
    /// # Errors
    /// As [`Disk::read`].
    pub async fn read_into(
        &self,
        offset: u64,
        mut bytes: Vec<u8>,
    ) -> (Result<(), DiskError>, Vec<u8>) {
        if !self.is_one_request(offset, bytes.len()) {
            let result = self.read_at(offset, &mut bytes).await;
            return (result, bytes);
        }
        if let Err(error) = self.geometry.check_range(offset, bytes.len()) {
            return (Err(error), bytes);
        }
        let outcome = self
            .request(Operation::Read, offset, Data::One(bytes.into()))
            .await;
        (outcome.result, into_vec(outcome.data))
    }

    /// Fills borrowed memory from `offset`, at any byte and any length, through a bounce buffer.
    ///
    /// # Errors
    /// As [`Disk::read`]. On an error the memory is filled in part.
    pub async fn read_at(&self, mut offset: u64, mut into: &mut [u8]) -> Result<(), DiskError> {
        self.geometry.check_range(offset, into.len())?;
        while !into.is_empty() {
            let (start, len) = self.geometry.window(offset, into.len());
            let skip = (offset - start) as usize;
            let bounce = Buffer::zeroed(len).ok_or(DiskError::OutOfMemory)?;
            let outcome = self
                .request(Operation::Read, start, Data::One(bounce))
                .await;
            outcome.result?;
            let bytes = into_vec(outcome.data);
            let count = (len - skip).min(into.len());
            let (filled, rest) = into.split_at_mut(count);
            filled.copy_from_slice(&bytes[skip..skip + count]);
            (offset, into) = (offset + count as u64, rest);
        }
        Ok(())
    }

    /// Fills several buffers from `offset`, one after the other, in one request where the device
    /// takes as many segments. The memory comes back with the result, as in [`Disk::read_into`].
    ///
    /// # Errors
    /// As [`Disk::read`].
    pub async fn read_vectored(
        &self,
        offset: u64,
        mut list: Vec<Vec<u8>>,
    ) -> (Result<(), DiskError>, Vec<Vec<u8>>) {
        if let Err(error) = self.geometry.check_range(offset, total(&list)) {
            return (Err(error), list);
        }
        if self.is_one_vectored(offset, &list) {
            let outcome = self.request(Operation::Read, offset, many(list)).await;
            return (outcome.result, into_list(outcome.data));
        }
        let mut at = offset;
        for bytes in &mut list {
            if let Err(error) = self.read_at(at, bytes).await {
                return (Err(error), list);
            }
            at += bytes.len() as u64;
        }
        (Ok(()), list)
    }

    /// Writes `bytes` at `offset`. Both must be multiples of [`Disk::block_size`]. The memory
    /// comes back with the result, as in [`Disk::read_into`].
    ///
    /// # Errors
    /// [`DiskError`]; `OutOfRange`, `Misaligned` and `ReadOnly` without asking the device.
    pub async fn write(&self, offset: u64, bytes: Vec<u8>) -> (Result<(), DiskError>, Vec<u8>) {
        if !self.is_one_request(offset, bytes.len()) {
            let result = self.write_at(offset, &bytes).await;
            return (result, bytes);
        }
        if let Err(error) = self.geometry.check_write(offset, bytes.len()) {
            return (Err(error), bytes);
        }
        let outcome = self
            .request(Operation::Write, offset, Data::One(bytes.into()))
            .await;
        (outcome.result, into_vec(outcome.data))
    }

    /// Writes borrowed memory at `offset`, through a bounce buffer. Offset and length must be
    /// multiples of [`Disk::block_size`].
    ///
    /// # Errors
    /// As [`Disk::write`], and `OutOfMemory`. On an error some of it may be written.
    pub async fn write_at(&self, mut offset: u64, from: &[u8]) -> Result<(), DiskError> {
        self.geometry.check_write(offset, from.len())?;
        for chunk in from.chunks(self.geometry.max_transfer) {
            let mut bounce = Vec::new();
            bounce
                .try_reserve_exact(chunk.len())
                .map_err(|_| DiskError::OutOfMemory)?;
            bounce.extend_from_slice(chunk);
            self.request(Operation::Write, offset, Data::One(bounce.into()))
                .await
                .result?;
            offset += chunk.len() as u64;
        }
        Ok(())
    }

    /// Writes several buffers at `offset`, one after the other, in one request where the device
    /// takes as many segments. Offset and total length must be multiples of
    /// [`Disk::block_size`]. The memory comes back with the result.
    ///
    /// # Errors
    /// As [`Disk::write_at`].
    pub async fn write_vectored(
        &self,
        offset: u64,
        list: Vec<Vec<u8>>,
    ) -> (Result<(), DiskError>, Vec<Vec<u8>>) {
        let len = total(&list);
        if let Err(error) = self.geometry.check_write(offset, len) {
            return (Err(error), list);
        }
        if self.is_one_vectored(offset, &list) {
            let outcome = self.request(Operation::Write, offset, many(list)).await;
            return (outcome.result, into_list(outcome.data));
        }
        let mut joined = Vec::new();
        if joined.try_reserve_exact(len).is_err() {
            return (Err(DiskError::OutOfMemory), list);
        }
        list.iter()
            .for_each(|bytes| joined.extend_from_slice(bytes));
        (self.write_at(offset, &joined).await, list)
    }

    /// Makes every write that completed before durable. A device without a cache to flush (it did
    /// not offer the feature) has nothing to do: `Ok` at once.
    ///
    /// # Errors
    /// [`DiskError`].
    pub async fn flush(&self) -> Result<(), DiskError> {
        if !self.geometry.flush {
            return Ok(());
        }
        self.request(Operation::Flush, 0, Data::None).await.result
    }

    /// Whether a range can go to the device as it is.
    fn is_one_request(&self, offset: u64, len: usize) -> bool {
        len > 0 && len <= self.geometry.max_transfer && self.geometry.is_aligned(offset, len)
    }

    /// Whether a list of buffers can go to the device as it is.
    fn is_one_vectored(&self, offset: u64, list: &[Vec<u8>]) -> bool {
        list.len() <= self.geometry.max_segments
            && self.is_one_request(offset, total(list))
            && list.iter().all(|bytes| !bytes.is_empty())
    }

    /// A checked request of whole blocks.
    async fn request(&self, operation: Operation, offset: u64, data: Data) -> Outcome {
        let request = Request {
            operation,
            sector: offset / SECTOR,
            data,
        };
        let _permit = match self.table.admit().await {
            Ok(permit) => permit,
            Err(error) => {
                return Outcome {
                    result: Err(error),
                    data: request.data,
                };
            }
        };
        match self.table.with(|table| table.insert(request)) {
            Ok(slot) => {
                Pending {
                    table: &self.table,
                    slot: Some(slot),
                }
                .await
            }
            Err(outcome) => outcome,
        }
    }
}

/// A request that is in the table. Dropping it leaves nothing behind but what the device has.
#[derive(Debug)]
struct Pending<'a> {
    table: &'a SharedTable,
    /// `None` once the outcome was taken.
    slot: Option<SlotId>,
}

impl Future for Pending<'_> {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let slot = self
            .slot
            .expect("a future is not polled again once it is ready");
        let outcome = self.table.with(|table| table.poll_finish(slot, cx));
        if outcome.is_ready() {
            self.slot = None;
        }
        outcome
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if let Some(slot) = self.slot {
            self.table.with(|table| table.abandon(slot));
        }
    }
}

fn total(list: &[Vec<u8>]) -> usize {
    list.iter()
        .fold(0, |sum, bytes| sum.saturating_add(bytes.len()))
}

fn many(list: Vec<Vec<u8>>) -> Data {
    Data::collect(list.into_iter().map(Buffer::from))
}

fn into_vec(data: Data) -> Vec<u8> {
    let mut bytes = Vec::new();
    data.for_each(|buffer| bytes = buffer.into_vec());
    bytes
}

fn into_list(data: Data) -> Vec<Vec<u8>> {
    let mut list = Vec::new();
    data.for_each(|buffer| list.push(buffer.into_vec()));
    list
}
