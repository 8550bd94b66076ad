//! What the kernel counts, gathered from where it is counted. A workload reads it to show or to log
//! it, and to fit itself to the machine.
//!
//! ```
//! use ukernel::testing::Machine;
//!
//! let stats = Machine::new().context().stats();
//! assert_eq!(stats.networks.len(), 1);
//! assert!(stats.memory.heap_free_bytes > 0);
//! ```

use alloc::vec::Vec;
use core::time::Duration;

/// A snapshot of every counter, from [`Context::stats`](crate::Context::stats). Counters count since
/// boot.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Stats {
    /// Time since boot.
    pub uptime: Duration,
    /// Tasks, timers, turns and sleep.
    pub reactor: reactor::Stats,
    /// Main memory.
    pub memory: MemoryStats,
    /// Interrupts taken, of devices and timers.
    pub interrupts: u64,
    /// Log lines that found the buffer full.
    pub log_lines_dropped: u64,
    /// Each network, in the order of [`Context::networks`](crate::Context::networks).
    pub networks: Vec<netstack::Stats>,
    /// Each disk, in the order of [`Context::disks`](crate::Context::disks).
    pub disks: Vec<drivers::block::DiskStats>,
}

/// Main memory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MemoryStats {
    /// What the machine has.
    pub ram_bytes: u64,
    /// What the heap has handed out.
    pub heap_used_bytes: u64,
    /// What the heap could still hand out, the memory that it can grow into included.
    pub heap_free_bytes: u64,
}

/// How to ask the machine for what it counts itself. All are callable from tasks at any time.
#[derive(Clone, Copy)]
pub struct Gauges {
    /// Time since 1970, where known.
    pub wall_clock: fn() -> Option<Duration>,
    /// Main memory.
    pub memory: fn() -> MemoryStats,
    /// Interrupts taken.
    pub interrupts: fn() -> u64,
    /// Log lines lost.
    pub log_lines_dropped: fn() -> u64,
}
