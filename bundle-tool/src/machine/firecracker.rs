//! Firecracker's configuration as a pure function of a description. Starts nothing:
//! [`Launch`](super::Launch) does.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::config::{Disk, Nic, NicBackend, VmConfig};
use super::error::StartError;

/// The environment variable that names Firecracker's binary.
const PROGRAM_VARIABLE: &str = "UKERNEL_FIRECRACKER";

/// The longest kernel command line, its terminating zero included (Firecracker, `x86_64/layout.rs`).
const MAX_COMMAND_LINE: usize = 2048;

/// A machine for Firecracker to run.
#[derive(Clone, Debug)]
pub struct Firecracker {
    /// The program.
    pub program: PathBuf,
    /// What the machine contains.
    pub config: VmConfig,
}

impl Firecracker {
    /// The binary that `UKERNEL_FIRECRACKER` names; `None`: it names none.
    pub fn program_from_environment() -> Option<PathBuf> {
        std::env::var_os(PROGRAM_VARIABLE)
            .filter(|path| !path.is_empty())
            .map(PathBuf::from)
    }

    /// Runs `config` by `program`.
    pub fn new(program: impl Into<PathBuf>, config: VmConfig) -> Firecracker {
        Firecracker {
            program: program.into(),
            config,
        }
    }

    /// The content of Firecracker's configuration file.
    ///
    /// # Errors
    /// [`StartError::Unsupported`] for what only QEMU has: the user-mode network, injected errors,
    /// limits in requests a second, paths that JSON cannot carry.
    pub fn configuration(&self) -> Result<Value, StartError> {
        let config = &self.config;
        let command_line = config.command_line();
        if command_line.len() >= MAX_COMMAND_LINE {
            return Err(unsupported("a kernel command line of 2 KiB or more"));
        }
        let mut boot =
            json!({ "kernel_image_path": text(&config.kernel)?, "boot_args": command_line });
        if let Some(initrd) = &config.initrd {
            boot["initrd_path"] = json!(text(initrd)?);
        }
        let mut file = json!({
            "boot-source": boot,
            "machine-config": { "vcpu_count": 1, "mem_size_mib": config.memory_mib },
            "drives": numbered(&config.disks, drive)?,
            "network-interfaces": numbered(&config.nics, interface)?,
        });
        if config.entropy {
            file["entropy"] = json!({});
        }
        Ok(file)
    }
}

fn numbered<T>(
    items: &[T],
    convert: fn(usize, &T) -> Result<Value, StartError>,
) -> Result<Vec<Value>, StartError> {
    items
        .iter()
        .enumerate()
        .map(|(index, item)| convert(index, item))
        .collect()
}

fn drive(index: usize, disk: &Disk) -> Result<Value, StartError> {
    if !disk.faults.is_empty() || disk.requests_per_second.is_some() {
        return Err(unsupported("disks that fail or are slow on purpose"));
    }
    Ok(json!({
        "drive_id": format!("disk{index}"),
        "path_on_host": text(&disk.path)?,
        "is_root_device": false,
        "is_read_only": disk.read_only,
        // Without it Firecracker offers no flush.
        "cache_type": "Writeback",
    }))
}

fn interface(index: usize, nic: &Nic) -> Result<Value, StartError> {
    let NicBackend::Tap { name } = &nic.backend else {
        return Err(unsupported("a network other than a tap device"));
    };
    let mut interface = json!({ "iface_id": format!("net{index}"), "host_dev_name": name });
    if let Some(mac) = &nic.mac {
        interface["guest_mac"] = json!(mac);
    }
    Ok(interface)
}

fn text(path: &std::path::Path) -> Result<&str, StartError> {
    path.to_str()
        .ok_or_else(|| unsupported("a path that is not UTF-8"))
}

fn unsupported(what: &str) -> StartError {
    StartError::Unsupported {
        vmm: "firecracker",
        what: what.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::{DiskFault, DiskOperation};
    use super::*;

    #[test]
    fn a_worker_is_described_in_full() {
        let mut nic = Nic::tap("tap0");
        nic.mac = Some("06:00:00:00:00:01".into());
        let config = VmConfig::new("kernel.elf")
            .memory_mib(32)
            .options("log=debug")
            .argument("serve")
            .initrd("module.bin")
            .disk(Disk::new("a.img").read_only())
            .nic(nic)
            .entropy();
        let expected = json!({
            "boot-source": {
                "kernel_image_path": "kernel.elf",
                "boot_args": "log=debug -- serve",
                "initrd_path": "module.bin",
            },
            "machine-config": { "vcpu_count": 1, "mem_size_mib": 32 },
            "drives": [{
                "drive_id": "disk0",
                "path_on_host": "a.img",
                "is_root_device": false,
                "is_read_only": true,
                "cache_type": "Writeback",
            }],
            "network-interfaces": [{
                "iface_id": "net0",
                "host_dev_name": "tap0",
                "guest_mac": "06:00:00:00:00:01",
            }],
            "entropy": {},
        });
        assert_eq!(
            Firecracker::new("fc", config).configuration().unwrap(),
            expected
        );
    }

    #[test]
    fn what_only_qemu_has_is_refused() {
        let fault = DiskFault {
            operation: DiskOperation::Read,
            sector: None,
            once: true,
        };
        let plain = || VmConfig::new("kernel.elf");
        for config in [
            plain().nic(Nic::user([])),
            plain().nic(Nic::datagram("a", "b")),
            plain().disk(Disk::new("a.img").fault(fault)),
            plain().disk(Disk::new("a.img").requests_per_second(1)),
            plain().options(&"x".repeat(MAX_COMMAND_LINE)),
        ] {
            let result = Firecracker::new("fc", config).configuration();
            assert!(
                matches!(result, Err(StartError::Unsupported { .. })),
                "{result:?}"
            );
        }
    }
}
