//! QEMU's command line as a pure function of a description. Starts nothing: [`Launch`](super::Launch)
//! does.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::accelerator::{Accelerator, AcceleratorChoice, AcceleratorRequest};
use super::config::{Disk, DiskFault, DiskOperation, Nic, NicBackend, VmConfig};
use super::error::StartError;

/// One processor, in a machine that could have two. For one that can have no more TCG leaves out memory barriers, and
/// makes locked instructions of several plain ones: it takes it that nobody else looks. But QEMU's devices do, from
/// another thread. A guest that asks for an interrupt, and then looks once more whether it is due already, can
/// so miss it and sleep for ever: any guest, within minutes of load through a tap device.
const ONE_WITH_BARRIERS: &str = "cpus=1,maxcpus=2";

/// A machine and how QEMU is to run it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Qemu {
    /// The program.
    pub program: PathBuf,
    /// What the machine contains.
    pub config: VmConfig,
    /// The board.
    pub machine: MachineType,
    /// How instructions run.
    pub accelerator: Accelerator,
    /// QEMU's name of the processor; `None`: the most that the accelerator offers.
    pub cpu: Option<String>,
    /// TCG plugins.
    pub plugins: Vec<Plugin>,
    /// A port of the loopback address on which gdb may connect; the guest waits for it.
    pub gdb_port: Option<u16>,
    /// Events to trace.
    pub trace: Option<Trace>,
    /// Arguments for what has no field here.
    pub extra: Vec<String>,
}

/// A board that QEMU knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum MachineType {
    /// No firmware tables, devices on virtio-mmio: what the kernel is made for.
    #[default]
    Microvm,
    /// The same with ACPI tables, for guests that find neither devices nor a clock without.
    MicrovmAcpi,
    /// The PC of 1996; devices on PCI.
    Pc,
    /// The PC of 2007; devices on PCI Express.
    Q35,
}

/// A TCG plugin and its options, as `name=value`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plugin {
    /// The shared object.
    pub path: PathBuf,
    /// Its options.
    pub options: Vec<String>,
}

/// Trace events, and the file that gets them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// Names or patterns, such as `virtio_mmio_write_offset`.
    pub events: Vec<String>,
    /// Where the log goes.
    pub file: PathBuf,
}

impl MachineType {
    fn argument(self) -> &'static str {
        match self {
            // Without ACPI, devices are announced on the kernel's command line, as Firecracker does,
            // and their interrupts come through the 8259 pair.
            MachineType::Microvm => "microvm,acpi=off,pic=on,pit=on,rtc=on,isa-serial=on",
            MachineType::MicrovmAcpi => "microvm,rtc=on,isa-serial=on",
            MachineType::Pc => "pc",
            MachineType::Q35 => "q35",
        }
    }

    /// The end of a virtio device's name.
    fn transport(self) -> &'static str {
        match self {
            MachineType::Microvm | MachineType::MicrovmAcpi => "device",
            MachineType::Pc | MachineType::Q35 => "pci",
        }
    }
}

impl Qemu {
    /// A microvm with the accelerator that suits this host.
    pub fn new(config: VmConfig) -> Qemu {
        let accelerator = AcceleratorChoice::detect(AcceleratorRequest::Auto).accelerator;
        Qemu::with_accelerator(config, accelerator)
    }

    /// A microvm with the given accelerator.
    pub fn with_accelerator(config: VmConfig, accelerator: Accelerator) -> Qemu {
        Qemu {
            program: "qemu-system-x86_64".into(),
            config,
            machine: MachineType::default(),
            accelerator,
            cpu: None,
            plugins: Vec::new(),
            gdb_port: None,
            trace: None,
            extra: Vec::new(),
        }
    }

    /// Chooses the board.
    pub fn machine(mut self, machine: MachineType) -> Qemu {
        self.machine = machine;
        self
    }

    /// Chooses the processor, in QEMU's words.
    pub fn cpu(mut self, cpu: &str) -> Qemu {
        self.cpu = Some(cpu.to_string());
        self
    }

    /// Loads a TCG plugin.
    pub fn plugin(mut self, plugin: Plugin) -> Qemu {
        self.plugins.push(plugin);
        self
    }

    /// Writes trace events to a file.
    pub fn trace(mut self, trace: Trace) -> Qemu {
        self.trace = Some(trace);
        self
    }

