//! Whether `/dev/kvm` makes virtual machines. Makes one to see, and drops it.

use std::fmt;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::FileTypeExt;

/// The device.
pub(crate) const DEVICE: &str = "/dev/kvm";

/// How far one gets with `/dev/kvm`. Shown, it is a clause that says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KvmState {
    /// It is not there.
    NoDevice,
    /// It does not open for reading and writing, and why.
    Closed(String),
    /// It opens, but makes no VM, and why.
    NoVm(String),
    /// It makes a VM.
    Works,
}

impl KvmState {
    /// Tries it on this host.
    pub fn detect() -> KvmState {
        let file = OpenOptions::new().read(true).write(true).open(DEVICE);
        match file.and_then(|file| file.metadata()) {
            Ok(found) if found.file_type().is_char_device() => make_a_vm(),
            Ok(_) => KvmState::NoDevice,
            Err(error) if error.kind() == io::ErrorKind::NotFound => KvmState::NoDevice,
            Err(error) => KvmState::Closed(error.to_string()),
        }
    }
}

/// Another hypervisor may hold the processor, or the machine may be one of those that show the device and no more.
fn make_a_vm() -> KvmState {
    #[cfg(target_os = "linux")]
    if let Err(error) = kvm_ioctls::Kvm::new().and_then(|kvm| kvm.create_vm()) {
        return KvmState::NoVm(io::Error::from_raw_os_error(error.errno()).to_string());
    }
    KvmState::Works
}

impl fmt::Display for KvmState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KvmState::NoDevice => write!(f, "there is no {DEVICE}"),
            KvmState::Closed(error) => write!(f, "{DEVICE} does not open: {error}"),
            KvmState::NoVm(error) => write!(f, "{DEVICE} opens, but makes no VM: {error}"),
            KvmState::Works => write!(f, "{DEVICE} makes VMs"),
        }
    }
}
