//! Why a machine could not be started or controlled. Each error says what happened; `hint` says what a
//! person can do about it.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use super::config::Protocol;

/// A machine could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The VMM's program is not there.
    #[error("cannot run {}: {source}", program.display())]
    Vmm {
        /// The program.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file that the machine needs cannot be read.
    #[error("{role} {}: {source}", path.display())]
    File {
        /// What the file is for.
        role: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A port of the host is in use.
    #[error("{protocol} port {port} of this machine is already in use")]
    PortTaken {
        /// TCP or UDP.
        protocol: Protocol,
        /// The port on the loopback address.
        port: u16,
    },
    /// This user may not bind a port of the host.
    #[error("this user may not listen on {protocol} port {port}")]
    PortForbidden {
        /// TCP or UDP.
        protocol: Protocol,
        /// The port on the loopback address.
        port: u16,
    },
    /// The VMM cannot do what was asked of it.
    #[error("{vmm} cannot do this: {what}")]
    Unsupported {
        /// Which VMM.
        vmm: &'static str,
        /// What it lacks.
        what: String,
    },
    /// The VMM ended before the guest ran.
    #[error("{vmm} gave up ({status}): {}", stderr.trim())]
    Exited {
        /// Which VMM.
        vmm: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// What it said.
        stderr: String,
    },
    /// The VMM refused what it was told of the machine.
    #[error("{vmm} refused {request}: {reason}")]
    Refused {
        /// Which VMM.
        vmm: &'static str,
        /// What it was told.
        request: String,
        /// What it said.
        reason: String,
    },
    /// The VMM runs but does not listen.
    #[error("{} does not listen on its socket after {limit:?}", program.display())]
    Silent {
        /// The program.
        program: PathBuf,
        /// How long it was waited for.
        limit: Duration,
    },
    /// Something on the host went wrong.
    #[error("cannot {what}: {source}")]
    Host {
        /// What was being done.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// Whether a VMM's words are about the kernel's file: "invalid kernel header", "Cannot load kernel due to …".
fn is_about_kernel(words: &str) -> bool {
    ["kernel header", "load kernel"]
        .iter()
        .any(|part| words.contains(part))
}

impl StartError {
    /// What a person can do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            StartError::Vmm { program, .. } if program.to_string_lossy().contains("qemu") => Some(
                "install QEMU for x86-64 (Debian and Ubuntu: apt-get install qemu-system-x86)"
                    .into(),
            ),
            StartError::Vmm { .. } => Some("name the program in UKERNEL_FIRECRACKER".into()),
            StartError::File { role: "kernel", .. } => Some(
                "name the ELF file of a kernel; in a project, `ukernel build && ukernel pack` makes what `ukernel run` boots"
                    .into(),
            ),
            StartError::PortTaken { .. } => {
                Some("choose another port, or 0 for any free one".into())
            }
            StartError::PortForbidden { .. } => {
                Some("choose a port from 1024 on, or 0 for any free one".into())
            }
            StartError::Exited { stderr: words, .. } | StartError::Refused { reason: words, .. }
                if is_about_kernel(words) =>
            {
                Some("a kernel is an ELF file with a PVH entry, as `ukernel build` makes it".into())
            }
            StartError::Exited { stderr, .. } if stderr.contains("/dev/kvm") => {
                Some("try --accel tcg".into())
            }
            StartError::Refused { reason, .. } if reason.contains("/dev/kvm") => {
                Some("without KVM there is QEMU: --vmm qemu".into())
            }
            StartError::Refused { reason, .. } if reason.contains("tap") => {
                Some("make the tap device first: see docs/firecracker-integration.md".into())
            }
            StartError::Silent { .. } => Some("is that Firecracker?".into()),
            _ => None,
        }
    }

    pub(super) fn host(what: &'static str) -> impl FnOnce(io::Error) -> StartError {
        move |source| StartError::Host { what, source }
    }
}

/// A running machine did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The machine has ended.
    #[error("the machine has ended")]
    Ended,
    /// The connection to the VMM failed.
    #[error("cannot talk to the VMM: {0}")]
    Io(#[from] io::Error),
    /// The VMM refused.
    #[error("the VMM refused: {0}")]
    Refused(String),
    /// This VMM has no such control.
    #[error("{0} has no such control")]
    Unsupported(&'static str),
}
