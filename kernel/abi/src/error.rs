//! What a call returns.
//!
//! ```
//! use abi::Error;
//! assert_eq!(Error::from_code(3), Some(Error::NoMemory));
//! assert_eq!(Error::NoMemory.code(), 3);
//! ```

use core::fmt;

/// The code of a call that succeeded.
pub const OK: u32 = 0;

/// Why a call failed; the numbers are the interface's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Error {
    /// An argument makes no sense, or names nothing that is there.
    Invalid = 1,
    /// There is no such file, disk, name or variable.
    NoEntry = 2,
    /// Memory is short, or a table is full.
    NoMemory = 3,
    /// Somebody else is at it.
    Busy = 4,
    /// The time is over.
    Timeout = 5,
    /// The device or the network failed.
    Io = 6,
    /// The object, or this kernel, cannot do that.
    Unsupported = 7,
    /// The capability is not active, or the policy forbids it.
    Permission = 8,
    /// It would have to wait, and was told not to.
    WouldBlock = 9,
    /// The other side, or another task, has closed it.
    Closed = 10,
}

impl Error {
    /// All of them, in the order of their numbers.
    pub const ALL: [Error; 10] = [
        Error::Invalid,
        Error::NoEntry,
        Error::NoMemory,
        Error::Busy,
        Error::Timeout,
        Error::Io,
        Error::Unsupported,
        Error::Permission,
        Error::WouldBlock,
        Error::Closed,
    ];

    /// The number that the call returns.
    pub const fn code(self) -> u32 {
        self as u32
    }

    /// The error of a number; `None` for 0 and for numbers that are none.
    pub fn from_code(code: u32) -> Option<Error> {
        Self::ALL.into_iter().find(|error| error.code() == code)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Error::Invalid => "invalid argument",
            Error::NoEntry => "not found",
            Error::NoMemory => "out of memory",
            Error::Busy => "busy",
            Error::Timeout => "timed out",
            Error::Io => "input/output error",
            Error::Unsupported => "not supported",
            Error::Permission => "permission denied",
            Error::WouldBlock => "would block",
            Error::Closed => "closed",
        })
    }
}

impl core::error::Error for Error {}
