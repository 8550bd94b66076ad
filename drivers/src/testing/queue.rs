//! The device's side of a split virtqueue (virtio 1.2 §2.7), on the memory that the driver under
//! test allocated. It obeys the specification unless told to break it.
#![allow(
    unsafe_code,
    reason = "plays a device, which reaches the driver's memory by address"
)]

use core::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use core::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, fence};
use std::vec;
use std::vec::Vec;

use super::QueueRegisters;

const NEXT: u16 = 1;
const WRITE: u16 = 2;
const INDIRECT: u16 = 4;

/// Descriptors followed in one request before it is called a loop.
const MAX_DESCRIPTORS: usize = 64;

/// The device's side of one queue.
#[derive(Debug)]
pub struct DeviceQueue {
    size: u16,
    descriptors: u64,
    available: u64,
    used: u64,
    event_idx: bool,
    next_available: u16,
    next_used: u16,
    signalled: u16,
}

/// One request as the device found it. The memory behind it is the driver's: it must still be
/// lent, that is, the request must not be given back twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Index of the first descriptor, by which the request is given back.
    pub head: u16,
    /// Address and length of each part that the device may read.
    pub readable: Vec<(u64, u32)>,
    /// Address and length of each part that the device may write.
    pub writable: Vec<(u64, u32)>,
    /// Whether the descriptors were in a table of their own.
    pub indirect: bool,
}

impl DeviceQueue {
    /// A queue where the driver's register writes say that it is.
    ///
    /// # Safety
    /// A driver of this crate must have set the queue up, and must keep it, and every buffer that
    /// it makes available, until they are given back or the queue is dropped.
    pub unsafe fn new(registers: QueueRegisters, event_idx: bool) -> DeviceQueue {
        let [descriptors, available, used] = registers.addresses;
        DeviceQueue {
            size: registers.size as u16,
            descriptors,
            available,
            used,
            event_idx,
            next_available: 0,
            next_used: 0,
            signalled: 0,
        }
    }

    /// Number of requests that the driver has made available and the device has not taken.
    pub fn waiting(&self) -> u16 {
        self.u16(self.available + 2)
            .load(Relaxed)
            .wrapping_sub(self.next_available)
    }

    /// Takes the next request. With `EVENT_IDX` and nothing left, asks to be told of the next one.
    pub fn pop(&mut self) -> Option<Request> {
        if self.waiting() == 0 {
            self.ask_for_notification();
            if self.waiting() == 0 {
                return None;
            }
        }
        assert!(
            self.waiting() <= self.size,
            "the driver offers more than the queue holds"
        );
        fence(Acquire);
        let position = u64::from(self.next_available % self.size);
        let head = self.u16(self.available + 4 + position * 2).load(Relaxed);
        self.next_available = self.next_available.wrapping_add(1);
        Some(self.read_request(head))
    }

    /// Gives a request back with the number of bytes written.
    pub fn push(&mut self, head: u16, written: u32) {
        self.push_raw(u32::from(head), written);
    }

    /// Puts any element into the used ring.
    pub fn push_raw(&mut self, id: u32, written: u32) {
        let position = u64::from(self.next_used % self.size);
        self.u32(self.used + 4 + position * 8).store(id, Relaxed);
        self.u32(self.used + 8 + position * 8)
            .store(written, Relaxed);
        self.next_used = self.next_used.wrapping_add(1);
        self.publish(self.next_used);
    }

    /// Writes any used index.
    pub fn publish(&mut self, index: u16) {
        fence(Release);
        self.u16(self.used + 2).store(index, Relaxed);
    }

    /// The used index that the device has reached.
    pub fn used_index(&self) -> u16 {
        self.next_used
    }

    /// Whether the driver wants an interrupt for what was given back since the last call.
    pub fn needs_interrupt(&mut self) -> bool {
        fence(SeqCst);
        let (old, new) = (self.signalled, self.next_used);
        self.signalled = new;
        if old == new {
            return false;
        }
        if !self.event_idx {
            return self.u16(self.available).load(Relaxed) & 1 == 0;
        }
        let event = self
            .u16(self.available + 4 + u64::from(self.size) * 2)
            .load(Relaxed);
        new.wrapping_sub(event).wrapping_sub(1) < new.wrapping_sub(old)
    }

