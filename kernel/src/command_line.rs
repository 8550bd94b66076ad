//! The kernel's command line: what the person who starts the machine chooses.
//!
//! `kernel options -- workload arguments`. The options are `log=`, `net=` (and `net1=`, `net2=`, …
//! for further interfaces), `hostname=`, `allow=` (what the workload may do, see [`policy`](mod@crate::policy)),
//! `env=NAME=VALUE` (a variable for the workload), `trace=on` (its trace), and `bundle=` for a workload that asks for a
//! [`bundle`](crate::bundle); the README of the examples shows them at work. Called by [`runtime`](crate::runtime) during
//! start, and pure: it logs nothing, so that the level it finds can be set before its
//! [warnings](CommandLine::warnings) are said.
//!
//! It must never panic or fail: a machine with a wrong option still boots, and says so.
//!
//! ```
//! use ukernel::command_line::{CommandLine, Ipv4Options};
//!
//! let line = CommandLine::parse("log=debug net=10.0.2.15/24,gw=10.0.2.2 -- heartbeat=off");
//! assert_eq!(line.log, Some(log::LevelFilter::Debug));
//! assert_eq!(line.arguments, ["heartbeat=off"]);
//! let network = line.network(0);
//! assert!(matches!(network.ipv4, Ipv4Options::Static { prefix: 24, .. }));
//! assert!(line.warnings().is_empty());
//! ```

mod layers;

use alloc::vec::Vec;
use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

use log::LevelFilter;

use crate::policy::{Policy, split};

/// Longest command line that is read, in bytes: Firecracker's limit. What lies behind it is cut off
/// at a word, with a warning.
pub const MAX_LENGTH: usize = 2048;
/// Most interfaces that an option can name; `net8=` and up are warned about and ignored.
pub const MAX_NETWORKS: usize = 8;
/// Most name servers of one interface; further ones make the option malformed.
pub const MAX_NAME_SERVERS: usize = 3;
/// Most variables; further ones are warned about and ignored.
pub const MAX_VARIABLES: usize = ::bundle::MAX_VARIABLES;
/// Most warnings that are kept; further ones are only counted.
pub const MAX_WARNINGS: usize = 16;

/// How virtio devices are announced; QEMU appends such words at the very end, even behind ` -- `.
const DEVICE_PREFIX: &str = "virtio_mmio.device=";

/// Words for Linux that Firecracker puts on its default command line, and their near relatives.
/// They are no mistake of the user, so they are not worth a warning.
const LINUX_OPTIONS: [&str; 17] = [
    "acpi",
    "console",
    "earlycon",
    "init",
    "ip",
    "loglevel",
    "nomodule",
    "panic",
    "pci",
    "quiet",
    "random.trust_cpu",
    "reboot",
    "ro",
    "root",
    "rootfstype",
    "rw",
    "swiotlb",
];
/// The same, for options of Linux drivers.
const LINUX_PREFIXES: [&str; 3] = ["8250.", "i8042.", "tsc="];

/// A parsed command line; borrows from the text.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct CommandLine<'a> {
    /// The log level, if one was given.
    pub log: Option<LevelFilter>,
    /// The name to give to a DHCP server, if one was given.
    pub hostname: Option<&'a str>,
    /// What the workload may do.
    pub policy: Policy,
    /// Whether the workload's trace, if it makes one, is on from its beginning.
    pub trace: bool,
    /// Variables and their values, each name once: the last word about it counts.
    pub variables: Vec<(&'a str, &'a str)>,
    /// What follows ` -- `, word by word, without device announcements.
    pub arguments: Vec<&'a str>,
    /// Words for Linux, which mean nothing here; named at debug level.
    pub linux_options: Vec<&'a str>,
    networks: [Option<NetworkOptions>; MAX_NETWORKS],
    warnings: Vec<Warning<'a>>,
    unsaid_warnings: usize,
}

/// How one interface gets its addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NetworkOptions {
    /// The interface is left alone altogether (`net=off`).
    pub off: bool,
    /// IPv4 addressing.
    pub ipv4: Ipv4Options,
    /// IPv6 addressing.
    pub ipv6: Ipv6Options,
}

/// IPv4 addressing of one interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ipv4Options {
    /// Ask a DHCP server; the default.
    #[default]
    Dhcp,
    /// Fixed addresses.
    Static {
        /// The interface's own address.
        address: Ipv4Addr,
        /// Length of the network prefix, 0 to 32.
        prefix: u8,
        /// Router for everything outside the prefix.
        gateway: Option<Ipv4Addr>,
        /// Name servers, in the order to ask them.
        dns: [Option<Ipv4Addr>; MAX_NAME_SERVERS],
    },
}

/// IPv6 addressing of one interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ipv6Options {
    /// Link-local address and what routers announce (RFC 4862); the default.
    #[default]
    Slaac,
    /// Fixed addresses beside the link-local one.
    Static {
        /// The interface's own address.
        address: Ipv6Addr,
        /// Length of the network prefix, 0 to 128.
        prefix: u8,
        /// Router for everything outside the prefix.
        gateway: Option<Ipv6Addr>,
    },
    /// No IPv6.
    Off,
}

