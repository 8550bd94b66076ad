//! What the driver itself knows about the requests that a device has: which descriptors are free,
//! how those of a request are linked, and the buffers behind them. Never read back from memory
//! that the device can write. Only `queue.rs` uses it.
//!
//! The lists are allocated at once but filled as descriptors are first used, so that bringing up
//! a large queue costs no more than a small one.

use alloc::vec::Vec;

use super::{Fault, Token};
use crate::virtio::Buffer;

/// What is remembered about the request that begins at a descriptor.
#[derive(Clone, Copy, Debug, Default)]
struct Chain {
    /// Zero: no request begins here.
    segments: u16,
    /// The segments are described in an indirect table.
    in_table: bool,
    /// Bytes that the device may write.
    writable: u32,
}

/// The requests that are lent out of one queue.
#[derive(Debug)]
pub(super) struct Ledger {
    size: u16,
    /// Buffers that one descriptor can stand for: more than one with indirect tables.
    stride: u16,
    /// The descriptor behind each one, in its request or in the list of recycled ones.
    next: Vec<u16>,
    chains: Vec<Chain>,
    held: Vec<Option<Buffer>>,
    recycled_head: u16,
    recycled: u16,
    outstanding: u16,
}

impl Ledger {
    /// A ledger for `size` descriptors, each standing for up to `stride` buffers. `None`: out of
    /// memory.
    pub(super) fn new(size: u16, stride: u16) -> Option<Ledger> {
        let entries = usize::from(size);
        let (mut next, mut chains, mut held) = (Vec::new(), Vec::new(), Vec::new());
        next.try_reserve_exact(entries).ok()?;
        chains.try_reserve_exact(entries).ok()?;
        held.try_reserve_exact(entries * usize::from(stride)).ok()?;
        let (recycled_head, recycled, outstanding) = (0, 0, 0);
        Some(Ledger {
            size,
            stride,
            next,
            chains,
            held,
            recycled_head,
            recycled,
            outstanding,
        })
    }

    /// Descriptors that no request uses.
    pub(super) fn free(&self) -> u16 {
        self.size - self.touched() + self.recycled
    }

    /// Requests that the device has.
    pub(super) fn outstanding(&self) -> u16 {
        self.outstanding
    }

    /// Takes a free descriptor: the one used last, which the caches still hold, or a new one.
    /// There must be one.
    pub(super) fn take(&mut self) -> u16 {
        if self.recycled > 0 {
            let index = self.recycled_head;
            self.recycled -= 1;
            self.recycled_head = self.next[usize::from(index)];
            return index;
        }
        let index = self.touched();
        assert!(index < self.size, "the queue looked for room first");
        // All within what `new` reserved.
        self.next.push(0);
        self.chains.push(Chain::default());
        self.held
            .resize_with(self.held.len() + usize::from(self.stride), || None);
        index
    }

    /// Notes that `next` stands behind `index` in a request.
    pub(super) fn link(&mut self, index: u16, next: u16) {
        self.next[usize::from(index)] = next;
    }

    /// Keeps a buffer under a descriptor and, with an indirect table, a position in it.
    #[inline(always)] // with every buffer
    pub(super) fn hold(&mut self, index: u16, position: u16, buffer: Buffer) {
        let slot = self.slot(index, position);
        self.held[slot] = Some(buffer);
    }

    /// Enters the request that begins at `head`.
    pub(super) fn open(
        &mut self,
        head: u16,
        segments: u16,
        in_table: bool,
        writable: u32,
    ) -> Token {
        self.chains[usize::from(head)] = Chain {
            segments,
            in_table,
            writable,
        };
        self.outstanding += 1;
        Token(head)
    }

    /// Checks what a device says about a request that it is done with.
    pub(super) fn check(&self, id: u32, written: u32) -> Result<Token, Fault> {
        let head = u16::try_from(id).map_err(|_| Fault::UsedId)?;
        match self.chains.get(usize::from(head)) {
            None | Some(Chain { segments: 0, .. }) => Err(Fault::UsedId),
            Some(chain) if written > chain.writable => Err(Fault::UsedLength),
            Some(_) => Ok(Token(head)),
        }
    }

    /// Ends a request that [`Ledger::check`] passed: its buffers go to `take`, in order, and its
    /// descriptors are free.
    pub(super) fn close(&mut self, Token(head): Token, mut take: impl FnMut(Buffer)) {
        let chain = core::mem::take(&mut self.chains[usize::from(head)]);
        self.outstanding -= 1;
        take(self.release(head, 0));
        let mut last = head;
        for position in 1..chain.segments {
            if chain.in_table {
                take(self.release(head, position));
            } else {
                last = self.next[usize::from(last)];
                take(self.release(last, 0));
            }
        }
        self.next[usize::from(last)] = self.recycled_head;
        self.recycled_head = head;
        self.recycled += if chain.in_table { 1 } else { chain.segments };
    }

    #[inline(always)] // with every buffer
    fn release(&mut self, index: u16, position: u16) -> Buffer {
        let slot = self.slot(index, position);
        self.held[slot]
            .take()
            .expect("every segment of an open request has its buffer")
    }

    /// Descriptors that were ever used.
    fn touched(&self) -> u16 {
        self.next.len() as u16 // at most `size`
    }

    fn slot(&self, index: u16, position: u16) -> usize {
        usize::from(index) * usize::from(self.stride) + usize::from(position)
    }
}
