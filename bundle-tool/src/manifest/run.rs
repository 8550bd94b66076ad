//! `[run]`: how a machine is started where the command line does not say otherwise.

use std::num::NonZeroU32;
use std::str::FromStr;

use serde::Deserialize;

use super::Port;

/// The longest name of a network device, in bytes (netdevice(7): IFNAMSIZ with its zero).
const MAX_DEVICE_NAME: usize = 15;

/// How `ukernel run` starts the machine; options of the command line come before it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct RunTable {
    /// Virtual processors, 1 to 32. The kernel uses one; the others idle.
    pub vcpu: Vcpu,
    /// The machine's memory in MiB, 8 to 1048576.
    pub memory_mb: MemoryMb,
    /// The network: `user` (no rights needed, forwarded ports), `tap` (a device of the host), `none`.
    pub net: NetBackend,
    /// The tap device. For `net = "tap"`.
    pub tap: Option<DeviceName>,
    /// The program's arguments, each one line of text.
    pub args: Vec<Argument>,
    /// Ports of this machine that lead to the guest's, such as `8080:80` or `5353:53/udp`; 0 for the first: any free one.
    pub ports: Vec<Port>,
    /// The VMM: `auto` (Firecracker where KVM works, else QEMU), `qemu` or `firecracker`.
    pub vmm: VmmName,
    /// After how many seconds the machine is ended, at least 1. Default: never.
    pub timeout_s: Option<NonZeroU32>,
    /// What the kernel logs: `off`, `error`, `warn`, `info`, `debug` or `trace`. Default: `info`.
    pub log: Option<LogLevel>,
    /// Whether the program's trace is on from its beginning.
    pub trace: bool,
}

/// A number of processors, 1 to 32; 1 by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema, serde::Serialize))]
#[serde(try_from = "u32")]
pub struct Vcpu(u32);

impl Vcpu {
    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl Default for Vcpu {
    fn default() -> Vcpu {
        Vcpu(1)
    }
}

impl TryFrom<u32> for Vcpu {
    type Error = String;

    fn try_from(count: u32) -> Result<Vcpu, String> {
        match count {
            1..=32 => Ok(Vcpu(count)),
            _ => Err(format!("a machine has 1 to 32 processors, not {count}")),
        }
    }
}

/// A machine's memory in MiB, 8 to 1048576; 128 by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema, serde::Serialize))]
#[serde(try_from = "u32")]
pub struct MemoryMb(u32);

impl MemoryMb {
    /// The number of MiB.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl Default for MemoryMb {
    fn default() -> MemoryMb {
        MemoryMb(128)
    }
}

impl TryFrom<u32> for MemoryMb {
    type Error = String;

    fn try_from(mib: u32) -> Result<MemoryMb, String> {
        if !(8..=1 << 20).contains(&mib) {
            return Err(format!(
                "a machine has 8 to {} MiB of memory, not {mib}",
                1 << 20
            ));
        }
        Ok(MemoryMb(mib))
    }
}

/// The name of a network device of the host: at most 15 letters, none of them a blank, `/`, `:` or `,`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(try_from = "String")]
pub struct DeviceName(String);

impl DeviceName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for DeviceName {
    type Error = String;

    fn try_from(name: String) -> Result<DeviceName, String> {
        // QEMU would take what is behind a comma for options.
        let is_bad =
            |letter: char| letter.is_whitespace() || letter.is_control() || "/:,".contains(letter);
        if name.is_empty() || name.len() > MAX_DEVICE_NAME || name.contains(is_bad) {
            return Err(format!("'{name}' is no name of a network device"));
        }
        Ok(DeviceName(name))
    }
}

impl FromStr for DeviceName {
    type Err = String;

    fn from_str(name: &str) -> Result<DeviceName, String> {
        name.to_string().try_into()
    }
}

/// Where the machine's network leads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema, serde::Serialize))]
#[serde(rename_all = "lowercase")]
pub enum NetBackend {
    /// Through the VMM, which needs no rights.
    #[default]
    User,
    /// To a tap device of the host.
    Tap,
    /// Nowhere: the machine has no interface.
    None,
}

/// Which VMM runs the machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema, serde::Serialize))]
#[serde(rename_all = "lowercase")]
pub enum VmmName {
    /// Firecracker where KVM works, else QEMU.
    #[default]
    Auto,
    /// QEMU.
    Qemu,
    /// Firecracker.
    Firecracker,
}

/// A level of the kernel's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Nothing.
    Off,
    /// What went wrong.
    Error,
    /// What may be wrong.
    Warn,
    /// What happens.
    Info,
    /// What happens within.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// The word on the kernel's command line.
    pub fn as_str(self) -> &'static str {
        match self {
            LogLevel::Off => "off",
            LogLevel::Error => "error",
            LogLevel::Warn => "warn",
            LogLevel::Info => "info",
            LogLevel::Debug => "debug",
            LogLevel::Trace => "trace",
        }
    }
}

/// An argument of the program: one line of text, which may be empty.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(try_from = "String")]
pub struct Argument(String);

impl Argument {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Argument {
    type Error = String;

    fn try_from(word: String) -> Result<Argument, String> {
        if word.contains(char::is_control) {
            return Err("an argument is one line, without control characters".into());
        }
        Ok(Argument(word))
    }
}