    /// Adds arguments as they are.
    pub fn extra<const N: usize>(mut self, arguments: [&str; N]) -> Qemu {
        self.extra.extend(arguments.map(String::from));
        self
    }

    /// QEMU's arguments. QEMU connects to `qmp_socket` when it starts; somebody must listen there, and
    /// tell it to go on.
    ///
    /// # Errors
    /// [`StartError::Unsupported`] for a disk whose path is not UTF-8, which QEMU's JSON needs.
    pub fn arguments(&self, qmp_socket: &Path) -> Result<Vec<OsString>, StartError> {
        let mut arguments = Arguments::default();
        self.add_base(&mut arguments);
        self.add_control(&mut arguments, qmp_socket);
        for (index, disk) in self.config.disks.iter().enumerate() {
            self.add_disk(&mut arguments, index, disk)?;
        }
        for (index, nic) in self.config.nics.iter().enumerate() {
            self.add_nic(&mut arguments, index, nic);
        }
        if self.config.entropy {
            let device = format!("virtio-rng-{}", self.machine.transport());
            arguments.option("-device", device);
        }
        self.add_tools(&mut arguments);
        for extra in &self.extra {
            arguments.flag(extra);
        }
        Ok(arguments.0)
    }

    fn add_base(&self, arguments: &mut Arguments) {
        arguments.option("-machine", self.machine.argument());
        arguments.option("-accel", self.accelerator.to_string());
        arguments.option("-cpu", self.cpu.as_deref().unwrap_or(self.default_cpu()));
        match self.config.vcpus {
            1 if self.accelerator == Accelerator::Tcg => {
                arguments.option("-smp", ONE_WITH_BARRIERS);
            }
            1 => {}
            count => arguments.option("-smp", count.to_string()),
        }
        arguments.option("-m", format!("{}M", self.config.memory_mib));
        arguments.flag("-nodefaults");
        arguments.flag("-no-user-config");
        // A guest ends itself by a reset, which must not start it again.
        arguments.flag("-no-reboot");
        arguments.option("-display", "none");
        arguments.option("-global", "virtio-mmio.force-legacy=false");
        if matches!(
            self.machine,
            MachineType::Microvm | MachineType::MicrovmAcpi
        ) {
            // Ends the machine (0xFE to port 0x64) and delivers Ctrl-Alt-Del, as Firecracker's does.
            arguments.option("-device", "i8042");
        }
        arguments.option("-kernel", &self.config.kernel);
        if let Some(initrd) = &self.config.initrd {
            arguments.option("-initrd", initrd);
        }
        let command_line = self.config.command_line();
        if !command_line.is_empty() {
            arguments.option("-append", command_line);
        }
    }

    /// `host` passes through an MSR that a KVM without VMX or SVM refuses to set.
    fn default_cpu(&self) -> &'static str {
        match self.accelerator {
            Accelerator::Kvm { hardware: true } => "host",
            Accelerator::Kvm { hardware: false } => "host,-arch-capabilities",
            Accelerator::Tcg => "max",
        }
    }

    fn add_control(&self, arguments: &mut Arguments, qmp_socket: &Path) {
        // signal=off: a Ctrl-C in the guest's input is the guest's.
        arguments.option("-chardev", "stdio,id=serial0,signal=off");
        arguments.option("-serial", "chardev:serial0");
        let mut chardev = OsString::from("socket,id=qmp0,path=");
        chardev.push(doubled_commas(qmp_socket));
        arguments.option("-chardev", chardev);
        arguments.option("-mon", "chardev=qmp0,mode=control");
        // The processor waits for QMP's `cont` (or for gdb): a short guest could be over before QEMU
        // has said that it started.
        arguments.flag("-S");
    }

    fn add_disk(
        &self,
        arguments: &mut Arguments,
        index: usize,
        disk: &Disk,
    ) -> Result<(), StartError> {
        let node = format!("disk{index}");
        if let Some(limit) = disk.requests_per_second {
            let group = format!("throttle-group,id=limit{index},x-iops-total={limit}");
            arguments.option("-object", group);
        }
        arguments.option("-blockdev", block_graph(&node, index, disk)?.to_string());
        let transport = self.machine.transport();
        // report: an error goes to the guest, instead of stopping the machine.
        let device = format!("virtio-blk-{transport},drive={node},werror=report,rerror=report");
        arguments.option("-device", device);
        Ok(())
    }

    fn add_nic(&self, arguments: &mut Arguments, index: usize, nic: &Nic) {
        arguments.option("-netdev", netdev(index, &nic.backend));
        let mut device = format!("virtio-net-{},netdev=net{index}", self.machine.transport());
        if let Some(mac) = &nic.mac {
            device.push_str(&format!(",mac={mac}"));
        }
        arguments.option("-device", device);
    }

    fn add_tools(&self, arguments: &mut Arguments) {
        for plugin in &self.plugins {
            let mut value = OsString::from("file=");
            value.push(doubled_commas(&plugin.path));
            for option in &plugin.options {
                value.push(format!(",{option}"));
            }
            arguments.option("-plugin", value);
        }
        if let Some(trace) = &self.trace {
            for event in &trace.events {
                arguments.option("-trace", format!("enable={event}"));
            }
            arguments.option("-D", &trace.file);
        }
        if let Some(port) = self.gdb_port {
            arguments.option("-gdb", format!("tcp:127.0.0.1:{port}"));
        }
    }
}