/// An option that was ignored, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Warning<'a> {
    word: &'a str,
    problem: &'static str,
}

impl fmt::Display for Warning<'_> {
    /// Shows the beginning of the word: 64 characters.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let more = if self.word.len() > 64 { "..." } else { "" };
        write!(
            f,
            "option={:.64}{more} problem=\"{}\"",
            self.word, self.problem
        )
    }
}

impl<'a> CommandLine<'a> {
    /// Reads a command line. Never fails: what it cannot use becomes a [warning](Self::warnings).
    pub fn parse(text: &'a str) -> Self {
        let mut line = CommandLine::default();
        line.read(text, Self::take_option);
        line
    }

    /// Reads a command line into this one, its options with `take`.
    #[inline]
    fn read(&mut self, text: &'a str, mut take: impl FnMut(&mut Self, &'a str)) {
        let kept = self.cut(text);
        let mut words = kept.split_ascii_whitespace();
        for word in words.by_ref().take_while(|word| *word != "--") {
            take(self, word);
        }
        if kept.len() < text.len() {
            self.limit_by_what_is_lost(kept, text);
        }
        let arguments = words.filter(|word| !word.starts_with(DEVICE_PREFIX));
        self.arguments.extend(arguments);
    }

    /// Options of interface `index`: what was said about it, else DHCP and SLAAC.
    pub fn network(&self, index: usize) -> NetworkOptions {
        self.networks
            .get(index)
            .copied()
            .flatten()
            .unwrap_or_default()
    }

    /// The options that were ignored, at most [`MAX_WARNINGS`] of them, in their order.
    pub fn warnings(&self) -> &[Warning<'a>] {
        &self.warnings
    }

    /// How many more warnings there were than [`warnings`](Self::warnings) holds.
    pub fn unsaid_warnings(&self) -> usize {
        self.unsaid_warnings
    }

    /// Cuts the text at [`MAX_LENGTH`].
    fn cut(&mut self, text: &'a str) -> &'a str {
        let Some(head) = text.as_bytes().get(..MAX_LENGTH) else {
            return text;
        };
        let end = head.iter().rposition(u8::is_ascii_whitespace);
        let (kept, lost) = text.split_at_checked(end.unwrap_or(0)).unwrap_or_default();
        self.warn(
            lost,
            "the command line is too long; this and the rest is cut off",
        );
        kept
    }

    /// A word `allow=` that is cut off allows nothing, and still is one; so is one without a value.
    fn limit_by_what_is_lost(&mut self, kept: &str, text: &str) {
        let is_option = |words: &str| !words.split_ascii_whitespace().any(|word| word == "--");
        let lost = text.get(kept.len()..).unwrap_or_default();
        let allows = |word: &str| word == "allow" || word.starts_with("allow=");
        if lost.split_ascii_whitespace().any(allows) && is_option(kept) {
            self.policy.limit();
        }
    }

    fn warn(&mut self, word: &'a str, problem: &'static str) {
        if self.warnings.len() < MAX_WARNINGS {
            self.warnings.push(Warning { word, problem });
        } else {
            self.unsaid_warnings += 1;
        }
    }

    fn take_option(&mut self, word: &'a str) {
        if word.starts_with(DEVICE_PREFIX) {
            return;
        }
        let (name, value) = split(word, b'=');
        let value = value.unwrap_or_default();
        let result = match (name, name.strip_prefix("net")) {
            ("log", _) => self.take_log(value),
            ("hostname", _) => self.take_hostname(value),
            ("allow", _) => self.policy.allow(value),
            ("env", _) => self.take_variable(value),
            ("trace", _) => self.take_trace(value),
            (_, Some(number)) => self.take_network(number, value),
            _ if is_for_linux(name, word) => {
                self.linux_options.push(word);
                Ok(())
            }
            _ => Err("unknown"),
        };
        if let Err(problem) = result {
            self.warn(word, problem);
        }
    }

    fn take_log(&mut self, value: &str) -> Result<(), &'static str> {
        let level = LevelFilter::from_str(value)
            .map_err(|_| "the levels are off, error, warn, info, debug, trace")?;
        self.log = Some(level);
        Ok(())
    }

    fn take_trace(&mut self, value: &str) -> Result<(), &'static str> {
        self.trace = match value {
            "on" => true,
            "off" => false,
            _ => return Err("expected on or off"),
        };
        Ok(())
    }

    fn take_hostname(&mut self, value: &'a str) -> Result<(), &'static str> {
        // RFC 1123, section 2.1, and the 63 bytes of one label (RFC 1035, section 2.3.4).
        let valid = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if value.is_empty() || value.len() > 63 || !value.bytes().all(valid) {
            return Err("a host name has 1 to 63 letters, digits and hyphens");
        }
        self.hostname = Some(value);
        Ok(())
    }

    fn take_variable(&mut self, text: &'a str) -> Result<(), &'static str> {
        let (name, Some(value)) = split(text, b'=') else {
            return Err("expected env=NAME=VALUE");
        };
        if name.is_empty() {
            return Err("expected env=NAME=VALUE");
        }
        if let Some(known) = self.variables.iter_mut().find(|known| known.0 == name) {
            known.1 = value;
        } else if self.variables.len() < MAX_VARIABLES {
            self.variables.push((name, value));
        } else {
            return Err("there are at most 128 variables");
        }
        Ok(())
    }

    fn take_network(&mut self, number: &str, value: &str) -> Result<(), &'static str> {
        let index = match number {
            "" => 0,
            digits => digits.parse::<u8>().map_err(|_| "unknown")?.into(),
        };
        let slot = self
            .networks
            .get_mut(index)
            .ok_or("there are at most 8 interfaces")?;
        *slot = Some(NetworkOptions::from_str(value)?);
        Ok(())
    }
}

