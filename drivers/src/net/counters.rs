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

/// Sees a network device's counters and link while the stack owns the device. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct NetMonitor {
    stats: Rc<Cell<NetStats>>,
    up: Rc<Cell<bool>>,
}

impl NetMonitor {
    /// The counters now.
    pub fn stats(&self) -> NetStats {
        self.stats.get()
    }

    /// Frames received and dropped, for whatever reason.
    pub fn dropped(&self) -> u64 {
        let stats = self.stats.get();
        stats.rx_bad_checksum + stats.rx_malformed
    }

    /// Whether the link is up and the device works.
    pub fn is_up(&self) -> bool {
        self.up.get()
    }

    pub(super) fn count(&self, change: impl FnOnce(&mut NetStats)) {
        let mut stats = self.stats.get();
        change(&mut stats);
        self.stats.set(stats);
    }

    pub(super) fn set_up(&self, up: bool) {
        self.up.set(up);
    }
}
