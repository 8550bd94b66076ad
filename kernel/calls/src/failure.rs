//! How a call fails: the code, and which argument it was about.
//!
//! ```
//! use abi::Error;
//! use calls::Failure;
//! let failure = Failure::of(Error::Invalid, 2, 77);
//! assert_eq!((failure.error, failure.argument, failure.value), (Error::Invalid, 2, 77));
//! assert_eq!(Failure::from(Error::Busy).argument, 0);
//! ```

use abi::Error;
use abi::layout::ErrorInfo;

/// What a call gives: its outputs, or why there are none.
pub type Outcome<T = ()> = Result<T, Failure>;

/// Why a call failed, as `err_get_last` tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What the call returns.
    pub error: Error,
    /// The argument it was about, counted from 1; 0: none of them.
    pub argument: u32,
    /// That argument's value.
    pub value: u64,
    /// The length that belongs to it, or 0.
    pub length: u64,
}

impl Failure {
    /// A failure that is about one argument.
    pub const fn of(error: Error, argument: u32, value: u64) -> Failure {
        Failure {
            error,
            argument,
            value,
            length: 0,
        }
    }

    /// An argument that makes no sense.
    pub const fn invalid(argument: u32, value: u64) -> Failure {
        Failure::of(Error::Invalid, argument, value)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::of(error, 0, 0)
    }
}

impl From<Failure> for ErrorInfo {
    fn from(failure: Failure) -> ErrorInfo {
        ErrorInfo {
            code: failure.error.code(),
            detail: failure.argument,
            arg0: failure.value,
            arg1: failure.length,
        }
    }
}