fn is_for_linux(name: &str, word: &str) -> bool {
    LINUX_OPTIONS.contains(&name) || LINUX_PREFIXES.iter().any(|prefix| word.starts_with(prefix))
}

impl FromStr for NetworkOptions {
    type Err = &'static str;

    /// Reads `off`, or `dhcp` or `<address>/<prefix>` with `gw=`, `dns=`, `ip6=` and `gw6=` behind
    /// it, separated by commas.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split(',');
        let mut options = match parts.next().unwrap_or_default() {
            "off" => NetworkOptions {
                off: true,
                ..Self::default()
            },
            "dhcp" => Self::default(),
            address => NetworkOptions {
                ipv4: static_ipv4(address)?,
                ..Self::default()
            },
        };
        for part in parts {
            options.take(part)?;
        }
        Ok(options)
    }
}

impl NetworkOptions {
    fn take(&mut self, part: &str) -> Result<(), &'static str> {
        let (name, Some(value)) = split(part, b'=') else {
            return Err("expected name=value after the comma");
        };
        match name {
            "gw" => self.take_gateway(value),
            "dns" => self.take_name_server(value),
            "ip6" => self.take_ipv6(value),
            "gw6" => self.take_ipv6_gateway(value),
            _ => Err("the names after the comma are gw, dns, ip6, gw6"),
        }
    }

    fn take_gateway(&mut self, value: &str) -> Result<(), &'static str> {
        let Ipv4Options::Static { gateway, .. } = &mut self.ipv4 else {
            return Err("gw= needs a static address");
        };
        *gateway = Some(value.parse().map_err(|_| "gw= is not an IPv4 address")?);
        Ok(())
    }

    fn take_name_server(&mut self, value: &str) -> Result<(), &'static str> {
        let Ipv4Options::Static { dns, .. } = &mut self.ipv4 else {
            return Err("dns= needs a static address");
        };
        let free = dns
            .iter_mut()
            .find(|slot| slot.is_none())
            .ok_or("at most 3 name servers")?;
        *free = Some(value.parse().map_err(|_| "dns= is not an IPv4 address")?);
        Ok(())
    }

    fn take_ipv6(&mut self, value: &str) -> Result<(), &'static str> {
        self.ipv6 = match value {
            "auto" => Ipv6Options::Slaac,
            "off" => Ipv6Options::Off,
            address => {
                let (address, prefix) = address_and_prefix(address, 128)?;
                Ipv6Options::Static {
                    address,
                    prefix,
                    gateway: None,
                }
            }
        };
        Ok(())
    }

    fn take_ipv6_gateway(&mut self, value: &str) -> Result<(), &'static str> {
        let Ipv6Options::Static { gateway, .. } = &mut self.ipv6 else {
            return Err("gw6= needs a static ip6= before it");
        };
        *gateway = Some(value.parse().map_err(|_| "gw6= is not an IPv6 address")?);
        Ok(())
    }
}

fn static_ipv4(text: &str) -> Result<Ipv4Options, &'static str> {
    let (address, prefix) = address_and_prefix(text, 32)?;
    Ok(Ipv4Options::Static {
        address,
        prefix,
        gateway: None,
        dns: [None; MAX_NAME_SERVERS],
    })
}

/// Reads `<address>/<prefix>` with a prefix of at most `longest` bits.
fn address_and_prefix<A: FromStr>(text: &str, longest: u8) -> Result<(A, u8), &'static str> {
    const EXPECTED: &str = "expected off, dhcp or <address>/<prefix>";
    let (address, prefix) = split(text, b'/');
    let prefix = prefix.ok_or(EXPECTED)?.parse().map_err(|_| EXPECTED)?;
    if prefix > longest {
        return Err("the prefix is longer than the address");
    }
    Ok((address.parse().map_err(|_| EXPECTED)?, prefix))
}

#[cfg(test)]
mod tests;
