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
    /// Interrupts, the timer, and the processor's sleep.
    pub machine: MachineStats,
    /// Log lines that found the buffer full.
    pub log_lines_dropped: u64,
    /// The serial port's input.
    pub serial: SerialStats,
    /// Each network, in the order of [`Context::networks`](crate::Context::networks).
    pub networks: Vec<netstack::Stats>,
    /// Each disk, in the order of [`Context::disks`](crate::Context::disks).
    pub disks: Vec<drivers::block::DiskStats>,
}

/// What the processor, its interrupt controllers and its timer did since boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MachineStats {
    /// Interrupts taken, by line of the controllers; the local timer's are in `timer_fired` alone.
    pub interrupts: [u64; 16],
    /// Interrupts that had gone away when they were looked at; not among those above.
    pub spurious: u64,
    /// How often the timer was set.
    pub timer_settings: u64,
    /// Settings among them that went on with a far deadline: the timer had fired for it before, because
    /// it reaches no further or runs a little faster than the clock.
    pub timer_rearms: u64,
    /// How often it fired.
    pub timer_fired: u64,
    /// How often the processor slept.
    pub halts: u64,
    /// Sleeps that ended before the nearest deadline with nothing to do and were gone on with, for another
    /// reason than a re-arm: the timer had been set for a deadline that is gone, or for the clock's
    /// calibration, or an interrupt told the reactor nothing.
    pub slept_on: u64,
    /// Polls of tasks that the watchdog reported.
    pub stuck_polls: u64,
}

impl MachineStats {
    /// Interrupts taken, of devices and timers.
    pub fn interrupts_in_all(&self) -> u64 {
        // Without a local timer, line 0 is the timer's, and counted in both.
        self.interrupts[1..].iter().sum::<u64>() + self.timer_fired
    }
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
    /// Heap allocations since boot, those among them that have been freed again.
    pub allocations: u64,
}

/// Input on the serial port. What nobody takes stays in the port, and holds up who sends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SerialStats {
    /// Bytes that came in.
    pub input_bytes: u64,
    /// How often input had to wait in the port because nobody had taken what came before.
    pub input_stalls: u64,
}

/// How to ask the machine for what it counts itself. All are callable from tasks at any time.
#[derive(Clone, Copy)]
pub struct Gauges {
    /// Time since 1970, where known.
    pub wall_clock: fn() -> Option<Duration>,
    /// Main memory.
    pub memory: fn() -> MemoryStats,
    /// Interrupts, timer and sleep.
    pub machine: fn() -> MachineStats,
    /// Log lines lost.
    pub log_lines_dropped: fn() -> u64,
    /// The serial port's input.
    pub serial: fn() -> SerialStats,
}
