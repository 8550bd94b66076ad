//! The memory of one split virtqueue (virtio 1.2 §2.7) as atomic fields with checked indices.
//! Only `queue.rs` uses it; it knows where each field lies and nothing about what they mean.
#![allow(
    unsafe_code,
    reason = "driver and device share this memory, so it is reached by address"
)]

use alloc::alloc::{Layout, alloc_zeroed, dealloc};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering::Relaxed};

/// Bytes of one descriptor: address, length, flags, next (§2.7.5).
const DESCRIPTOR: usize = 16;
/// Bytes of one element of the used ring: id, length (§2.7.8).
const USED_ELEMENT: usize = 8;
/// Bytes of flags and index in front of both rings.
const HEADER: usize = 4;
/// Bytes of the event index behind both rings.
const EVENT: usize = 2;
/// The descriptor table's alignment; the rings ask for less (§2.7).
const ALIGNMENT: usize = 16;

/// One descriptor as the device reads it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Descriptor {
    pub(super) address: u64,
    pub(super) len: u32,
    pub(super) flags: u16,
    pub(super) next: u16,
}

/// Descriptor table, available ring, used ring and, where wanted, one indirect table for each
/// descriptor, in one zeroed allocation.
///
/// All fields are little-endian (§2.7.5), which is the only byte order this kernel has. Accesses
/// are relaxed atomics of the field's own width; the order among them is the caller's, by fences.
#[derive(Debug)]
pub(super) struct Ring {
    base: NonNull<u8>,
    layout: Layout,
    size: u16,
    available: usize,
    used: usize,
    indirect: usize,
    per_table: u16,
}

// SAFETY: Ring owns its allocation, and every access to it is atomic.
unsafe impl Send for Ring {}

impl Ring {
    /// Allocates a zeroed ring of `size` entries (a power of two) and, if `per_table` is not
    /// zero, an indirect table of so many descriptors beside each entry. `None`: out of memory.
    pub(super) fn new(size: u16, per_table: u16) -> Option<Ring> {
        assert!(
            size.is_power_of_two() && size <= 1 << 15,
            "queue sizes are powers of two (§2.7)"
        );
        let entries = usize::from(size);
        let available = entries * DESCRIPTOR;
        let used = (available + HEADER + entries * 2 + EVENT).next_multiple_of(4);
        let indirect = (used + HEADER + entries * USED_ELEMENT + EVENT).next_multiple_of(ALIGNMENT);
        let bytes = indirect + entries * usize::from(per_table) * DESCRIPTOR;
        let layout = Layout::from_size_align(bytes, ALIGNMENT).ok()?;
        // SAFETY: `bytes` is at least the 16 bytes of one descriptor, so the layout is not empty.
        let base = NonNull::new(unsafe { alloc_zeroed(layout) })?;
        Some(Ring {
            base,
            layout,
            size,
            available,
            used,
            indirect,
            per_table,
        })
    }

    /// Number of entries, a power of two.
    pub(super) fn size(&self) -> u16 {
        self.size
    }

    /// Device addresses of descriptor table, available ring and used ring.
    pub(super) fn addresses(&self) -> [u64; 3] {
        let base = self.base.as_ptr().expose_provenance() as u64;
        [base, base + self.available as u64, base + self.used as u64]
    }

    /// Device address of the indirect table that belongs to entry `index`.
    pub(super) fn table_address(&self, index: u16) -> u64 {
        self.addresses()[0] + self.table_offset(index, 0) as u64
    }

    pub(super) fn write_descriptor(&self, index: u16, descriptor: Descriptor) {
        self.write_at(usize::from(self.slot(index)) * DESCRIPTOR, descriptor);
    }

    pub(super) fn write_indirect(&self, table: u16, position: u16, descriptor: Descriptor) {
        self.write_at(self.table_offset(table, position), descriptor);
    }

    pub(super) fn set_available_flags(&self, flags: u16) {
        self.u16_at(self.available).store(flags, Relaxed);
    }

