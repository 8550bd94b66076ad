//! What the workload may do: the words `allow=` of the command line, until an image brings a manifest along, and of
//! `UKERNEL_ALLOW` for a process of Linux.
//!
//! Without any such word everything is allowed. With the first of them only what is listed is, in all of them together:
//!
//! ```text
//! allow=ITEM[,ITEM]...
//! ITEM     all | none | log | time | task | mem | io | ipc | net | trace
//!          io:serial               the console as a file
//!          io:bundle               the bundle's files, which all of io opens too
//!          io:disk[:N][:ro]        disk N, or every disk; only for reading
//!          net:listen[:PROTOCOL[:PORTS]]
//!          net:connect[:PROTOCOL[:PEERS[:PORTS]]]
//!          net:resolve             asking for names
//! PROTOCOL tcp | udp               both where it is left out
//! PORTS    PORT | FIRST-LAST       0: the wish for any free port
//! PEERS    * | ADDRESS/PREFIX
//! ```
//!
//! `net:listen:udp:53` also allows to answer from that port, to anybody. An item that is part of a kind makes the kind
//! available. A word with a mistake allows nothing of what it lists, and is warned about.
//!
//! Whoever hands out networks, disks and files enforces it: in the guest `ukernel::Context::new`, for native workloads and
//! programs in C alike. The kinds `log`, `time`, `task`, `mem`, `ipc` and `trace` are about the calls
//! of foreign programs; Rust code holds those as values or as its own language.
//!
//! ```
//! use abi::capability::Kind;
//! use policy::{DiskAccess, Policy};
//!
//! let mut policy = Policy::default();
//! assert!(policy.kinds().contains(Kind::Net));
//! policy.allow("log,net:listen:tcp:80-90,io:disk:0:ro").unwrap();
//! assert_eq!(policy.disk(0), DiskAccess::ReadOnly);
//! assert_eq!(policy.disk(1), DiskAccess::None);
//! assert!(policy.kinds().contains(Kind::Io) && !policy.kinds().contains(Kind::Time));
//! assert_eq!(policy.allow("net:lisen"), Err("the items of net are listen, connect, resolve"));
//! ```
#![no_std]

extern crate alloc;

pub mod network;
mod prefix;

use alloc::vec::Vec;
use core::net::IpAddr;

use abi::capability::{Kind, Kinds};
use network::{PortRange, Protocol, Rule};

pub use prefix::AddressPrefix;

/// The most rules about the network; an item beyond is a mistake. Each connection asks all of them.
pub const MAX_RULES: usize = 32;
/// Disks that an item can name are numbered below this.
pub const MAX_DISKS: usize = 16;

/// What the workload may do with a disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum DiskAccess {
    /// Nothing: to it the disk is not there.
    #[default]
    None,
    /// Read it.
    ReadOnly,
    /// Whatever the disk lets itself be done to.
    ReadWrite,
}

/// What the workload may do with the networks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkAccess {
    /// Nothing: to it there are none.
    None,
    /// What these rules say.
    Some(network::Policy),
    /// Everything.
    All,
}

/// What the workload may do. The default is everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// There was an `allow=`, of those whose words count together.
    limited: bool,
    kinds: Kinds,
    whole_network: bool,
    rules: Vec<Rule>,
    every_disk: DiskAccess,
    disks: [DiskAccess; MAX_DISKS],
    serial: bool,
    files: bool,
}

/// Why a word allows nothing.
type Problem = &'static str;

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            limited: false,
            kinds: Kinds::ALL,
            whole_network: true,
            every_disk: DiskAccess::ReadWrite,
            serial: true,
            files: true,
            ..Policy::nothing()
        }
    }
}

impl Policy {
    fn nothing() -> Policy {
        Policy {
            limited: true,
            kinds: Kinds::EMPTY,
            whole_network: false,
            rules: Vec::new(),
            every_disk: DiskAccess::None,
            disks: [DiskAccess::None; MAX_DISKS],
            serial: false,
            files: false,
        }
    }

    /// Takes everything away that was not listed so far: where a word may have been lost.
    pub fn limit(&mut self) {
        if !self.limited {
            *self = Policy::nothing();
        }
    }

    /// Lets the next word `allow=` replace what was listed so far: it is of somebody who has the last word.
    pub fn begin_anew(&mut self) {
        self.limited = false;
    }

    /// Adds the items of a word `allow=`; the first one also takes away what is not listed.
    ///
    /// # Errors
    /// What is wrong with the word. None of its items is allowed then.
    #[cold] // once in a machine's life, if at all
    pub fn allow(&mut self, items: &str) -> Result<(), Problem> {
        self.limit();
        let mut wider = self.clone();
        for item in items.split(',') {
            wider.allow_item(item)?;
        }
        *self = wider;
        Ok(())
    }

    /// The kinds of capabilities that a foreign program may have.
    pub fn kinds(&self) -> Kinds {
        self.kinds
    }

    /// What is allowed of the networks.
    pub fn network(&self) -> NetworkAccess {
        if self.whole_network {
            NetworkAccess::All
        } else if self.rules.is_empty() {
            NetworkAccess::None
        } else {
            NetworkAccess::Some(network::Policy::new(self.rules.iter().copied()))
        }
    }

    /// What is allowed of disk `number`, counted from 0.
    pub fn disk(&self, number: usize) -> DiskAccess {
        let named = self.disks.get(number).copied().unwrap_or_default();
        named.max(self.every_disk)
    }

    /// Whether the console may be opened as a file.
    pub fn serial(&self) -> bool {
        self.serial
    }

