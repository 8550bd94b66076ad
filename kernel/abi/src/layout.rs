//! Structures that calls read and write in the program's memory. Plain numbers in the order and with
//! the sizes of `kernel/include/ukernel_abi.h`; a test compares the two.
//!
//! ```
//! use abi::layout::NetAddressV4;
//! assert_eq!(size_of::<NetAddressV4>(), 8);
//! ```

/// What the last failure was about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct ErrorInfo {
    /// The code.
    pub code: u32,
    /// The argument, counted from 1; 0: none.
    pub detail: u32,
    /// Its value.
    pub arg0: u64,
    /// The length that belongs to it.
    pub arg1: u64,
}

/// A task's figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct TaskStats {
    /// Time that it has run, in nanoseconds.
    pub cpu_time_ns: u64,
    /// Turns that it ran in.
    pub sched_ticks: u64,
    /// Changes to its stack and back.
    pub context_switches: u64,
}

/// An IPv4 address, in this machine's byte order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct NetAddressV4 {
    /// The address: 127.0.0.1 is 0x7f000001.
    pub ip4: u32,
    /// The port.
    pub port: u16,
    /// 0.
    pub reserved: u16,
}

/// An IPv4 address as in a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct NetAddressV4Packed {
    /// The address.
    pub ip: [u8; 4],
    /// The port, most significant byte first.
    pub port: [u8; 2],
}

/// An IPv6 address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct NetAddressV6 {
    /// The address.
    pub ip: [u8; 16],
    /// The port, in this machine's byte order.
    pub port: u16,
    /// 0.
    pub reserved: u16,
    /// 0.
    pub scope: u32,
}

/// What a handle is ready for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct IoEvent {
    /// The handle.
    pub handle: u64,
    /// Readiness bits.
    pub events: u32,
    /// The token of an interest set, else 0.
    pub reserved: u32,
}

/// A piece of memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct IoVec {
    /// Where.
    pub ptr: u64,
    /// How many bytes.
    pub len: u64,
}

/// What an object behind a handle is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct IoInfo {
    /// Bytes; 0 where there is no end.
    pub size: u64,
    /// What writes must be multiples of.
    pub block: u32,
    /// What it is open for.
    pub flags: u32,
}

/// A task's memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct MemoryUsage {
    /// Bytes allocated.
    pub bytes: u64,
    /// Allocations.
    pub allocations: u64,
    /// The most bytes there may be.
    pub limit: u64,
}
