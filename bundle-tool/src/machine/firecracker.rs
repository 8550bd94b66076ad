//! The requests that describe a machine to Firecracker, as a pure function of a description. Starts nothing:
//! [`Launch`](super::Launch) does.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::api::ApiRequest;
use super::config::{Disk, Nic, NicBackend, VmConfig};
use super::error::StartError;
use crate::program;

/// The environment variable that names Firecracker's binary.
const PROGRAM_VARIABLE: &str = "UKERNEL_FIRECRACKER";

/// The longest kernel command line, its terminating zero included (Firecracker, `x86_64/layout.rs`).
const MAX_COMMAND_LINE: usize = 2048;

/// A machine for Firecracker to run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Firecracker {
    /// The program.
    pub program: PathBuf,
    /// What the machine contains.
    pub config: VmConfig,
    /// The file that gets Firecracker's metrics: a line of JSON every minute and at the end.
    pub metrics: Option<PathBuf>,
}

impl Firecracker {
    /// The binary that `UKERNEL_FIRECRACKER` names; `None`: it names none.
    pub fn program_from_environment() -> Option<PathBuf> {
        std::env::var_os(PROGRAM_VARIABLE)
            .filter(|path| !path.is_empty())
            .map(PathBuf::from)
    }

    /// The binary that `UKERNEL_FIRECRACKER` names, else the one on the `PATH`; `None`: there is none.
    pub fn find_program() -> Option<PathBuf> {
        Firecracker::program_from_environment().or_else(|| program::find("firecracker".as_ref()))
    }

    /// Runs `config` by `program`.
    pub fn new(program: impl Into<PathBuf>, config: VmConfig) -> Firecracker {
        Firecracker {
            program: program.into(),
            config,
            metrics: None,
        }
    }

    /// Writes Firecracker's metrics to `file`.
    pub fn metrics(mut self, file: impl Into<PathBuf>) -> Firecracker {
        self.metrics = Some(file.into());
        self
    }

    /// What Firecracker's API has to be told, in this order; the last request starts the machine. Firecracker's own log
    /// goes to the file `log`, which must exist, as must the one for metrics.
    ///
    /// # Errors
    /// [`StartError::Unsupported`] for what only QEMU has: the user-mode network, injected errors,
    /// limits in requests a second, paths that JSON cannot carry.
    pub fn requests(&self, log: &Path) -> Result<Vec<ApiRequest>, StartError> {
        let mut requests = vec![logger(log)?];
        if let Some(file) = &self.metrics {
            let body = json!({ "metrics_path": text(file)? });
            requests.push(ApiRequest::put("/metrics", body));
        }
        let VmConfig {
            memory_mib, vcpus, ..
        } = self.config;
        let machine = json!({ "vcpu_count": vcpus, "mem_size_mib": memory_mib });
        requests.push(ApiRequest::put("/machine-config", machine));
        requests.push(self.boot_source()?);
        // The guest finds devices in the order in which they are named here.
        for (index, disk) in self.config.disks.iter().enumerate() {
            requests.push(drive(index, disk)?);
        }
        for (index, nic) in self.config.nics.iter().enumerate() {
            requests.push(interface(index, nic)?);
        }
        if self.config.entropy {
            requests.push(ApiRequest::put("/entropy", json!({})));
        }
        requests.push(ApiRequest::action("InstanceStart"));
        Ok(requests)
    }

    fn boot_source(&self) -> Result<ApiRequest, StartError> {
        let command_line = self.config.command_line();
        if command_line.len() >= MAX_COMMAND_LINE {
            return Err(unsupported("a kernel command line of 2 KiB or more"));
        }
        let kernel = text(&self.config.kernel)?;
        let mut body = json!({ "kernel_image_path": kernel, "boot_args": command_line });
        if let Some(initrd) = &self.config.initrd {
            body["initrd_path"] = json!(text(initrd)?);
        }
        Ok(ApiRequest::put("/boot-source", body))
    }
}

fn logger(file: &Path) -> Result<ApiRequest, StartError> {
    let body = json!({ "log_path": text(file)?, "level": "Warning", "show_level": true });
    Ok(ApiRequest::put("/logger", body))
}

fn drive(index: usize, disk: &Disk) -> Result<ApiRequest, StartError> {
    if !disk.faults.is_empty() || disk.requests_per_second.is_some() {
        return Err(unsupported("disks that fail or are slow on purpose"));
    }
    let id = format!("disk{index}");
    let body = json!({
        "drive_id": id,
        "path_on_host": text(&disk.path)?,
        "is_root_device": false,
        "is_read_only": disk.read_only,
        // Without it Firecracker offers no flush.
        "cache_type": "Writeback",
    });
    Ok(ApiRequest::put(format!("/drives/{id}"), body))
}

fn interface(index: usize, nic: &Nic) -> Result<ApiRequest, StartError> {
    let NicBackend::Tap { name } = &nic.backend else {
        return Err(unsupported("a network other than a tap device"));
    };
    let id = format!("net{index}");
    let mut body: Value = json!({ "iface_id": id, "host_dev_name": name });
    if let Some(mac) = &nic.mac {
        body["guest_mac"] = json!(mac);
    }
    Ok(ApiRequest::put(format!("/network-interfaces/{id}"), body))
}

fn text(path: &Path) -> Result<&str, StartError> {
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
        let firecracker = Firecracker::new("fc", config).metrics("m.json");
        let expected = [
            (
                "/logger",
                json!({ "log_path": "fc.log", "level": "Warning", "show_level": true }),
            ),
            ("/metrics", json!({ "metrics_path": "m.json" })),
            (
                "/machine-config",
                json!({ "vcpu_count": 1, "mem_size_mib": 32 }),
            ),
            (
                "/boot-source",
                json!({
                    "kernel_image_path": "kernel.elf",
                    "boot_args": "log=debug -- serve",
                    "initrd_path": "module.bin",
                }),
            ),
            (
                "/drives/disk0",
                json!({
                    "drive_id": "disk0",
                    "path_on_host": "a.img",
                    "is_root_device": false,
                    "is_read_only": true,
                    "cache_type": "Writeback",
                }),
            ),
            (
                "/network-interfaces/net0",
                json!({
                    "iface_id": "net0",
                    "host_dev_name": "tap0",
                    "guest_mac": "06:00:00:00:00:01",
                }),
            ),
            ("/entropy", json!({})),
            ("/actions", json!({ "action_type": "InstanceStart" })),
        ];
        let requests = firecracker.requests(Path::new("fc.log")).unwrap();
        assert_eq!(
            requests,
            expected.map(|(path, body)| ApiRequest::put(path, body))
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
            let result = Firecracker::new("fc", config).requests(Path::new("log"));
            assert!(
                matches!(result, Err(StartError::Unsupported { .. })),
                "{result:?}"
            );
        }
    }
}