    /// Asks for a notification at the next request, or with `EVENT_IDX` off takes the wish for
    /// none back.
    pub fn ask_for_notification(&mut self) {
        if self.event_idx {
            let offset = 4 + u64::from(self.size) * 8;
            self.u16(self.used + offset)
                .store(self.next_available, Relaxed);
        } else {
            self.u16(self.used).store(0, Relaxed);
        }
        fence(SeqCst);
    }

    /// Without `EVENT_IDX`: asks for no notifications.
    pub fn refuse_notifications(&mut self) {
        self.u16(self.used).store(1, Relaxed);
    }

    fn read_request(&self, head: u16) -> Request {
        let mut request = Request {
            head,
            readable: Vec::new(),
            writable: Vec::new(),
            indirect: false,
        };
        let (mut table, mut index) = (self.descriptors, u64::from(head));
        assert!(
            head < self.size,
            "the driver offers a descriptor that does not exist"
        );
        for _ in 0..MAX_DESCRIPTORS {
            let at = table + index * 16;
            let address = self.u64(at).load(Relaxed);
            let len = self.u32(at + 8).load(Relaxed);
            let flags = self.u16(at + 12).load(Relaxed);
            if flags & INDIRECT != 0 {
                (table, index, request.indirect) = (address, 0, true);
                continue;
            }
            if flags & WRITE != 0 {
                request.writable.push((address, len));
            } else {
                assert!(
                    request.writable.is_empty(),
                    "readable parts come first (§2.7.4.2)"
                );
                request.readable.push((address, len));
            }
            if flags & NEXT == 0 {
                return request;
            }
            index = self.u16(at + 14).load(Relaxed).into();
        }
        panic!("the driver's descriptors form a loop");
    }

    fn u16(&self, address: u64) -> &AtomicU16 {
        // SAFETY: every address comes from the registers or from a descriptor, where `new`'s
        // caller promises the driver's live memory; ring fields are aligned (§2.7) and both sides
        // access them through atomics only.
        unsafe { AtomicU16::from_ptr(pointer(address).cast()) }
    }

    fn u32(&self, address: u64) -> &AtomicU32 {
        // SAFETY: as in `u16`.
        unsafe { AtomicU32::from_ptr(pointer(address).cast()) }
    }

    fn u64(&self, address: u64) -> &AtomicU64 {
        // SAFETY: as in `u16`.
        unsafe { AtomicU64::from_ptr(pointer(address).cast()) }
    }
}

impl Request {
    /// All bytes that the driver wrote for the device.
    pub fn read(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for &(address, len) in &self.readable {
            let mut part = vec![0; len as usize];
            // SAFETY: the driver lent `len` bytes there (`DeviceQueue::new`'s contract), and
            // `part` has as many.
            unsafe { pointer(address).copy_to_nonoverlapping(part.as_mut_ptr(), part.len()) };
            bytes.append(&mut part);
        }
        bytes
    }

    /// Writes bytes over the writable parts, in order, as far as they reach. Returns how many.
    pub fn write(&self, mut bytes: &[u8]) -> u32 {
        let mut written = 0;
        for &(address, len) in &self.writable {
            let (now, later) = bytes.split_at(bytes.len().min(len as usize));
            // SAFETY: as in `read`; the driver does not look at lent memory.
            unsafe { pointer(address).copy_from_nonoverlapping(now.as_ptr(), now.len()) };
            written += now.len() as u32;
            bytes = later;
        }
        written
    }

    /// Number of bytes that the device may write.
    pub fn capacity(&self) -> u32 {
        self.writable.iter().map(|&(_, len)| len).sum()
    }
}

/// The driver exposed the provenance of what it lends (`device_address`).
fn pointer(address: u64) -> *mut u8 {
    core::ptr::with_exposed_provenance_mut(address as usize)
}
