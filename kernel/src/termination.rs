//! What a workload's `main` may return, and the exit status that it becomes.
//!
//! The virtual machine's status is the value that `main` returned: the record on the serial line
//! carries it out (`abi::serial`). Nothing here ends the machine; `runtime` does.
//!
//! ```
//! use ukernel::{ExitCode, Termination};
//!
//! assert_eq!(().report(), ExitCode::SUCCESS);
//! assert_eq!(Err::<(), _>("no disk").report(), ExitCode::FAILURE);
//! assert_eq!(ExitCode::from(7).report().to_u8(), 7);
//! ```

use core::convert::Infallible;
use core::fmt::Display;

/// An exit status, 0 to 255. By convention a workload uses 0 to 99: the kernel's own are above
/// (`abi::exit`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitCode(u8);

impl ExitCode {
    /// All went well.
    pub const SUCCESS: ExitCode = ExitCode(abi::exit::SUCCESS);
    /// The workload failed and has said why.
    pub const FAILURE: ExitCode = ExitCode(abi::exit::FAILURE);

    /// The status as the number that leaves the machine.
    pub fn to_u8(self) -> u8 {
        self.0
    }
}

impl From<u8> for ExitCode {
    fn from(status: u8) -> Self {
        ExitCode(status)
    }
}

/// Output of a workload's `main`. An error is logged with its `Display` form.
pub trait Termination {
    /// Turns the output into the exit status, saying on the log what went wrong. Called once, in
    /// task context, after `main` has returned.
    fn report(self) -> ExitCode;
}

impl Termination for () {
    fn report(self) -> ExitCode {
        ExitCode::SUCCESS
    }
}

impl Termination for ExitCode {
    fn report(self) -> ExitCode {
        self
    }
}

impl Termination for Infallible {
    fn report(self) -> ExitCode {
        match self {}
    }
}

impl<T: Termination, E: Display> Termination for Result<T, E> {
    fn report(self) -> ExitCode {
        match self {
            Ok(output) => output.report(),
            Err(error) => {
                log::error!("main: failed error=\"{error}\"");
                ExitCode::FAILURE
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ok_reports_what_is_inside() {
        assert_eq!(Ok::<_, &str>(ExitCode::from(3)).report(), ExitCode::from(3));
        assert_eq!(Ok::<(), &str>(()).report(), ExitCode::SUCCESS);
        assert_eq!(Err::<Infallible, _>(1).report(), ExitCode::FAILURE);
    }
}
