//! The records on the serial line that a program outside the guest reads.
//!
//! Firecracker always exits with status 0, so the guest's status travels as the last record on
//! the line. A log that ends without one is a failure.
//!
//! ```
//! use abi::serial::exit_status;
//! assert_eq!(exit_status("ukernel: exit status=7"), Some(7));
//! assert_eq!(exit_status("ukernel: exit status=256"), None);
//! assert_eq!(exit_status("some log line"), None);
//! ```

/// Begins the last record, a line of its own: the status follows in decimal, 0 to 255.
pub const EXIT_PREFIX: &str = "ukernel: exit status=";

/// Begins each line of a backtrace; sixteen hexadecimal digits follow: an address within the
/// instruction that was running, so a return address minus one. (A call that never returns may be
/// its function's last instruction; the address behind it belongs to another function.)
pub const FRAME_PREFIX: &str = "  at 0x";

/// Reads the exit status out of one line (without its line break), if it is the exit record.
pub fn exit_status(line: &str) -> Option<u8> {
    line.strip_prefix(EXIT_PREFIX)?.trim_end().parse().ok()
}

/// Reads the address out of one line of a backtrace.
///
/// ```
/// assert_eq!(abi::serial::frame_address("  at 0x0000000000101234"), Some(0x10_1234));
/// ```
pub fn frame_address(line: &str) -> Option<u64> {
    let digits = line.strip_prefix(FRAME_PREFIX)?.get(..16)?;
    u64::from_str_radix(digits, 16).ok()
}
