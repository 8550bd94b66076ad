//! What a virtual machine contains, whichever program runs it: plain data. Made by whoever starts a
//! machine, read by [`Qemu`](super::Qemu) and [`Firecracker`](super::Firecracker).

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Memory of a machine that does not say: Firecracker's default.
const DEFAULT_MEMORY_MIB: u32 = 128;

/// A machine: processors, a kernel, and what is attached to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VmConfig {
    /// The kernel's ELF.
    pub kernel: PathBuf,
    /// The boot module, if any.
    pub initrd: Option<PathBuf>,
    /// The kernel's own options, separated by spaces.
    pub options: String,
    /// What the workload gets as arguments.
    pub arguments: Vec<String>,
    /// RAM in MiB.
    pub memory_mib: u32,
    /// Processors. The kernel uses one; the others stay as they are after a reset.
    pub vcpus: u32,
    /// Disks, in the guest's order.
    pub disks: Vec<Disk>,
    /// Network interfaces, in the guest's order.
    pub nics: Vec<Nic>,
    /// Whether a virtio entropy device is attached.
    pub entropy: bool,
}

impl VmConfig {
    /// A machine with 128 MiB, no disk and no network.
    pub fn new(kernel: impl Into<PathBuf>) -> VmConfig {
        VmConfig {
            kernel: kernel.into(),
            initrd: None,
            options: String::new(),
            arguments: Vec::new(),
            memory_mib: DEFAULT_MEMORY_MIB,
            vcpus: 1,
            disks: Vec::new(),
            nics: Vec::new(),
            entropy: false,
        }
    }

    /// Sets the RAM.
    pub fn memory_mib(mut self, mib: u32) -> VmConfig {
        self.memory_mib = mib;
        self
    }

    /// Sets the number of processors.
    pub fn vcpus(mut self, count: u32) -> VmConfig {
        self.vcpus = count;
        self
    }

    /// Adds kernel options, such as `log=debug`.
    pub fn options(mut self, options: &str) -> VmConfig {
        if !self.options.is_empty() {
            self.options.push(' ');
        }
        self.options.push_str(options);
        self
    }

    /// Adds one argument for the workload.
    pub fn argument(mut self, argument: impl Into<String>) -> VmConfig {
        self.arguments.push(argument.into());
        self
    }

    /// Attaches a disk.
    pub fn disk(mut self, disk: Disk) -> VmConfig {
        self.disks.push(disk);
        self
    }

    /// Attaches a network interface.
    pub fn nic(mut self, nic: Nic) -> VmConfig {
        self.nics.push(nic);
        self
    }

    /// Passes a file as boot module.
    pub fn initrd(mut self, path: impl Into<PathBuf>) -> VmConfig {
        self.initrd = Some(path.into());
        self
    }

    /// Attaches an entropy device.
    pub fn entropy(mut self) -> VmConfig {
        self.entropy = true;
        self
    }

    /// The kernel command line: the options, then ` -- ` and the workload's arguments, if any.
    ///
    /// ```
    /// use bundle_tool::machine::VmConfig;
    /// let config = VmConfig::new("kernel").options("log=debug").argument("serve");
    /// assert_eq!(config.command_line(), "log=debug -- serve");
    /// ```
    pub fn command_line(&self) -> String {
        if self.arguments.is_empty() {
            return self.options.clone();
        }
        format!("{} -- {}", self.options, self.arguments.join(" "))
            .trim_start()
            .to_string()
    }

    /// All forwarded ports, in order.
    pub fn forwards(&self) -> impl Iterator<Item = &Forward> {
        self.nics.iter().flat_map(|nic| match &nic.backend {
            NicBackend::User { forwards } => forwards.as_slice(),
            _ => &[],
        })
    }

    /// The same, to be filled in.
    pub(super) fn forwards_mut(&mut self) -> impl Iterator<Item = &mut Forward> {
        self.nics.iter_mut().flat_map(|nic| match &mut nic.backend {
            NicBackend::User { forwards } => forwards.as_mut_slice(),
            _ => &mut [],
        })
    }
}

/// A raw file as a virtio disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// The file. Its size is the disk's, rounded down to sectors of 512 bytes by the VMM.
    pub path: PathBuf,
    /// Whether the guest may only read.
    pub read_only: bool,
    /// Errors that the disk gives (QEMU only).
    pub faults: Vec<DiskFault>,
    /// The most requests a second, where limited (QEMU only).
    pub requests_per_second: Option<u32>,
}

/// A request that fails with `EIO`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskFault {
    /// Which kind of request.
    pub operation: DiskOperation,
    /// The sector that a request must touch in order to fail; `None`: any.
    pub sector: Option<u64>,
    /// Whether only the first such request fails.
    pub once: bool,
}

/// A kind of disk request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DiskOperation {
    /// Reading sectors.
    Read,
    /// Writing sectors.
    Write,
    /// Flushing the cache.
    Flush,
}

impl Disk {
    /// A disk that the guest may read and write.
    pub fn new(path: impl Into<PathBuf>) -> Disk {
        Disk {
            path: path.into(),
            read_only: false,
            faults: Vec::new(),
            requests_per_second: None,
        }
    }

    /// Lets the guest only read.
    pub fn read_only(mut self) -> Disk {
        self.read_only = true;
        self
    }

    /// Lets some requests fail.
    pub fn fault(mut self, fault: DiskFault) -> Disk {
        self.faults.push(fault);
        self
    }

    /// Limits the rate of requests.
    pub fn requests_per_second(mut self, limit: u32) -> Disk {
        self.requests_per_second = Some(limit);
        self
    }
}

