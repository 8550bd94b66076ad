//! What a network device has done, readable beside the stack that owns the device.

use alloc::rc::Rc;
use core::cell::Cell;

/// A snapshot of a network device's counters, all since it was brought up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NetStats {
    /// Frames handed to the stack.
    pub rx_frames: u64,
    /// Bytes of those frames.
    pub rx_bytes: u64,
    /// Frames dropped because their TCP or UDP checksum was wrong.
    pub rx_bad_checksum: u64,
    /// Packets dropped because the device described them impossibly: too short, too long, more
    /// buffers than there are.
    pub rx_malformed: u64,
    /// Frames given to the device.
    pub tx_frames: u64,
    /// Bytes of those frames.
    pub tx_bytes: u64,
    /// Frames that the stack made longer than the device takes. They are not sent.
    pub tx_oversized: u64,
    /// Times the stack wanted to send (or to receive, which needs room to answer) and every
    /// transmit buffer was with the device.
    pub tx_full: u64,
    /// Register writes that told the device about new buffers.
    pub notifications: u64,
    /// Interrupts that woke the stack.
    pub interrupts: u64,
    /// Times the link went up or down.
    pub link_changes: u64,
}

/// One counter, which only grows.
#[derive(Debug, Default)]
pub(super) struct Counter(Cell<u64>);

impl Counter {
    pub(super) fn add(&self, amount: u64) {
        self.0.set(self.0.get() + amount);
    }
}

/// The counters behind a snapshot, each on its own: nearly every packet moves two of them.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) rx_frames: Counter,
    pub(super) rx_bytes: Counter,
    pub(super) rx_bad_checksum: Counter,
    pub(super) rx_malformed: Counter,
    pub(super) tx_frames: Counter,
    pub(super) tx_bytes: Counter,
    pub(super) tx_oversized: Counter,
    pub(super) tx_full: Counter,
    pub(super) notifications: Counter,
    pub(super) interrupts: Counter,
    pub(super) link_changes: Counter,
    up: Cell<bool>,
}

/// Sees a network device's counters and link while the stack owns the device. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct NetMonitor {
    counters: Rc<Counters>,
}

impl NetMonitor {
    /// The counters now.
    pub fn stats(&self) -> NetStats {
        let now = &*self.counters;
        NetStats {
            rx_frames: now.rx_frames.0.get(),
            rx_bytes: now.rx_bytes.0.get(),
            rx_bad_checksum: now.rx_bad_checksum.0.get(),
            rx_malformed: now.rx_malformed.0.get(),
            tx_frames: now.tx_frames.0.get(),
            tx_bytes: now.tx_bytes.0.get(),
            tx_oversized: now.tx_oversized.0.get(),
            tx_full: now.tx_full.0.get(),
            notifications: now.notifications.0.get(),
            interrupts: now.interrupts.0.get(),
            link_changes: now.link_changes.0.get(),
        }
    }

    /// Frames received and dropped, for whatever reason.
    pub fn dropped(&self) -> u64 {
        let now = &*self.counters;
        now.rx_bad_checksum.0.get() + now.rx_malformed.0.get()
    }

    /// Whether the link is up and the device works.
    pub fn is_up(&self) -> bool {
        self.counters.up.get()
    }

    pub(super) fn count(&self) -> &Counters {
        &self.counters
    }

    pub(super) fn set_up(&self, up: bool) {
        self.counters.up.set(up);
    }
}