/// A disk as QEMU's graph of block drivers, as JSON so that no character of a path means anything.
///
/// From the guest: throttle, raw, blkdebug, file. blkdebug stands under raw, because above it QEMU
/// refuses the injected error's sector.
fn block_graph(node: &str, index: usize, disk: &Disk) -> Result<Value, StartError> {
    let Some(path) = disk.path.to_str() else {
        let what = format!("a disk whose path is not UTF-8: {}", disk.path.display());
        return Err(StartError::Unsupported { vmm: "qemu", what });
    };
    let mut graph = json!({ "driver": "file", "filename": path });
    if !disk.faults.is_empty() {
        let faults: Vec<Value> = disk.faults.iter().map(inject_error).collect();
        graph = json!({ "driver": "blkdebug", "image": graph, "inject-error": faults });
    }
    graph = json!({ "driver": "raw", "file": graph });
    if disk.requests_per_second.is_some() {
        let group = format!("limit{index}");
        graph = json!({ "driver": "throttle", "throttle-group": group, "file": graph });
    }
    graph["node-name"] = json!(node);
    graph["read-only"] = json!(disk.read_only);
    Ok(graph)
}

fn inject_error(fault: &DiskFault) -> Value {
    let operation = match fault.operation {
        DiskOperation::Read => "read",
        DiskOperation::Write => "write",
        DiskOperation::Flush => "flush",
    };
    let mut rule = json!({ "event": "none", "iotype": operation, "errno": 5, "once": fault.once });
    if let Some(sector) = fault.sector {
        rule["sector"] = json!(sector);
    }
    rule
}

fn netdev(index: usize, backend: &NicBackend) -> OsString {
    match backend {
        NicBackend::User { forwards } => {
            let mut value = format!("user,id=net{index}");
            for forward in forwards {
                let (protocol, host, guest) =
                    (forward.protocol, forward.host_port, forward.guest_port);
                value.push_str(&format!(",hostfwd={protocol}:127.0.0.1:{host}-:{guest}"));
            }
            value.into()
        }
        NicBackend::Tap { name } => {
            format!("tap,id=net{index},ifname={name},script=no,downscript=no").into()
        }
        NicBackend::Datagram { local, remote } => {
            let mut value =
                OsString::from(format!("dgram,id=net{index},local.type=unix,local.path="));
            value.push(doubled_commas(local));
            value.push(",remote.type=unix,remote.path=");
            value.push(doubled_commas(remote));
            value
        }
        NicBackend::Hub => format!("hubport,id=net{index},hubid=0").into(),
    }
}

/// In QEMU's option lists a comma separates, and two commas are one.
fn doubled_commas(path: &Path) -> OsString {
    match path.to_str() {
        Some(text) => text.replace(',', ",,").into(),
        None => path.into(),
    }
}

#[derive(Default)]
struct Arguments(Vec<OsString>);

impl Arguments {
    fn flag(&mut self, flag: &str) {
        self.0.push(flag.into());
    }

    fn option(&mut self, name: &str, value: impl Into<OsString>) {
        self.flag(name);
        self.0.push(value.into());
    }
}

#[cfg(test)]
mod tests;