impl FromStr for Disk {
    type Err = String;

    /// Reads `FILE` or `FILE,ro`.
    fn from_str(text: &str) -> Result<Disk, String> {
        let (path, read_only) = match text.strip_suffix(",ro") {
            Some(path) => (path, true),
            None => (text, false),
        };
        if path.is_empty() {
            return Err("expected FILE or FILE,ro".into());
        }
        Ok(Disk {
            read_only,
            ..Disk::new(path)
        })
    }
}

/// A virtio network interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nic {
    /// What it is connected to.
    pub backend: NicBackend,
    /// Its hardware address; `None`: the VMM's choice.
    pub mac: Option<String>,
}

/// What a network interface is connected to on the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NicBackend {
    /// QEMU's user-mode network: needs no rights, offers DHCP, reaches out through the host's
    /// sockets, and lets in what is forwarded.
    User {
        /// Ports of the host that lead into the guest.
        forwards: Vec<Forward>,
    },
    /// A tap device, which must exist.
    Tap {
        /// Its name on the host.
        name: String,
    },
    /// A pair of Unix datagram sockets that carries one Ethernet frame a datagram, so that a test can be
    /// the network (QEMU only).
    Datagram {
        /// The socket that the VMM binds.
        local: PathBuf,
        /// The socket that the other side has bound.
        remote: PathBuf,
    },
    /// A hub inside the VMM: all interfaces of the machine that name it hear each other, and nobody else
    /// does (QEMU only).
    Hub,
}

impl Nic {
    /// An interface on the user-mode network.
    pub fn user(forwards: impl IntoIterator<Item = Forward>) -> Nic {
        NicBackend::User {
            forwards: forwards.into_iter().collect(),
        }
        .into()
    }

    /// An interface on an existing tap device.
    pub fn tap(name: impl Into<String>) -> Nic {
        NicBackend::Tap { name: name.into() }.into()
    }

    /// An interface on a pair of Unix datagram sockets.
    pub fn datagram(local: impl Into<PathBuf>, remote: impl Into<PathBuf>) -> Nic {
        NicBackend::Datagram {
            local: local.into(),
            remote: remote.into(),
        }
        .into()
    }

    /// An interface on the machine's own hub.
    pub fn hub() -> Nic {
        NicBackend::Hub.into()
    }
}

impl From<NicBackend> for Nic {
    fn from(backend: NicBackend) -> Nic {
        Nic { backend, mac: None }
    }
}

/// A transport protocol that can be forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        })
    }
}

/// A port on the host's loopback address that leads to a port of the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forward {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// The port on 127.0.0.1; 0: a free one, chosen when the machine starts.
    pub host_port: u16,
    /// The port in the guest.
    pub guest_port: u16,
}

impl Forward {
    /// Forwards a TCP port.
    pub fn tcp(host_port: u16, guest_port: u16) -> Forward {
        Forward {
            protocol: Protocol::Tcp,
            host_port,
            guest_port,
        }
    }

    /// Forwards a UDP port.
    pub fn udp(host_port: u16, guest_port: u16) -> Forward {
        Forward {
            protocol: Protocol::Udp,
            host_port,
            guest_port,
        }
    }
}

impl FromStr for Forward {
    type Err = String;

    /// Reads `HOST:GUEST`, `HOST:GUEST/tcp` or `HOST:GUEST/udp`.
    ///
    /// ```
    /// use bundle_tool::machine::Forward;
    /// assert_eq!("8080:80".parse(), Ok(Forward::tcp(8080, 80)));
    /// assert_eq!("7007:7/udp".parse(), Ok(Forward::udp(7007, 7)));
    /// ```
    fn from_str(text: &str) -> Result<Forward, String> {
        let usage = || format!("'{text}' is not HOST:GUEST, HOST:GUEST/tcp or HOST:GUEST/udp");
        let (ports, protocol) = match text.split_once('/') {
            None | Some((_, "tcp")) => (text.trim_end_matches("/tcp"), Protocol::Tcp),
            Some((ports, "udp")) => (ports, Protocol::Udp),
            Some(_) => return Err(usage()),
        };
        let (host, guest) = ports.split_once(':').ok_or_else(usage)?;
        let host_port = host.parse().map_err(|_| usage())?;
        let guest_port = guest.parse().map_err(|_| usage())?;
        if guest_port == 0 {
            return Err(format!("'{text}': the guest's port cannot be 0"));
        }
        Ok(Forward {
            protocol,
            host_port,
            guest_port,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_separates_options_from_arguments() {
        let config = VmConfig::new("k");
        assert_eq!(config.command_line(), "");
        assert_eq!(
            config.clone().options("a=1").options("b").command_line(),
            "a=1 b"
        );
        assert_eq!(config.argument("x").argument("y").command_line(), "-- x y");
    }

    #[test]
    fn malformed_forwards_are_refused() {
        for bad in [
            "",
            "80",
            "80:",
            ":80",
            "80:x",
            "70000:80",
            "80:80/sctp",
            "80:80/tcp/udp",
            "80:0",
        ] {
            assert!(bad.parse::<Forward>().is_err(), "{bad} was accepted");
        }
        assert_eq!("0:8080/tcp".parse(), Ok(Forward::tcp(0, 8080)));
    }

    #[test]
    fn a_disk_may_be_read_only() {
        assert_eq!("a,b.img".parse(), Ok(Disk::new("a,b.img")));
        assert_eq!("a.img,ro".parse(), Ok(Disk::new("a.img").read_only()));
        assert!(",ro".parse::<Disk>().is_err());
    }
}
