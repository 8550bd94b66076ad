//! How a machine's run ended, read from the end of its serial log and from how its VMM ended.

use std::fmt;
use std::process::ExitStatus;
use std::time::Duration;

use abi::serial;

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The guest said its status in the last line of its log.
    Guest(u8),
    /// The machine ended by itself, and the guest had not said its status.
    NoRecord,
    /// The VMM failed, and the guest had not said its status.
    VmmFailed(String),
    /// The machine was still running at its deadline, and was killed.
    Deadline(Duration),
    /// The machine was killed from this side.
    Killed,
}

/// Why a VMM's process was made to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    Deadline(Duration),
    Kill,
}

/// A finished run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How it ended.
    pub ending: Ending,
    /// The whole serial log.
    pub log: String,
    /// What the VMM wrote to its standard error.
    pub vmm_log: String,
    /// From the start to the end.
    pub elapsed: Duration,
}

impl Ending {
    /// Judges a run: `cut` if this side ended it, `status` the VMM's exit status, `log` the serial log.
    ///
    /// A record counts only as the last line: whatever comes after it means that the guest went on.
    pub(super) fn judge(cut: Option<Cut>, status: ExitStatus, log: &str) -> Ending {
        let last = log.lines().rev().find(|line| !line.trim().is_empty());
        match (cut, last.and_then(serial::exit_status)) {
            (Some(Cut::Deadline(limit)), _) => Ending::Deadline(limit),
            (Some(Cut::Kill), _) => Ending::Killed,
            // Firecracker says 0 whatever the guest said, QEMU too: the record decides.
            (None, Some(guest)) => Ending::Guest(guest),
            (None, None) if status.success() => Ending::NoRecord,
            (None, None) => Ending::VmmFailed(status.to_string()),
        }
    }

    /// The status with which a program ends that ran the machine for somebody else: the guest's, or
    /// 124 at the deadline, 125 when the guest said none, 130 when killed (as `timeout`, `docker run`
    /// and shells do).
    pub fn exit_code(&self) -> u8 {
        match self {
            Ending::Guest(status) => *status,
            Ending::Deadline(_) => 124,
            Ending::NoRecord | Ending::VmmFailed(_) => 125,
            Ending::Killed => 130,
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ending::Guest(status) => write!(f, "the guest ended with status {status}"),
            Ending::NoRecord => f.write_str("the machine ended without saying a status"),
            Ending::VmmFailed(status) => write!(f, "the VMM failed: {status}"),
            Ending::Deadline(limit) => {
                write!(
                    f,
                    "the machine was still running after {limit:?} and was killed"
                )
            }
            Ending::Killed => f.write_str("the machine was killed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    fn judge(cut: Option<Cut>, code: i32, log: &str) -> Ending {
        Ending::judge(cut, ExitStatus::from_raw(code << 8), log)
    }

    #[test]
    fn the_last_record_decides_whatever_the_vmm_says() {
        assert_eq!(
            judge(None, 0, "boot\nukernel: exit status=0\n"),
            Ending::Guest(0)
        );
        assert_eq!(
            judge(None, 1, "ukernel: exit status=101\n\n"),
            Ending::Guest(101)
        );
    }

    #[test]
    fn a_log_without_a_last_record_is_a_failure() {
        assert_eq!(judge(None, 0, ""), Ending::NoRecord);
        assert_eq!(
            judge(None, 0, "ukernel: exit status=0\nbooted again\n"),
            Ending::NoRecord
        );
        assert!(matches!(judge(None, 1, "boot\n"), Ending::VmmFailed(_)));
    }

    #[test]
    fn a_cut_run_failed_even_with_a_record() {
        let log = "ukernel: exit status=0\n";
        let limit = Duration::from_secs(1);
        assert_eq!(
            judge(Some(Cut::Deadline(limit)), 0, log),
            Ending::Deadline(limit)
        );
        assert_eq!(judge(Some(Cut::Kill), 0, log), Ending::Killed);
    }

    #[test]
    fn no_failure_looks_like_success() {
        for ending in [
            Ending::NoRecord,
            Ending::Killed,
            Ending::Deadline(Duration::ZERO),
        ] {
            assert_ne!(ending.exit_code(), 0, "{ending}");
        }
        assert_eq!(Ending::Guest(7).exit_code(), 7);
    }
}