    /// Whether files may be opened, where there are any: by all of `io` only.
    pub fn files(&self) -> bool {
        self.files
    }

    fn allow_everything(&mut self) {
        for kind in Kind::ALL {
            self.allow_kind(kind);
        }
    }

    fn allow_kind(&mut self, kind: Kind) {
        self.kinds = self.kinds.with(kind);
        match kind {
            Kind::Net => self.whole_network = true,
            Kind::Io => {
                self.every_disk = DiskAccess::ReadWrite;
                (self.serial, self.files) = (true, true);
            }
            _ => {}
        }
    }

    fn allow_item(&mut self, item: &str) -> Result<(), Problem> {
        match split(item, b':') {
            ("io", Some(what)) => {
                self.kinds = self.kinds.with(Kind::Io);
                self.allow_io(what)
            }
            ("net", Some(what)) => {
                self.kinds = self.kinds.with(Kind::Net);
                self.allow_network(what)
            }
            _ => self.allow_word(item),
        }
    }

    fn allow_word(&mut self, word: &str) -> Result<(), Problem> {
        let kind = Kind::ALL.into_iter().find(|kind| kind.name() == word);
        match (word, kind) {
            ("all", _) => self.allow_everything(),
            ("none", _) => {}
            (_, Some(kind)) => self.allow_kind(kind),
            _ => return Err("the items are all, none, log, time, task, mem, io, ipc, net, trace"),
        }
        Ok(())
    }

    fn allow_io(&mut self, what: &str) -> Result<(), Problem> {
        let (what, read_only) = match what.strip_suffix(":ro") {
            Some(what) => (what, true),
            None => (what, false),
        };
        let access = if read_only {
            DiskAccess::ReadOnly
        } else {
            DiskAccess::ReadWrite
        };
        let disk = match split(what, b':') {
            ("serial", None) if !read_only => {
                self.serial = true;
                return Ok(());
            }
            // They are the program's own, so what lets it open anything lets it open them.
            ("bundle", None) if !read_only => return Ok(()),
            ("disk", None) => &mut self.every_disk,
            ("disk", Some(number)) => number
                .parse::<usize>()
                .ok()
                .and_then(|number| self.disks.get_mut(number))
                .ok_or("disks are numbered 0 to 15")?,
            _ => {
                return Err(
                    "the items of io are serial, bundle, disk, disk:N, with :ro behind a disk",
                );
            }
        };
        *disk = access.max(*disk);
        Ok(())
    }

    fn allow_network(&mut self, what: &str) -> Result<(), Problem> {
        let (verb, rest) = split(what, b':');
        let (protocol, rest) = match rest.map(|rest| split(rest, b':')) {
            Some((protocol, rest)) => (Some(protocol_of(protocol)?), rest),
            None => (None, None),
        };
        let rule = match verb {
            "listen" => {
                let ports = ports_of(rest)?;
                Rule::Listen { protocol, ports }
            }
            "connect" => {
                let (to, ports) = peers_of(rest)?;
                Rule::Connect {
                    protocol,
                    to,
                    ports,
                }
            }
            "resolve" if what == verb => Rule::Resolve,
            _ => return Err("the items of net are listen, connect, resolve"),
        };
        self.add_rule(rule)
    }

    fn add_rule(&mut self, rule: Rule) -> Result<(), Problem> {
        if self.rules.len() == MAX_RULES {
            return Err("there are at most 32 rules about the network");
        }
        self.rules.push(rule);
        Ok(())
    }
}

/// What stands before the first `separator`, an ASCII character, and what behind it. A function of its own because the
/// search is longer than all that is done with what it finds.
#[inline(never)]
pub fn split(text: &str, separator: u8) -> (&str, Option<&str>) {
    match text.bytes().position(|byte| byte == separator) {
        Some(at) => (text.get(..at).unwrap_or_default(), text.get(at + 1..)),
        None => (text, None),
    }
}

fn protocol_of(text: &str) -> Result<Protocol, Problem> {
    match text {
        "tcp" => Ok(Protocol::Tcp),
        "udp" => Ok(Protocol::Udp),
        _ => Err("the protocols are tcp and udp"),
    }
}

fn ports_of(text: Option<&str>) -> Result<PortRange, Problem> {
    let Some(text) = text else {
        return Ok(PortRange::ALL);
    };
    let (first, last) = split(text, b'-');
    let port = |text: &str| text.parse().ok();
    match (port(first), port(last.unwrap_or(first))) {
        (Some(first), Some(last)) if first <= last => Ok(PortRange { first, last }),
        _ => Err("expected a port or FIRST-LAST"),
    }
}

/// Reads `*` or `ADDRESS/PREFIX`, and the ports behind a further colon. IPv6 addresses have colons, too, so the slash
/// comes first.
fn peers_of(text: Option<&str>) -> Result<(Option<AddressPrefix>, PortRange), Problem> {
    const EXPECTED: Problem = "expected * or ADDRESS/PREFIX";
    let Some(text) = text else {
        return Ok((None, PortRange::ALL));
    };
    let (address, rest) = split(text, b'/');
    let (head, ports) = split(rest.unwrap_or(text), b':');
    if rest.is_none() {
        return match head {
            "*" => Ok((None, ports_of(ports)?)),
            _ => Err(EXPECTED),
        };
    }
    let address: IpAddr = address.parse().map_err(|_| EXPECTED)?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    let prefix = head.parse().map_err(|_| EXPECTED)?;
    if prefix > longest {
        return Err("the prefix is longer than the address");
    }
    Ok((Some(AddressPrefix { address, prefix }), ports_of(ports)?))
}

#[cfg(test)]
mod tests;