    pub(super) fn set_available_index(&self, index: u16) {
        self.u16_at(self.available + 2).store(index, Relaxed);
    }

    pub(super) fn set_available_entry(&self, position: u16, head: u16) {
        let offset = self.available + HEADER + usize::from(self.slot(position)) * 2;
        self.u16_at(offset).store(head, Relaxed);
    }

    /// The used index at which the driver wants the next interrupt (§2.7.7).
    pub(super) fn set_used_event(&self, index: u16) {
        self.u16_at(self.available + HEADER + usize::from(self.size) * 2)
            .store(index, Relaxed);
    }

    pub(super) fn used_flags(&self) -> u16 {
        self.u16_at(self.used).load(Relaxed)
    }

    pub(super) fn used_index(&self) -> u16 {
        self.u16_at(self.used + 2).load(Relaxed)
    }

    /// The id and length that the device wrote at `position`, whatever they are.
    pub(super) fn used_entry(&self, position: u16) -> (u32, u32) {
        let offset = self.used + HEADER + usize::from(self.slot(position)) * USED_ELEMENT;
        (
            self.u32_at(offset).load(Relaxed),
            self.u32_at(offset + 4).load(Relaxed),
        )
    }

    /// The available index at which the device wants the next notification (§2.7.10).
    pub(super) fn available_event(&self) -> u16 {
        self.u16_at(self.used + HEADER + usize::from(self.size) * USED_ELEMENT)
            .load(Relaxed)
    }

    /// Free-running indices count modulo 2^16; the ring has the low bits of them.
    fn slot(&self, index: u16) -> u16 {
        index & (self.size - 1)
    }

    fn table_offset(&self, table: u16, position: u16) -> usize {
        assert!(
            position < self.per_table,
            "an indirect table has {} entries",
            self.per_table
        );
        let table = usize::from(self.slot(table)) * usize::from(self.per_table);
        self.indirect + (table + usize::from(position)) * DESCRIPTOR
    }

    fn write_at(&self, offset: usize, descriptor: Descriptor) {
        self.u64_at(offset).store(descriptor.address, Relaxed);
        self.u32_at(offset + 8).store(descriptor.len, Relaxed);
        self.u16_at(offset + 12).store(descriptor.flags, Relaxed);
        self.u16_at(offset + 14).store(descriptor.next, Relaxed);
    }

    fn u16_at(&self, offset: usize) -> &AtomicU16 {
        // SAFETY: `field` returns an aligned pointer to two bytes of the live, zeroed allocation,
        // which is only ever accessed through atomics; the reference cannot outlive `self`.
        unsafe { AtomicU16::from_ptr(self.field(offset, 2).cast()) }
    }

    fn u32_at(&self, offset: usize) -> &AtomicU32 {
        // SAFETY: as in `u16_at`, with four bytes.
        unsafe { AtomicU32::from_ptr(self.field(offset, 4).cast()) }
    }

    fn u64_at(&self, offset: usize) -> &AtomicU64 {
        // SAFETY: as in `u16_at`, with eight bytes.
        unsafe { AtomicU64::from_ptr(self.field(offset, 8).cast()) }
    }

    /// A pointer to the field of `width` bytes at `offset`, aligned and inside the allocation:
    /// every offset is one of the areas that `new` laid out (aligned to its widest field), plus
    /// an entry's bytes times an index that `slot` or `table_offset` has brought into its range.
    #[inline]
    fn field(&self, offset: usize, width: usize) -> *mut u8 {
        debug_assert!(offset.is_multiple_of(width) && offset + width <= self.layout.size());
        // SAFETY: the offset is inside the allocation, for the reason above.
        unsafe { self.base.as_ptr().add(offset) }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: `new` allocated `base` with this layout; `drop` runs once. That no device uses
        // the ring any more is the duty of whoever drops a queue (`virtio/device.rs`).
        unsafe { dealloc(self.base.as_ptr(), self.layout) };
    }
}
