//! A virtual machine from its description to its exit status.
//!
//! [`VmConfig`] says what the machine contains; [`Qemu`] or [`Firecracker`] says which program runs
//! it and how; [`Launch`] starts it; [`Machine`] is the running one. Dropping a [`Machine`] kills it, and on
//! Linux so does the end of this process, even by a signal that nobody can handle.
//!
//! Everything that decides is a pure function (the command line, the choice of accelerator, the
//! meaning of how a run ended) and is tested without starting anything.
//!
//! ```no_run
//! use bundle_tool::machine::{Ending, Forward, Launch, Nic, Qemu, VmConfig};
//! use std::time::Duration;
//!
//! let mut config = VmConfig::new("target/x86_64-unknown-none/guest/demo").memory_mib(32);
//! config.nics.push(Nic::user([Forward::tcp(0, 8080)])); // port 0: any free one
//! let machine = Launch::new(Qemu::new(config)).deadline(Duration::from_secs(30)).start()?;
//! println!("http://{}/", machine.forwarded(8080).expect("forwarded above"));
//! machine.wait_for_line("ready", Duration::from_secs(5))?;
//! machine.stop()?;
//! assert_eq!(machine.wait().ending, Ending::Guest(0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod accelerator;
mod api;
mod config;
mod error;
mod firecracker;
pub(crate) mod kvm;
mod launch;
mod outcome;
pub mod ports;
mod qemu;
mod qmp;
mod running;
pub(crate) mod scratch;
mod serial_log;
mod symbols;
#[cfg(target_os = "linux")]
mod tether;

pub use accelerator::{
    Accelerator, AcceleratorChoice, AcceleratorRequest, HostSupport, virtualization_flag,
};
pub use api::ApiRequest;
pub use config::{Disk, DiskFault, DiskOperation, Forward, Nic, NicBackend, Protocol, VmConfig};
pub use error::{ControlError, StartError};
pub use firecracker::Firecracker;
pub use kvm::KvmState;
pub use launch::{Launch, Vmm};
pub use outcome::{Ending, Outcome};
pub use qemu::{MachineType, Plugin, Qemu, Trace};
pub use qmp::Qmp;
pub use running::Machine;
pub use serial_log::{Found, SerialLog, WaitError};
pub use symbols::{Symbols, SymbolsError};
