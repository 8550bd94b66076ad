//! IPv6 neighbour discovery (RFC 4861): who has an IPv6 address, and who is a router.
//!
//! Solicitations and advertisements of neighbours are handled here; what routers advertise is
//! read here and acted on by `slaac`.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr};
use core::time::Duration;
use smoltcp::wire::{Icmpv6Message, Icmpv6Packet, IpProtocol, Ipv6Packet, Ipv6Repr};

use super::ethernet::{EthernetAddress, ethertype};
use super::{Link, multicast};
use crate::packet::IpHead;
use crate::stats::DropCause;

pub(crate) const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
/// What tells a packet of the link from one that a router forwarded (RFC 4861 §3.1).
const HOPS: u8 = 255;
/// Prefixes, and DNS servers, read from one advertisement. Further ones are ignored.
const MAX_OPTIONS: usize = 8;
/// Bytes of a message before its options: those that name no address, and those that do.
const HEADER: usize = 8;
const HEADER_WITH_TARGET: usize = 24;

/// Types of options (RFC 4861 §4.6, RFC 8106).
mod option {
    pub(super) const SOURCE_ADDRESS: u8 = 1;
    pub(super) const TARGET_ADDRESS: u8 = 2;
    pub(super) const PREFIX: u8 = 3;
    pub(super) const RECURSIVE_DNS_SERVERS: u8 = 25;
}

/// ICMPv6 types 133 to 137 are neighbour discovery.
pub(crate) fn is_discovery(payload: &[u8]) -> bool {
    matches!(payload.first(), Some(133..=137))
}

/// What a router said (RFC 4861 §4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RouterAdvertisement {
    pub(crate) router: Ipv6Addr,
    /// How long it is a default router; zero: it is none.
    pub(crate) lifetime: Duration,
    pub(crate) prefixes: Vec<Prefix>,
    /// With their lifetime (RFC 8106).
    pub(crate) dns: Vec<(Ipv6Addr, Duration)>,
}

/// A prefix that a router advertises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Prefix {
    pub(crate) prefix: Ipv6Addr,
    pub(crate) bits: u8,
    pub(crate) on_link: bool,
    pub(crate) autonomous: bool,
    pub(crate) valid: Duration,
}

impl Link {
    /// Takes a neighbour discovery packet; a router's advertisement is handed back.
    pub(crate) fn process_ndisc(&mut self, head: &IpHead<'_>) -> Option<RouterAdvertisement> {
        let (IpAddr::V6(source), IpAddr::V6(destination)) = (head.source, head.destination) else {
            return self.drop(DropCause::NeighborDiscovery);
        };
        if head.hops != HOPS {
            return self.drop(DropCause::NeighborDiscovery);
        }
        match self.open_message(source, destination, head.payload) {
            Some((Icmpv6Message::NeighborSolicit, options)) => {
                let mac = link_address(options, option::SOURCE_ADDRESS);
                self.process_solicitation(source, target(head.payload)?, mac);
                None
            }
            Some((Icmpv6Message::NeighborAdvert, options)) => {
                let mac = link_address(options, option::TARGET_ADDRESS)?;
                self.process_advertisement(target(head.payload)?, mac);
                None
            }
            Some((Icmpv6Message::RouterAdvert, options)) => {
                let lifetime = head.payload.get(6..8)?.try_into().ok()?;
                let lifetime = Duration::from_secs(u16::from_be_bytes(lifetime).into());
                self.read_router(source, lifetime, options)
            }
            // Redirects could only tell of a better router on the same link, and would let any
            // neighbour divert traffic; solicitations are for routers.
            Some(_) => None,
            None => self.drop(DropCause::NeighborDiscovery),
        }
    }

    /// What kind of message it is, and its options. `None`: it is not whole, its checksum is wrong, or
    /// the lengths of its options do not add up (RFC 4861 §6.1, §7.1).
    fn open_message<'m>(
        &self,
        source: Ipv6Addr,
        destination: Ipv6Addr,
        message: &'m [u8],
    ) -> Option<(Icmpv6Message, &'m [u8])> {
        let packet = Icmpv6Packet::new_checked(message).ok()?;
        let intact = !self.checksums.icmpv6.rx() || packet.verify_checksum(&source, &destination);
        let found = packet.payload();
        let whole = options(found).map(<[u8]>::len).sum::<usize>() == found.len();
        (packet.msg_code() == 0 && intact && whole).then_some((packet.msg_type(), found))
    }

    fn process_solicitation(
        &mut self,
        source: Ipv6Addr,
        target: Ipv6Addr,
        mac: Option<EthernetAddress>,
    ) {
        let owned = self
            .routes
            .addresses()
            .iter()
            .any(|own| own.address == IpAddr::V6(target));
        if !owned {
            return;
        }
        if source.is_unspecified() {
            // Somebody checks whether the address is free (RFC 4862 §5.4.3): it is not.
            return self.send_advertisement(target, ALL_NODES, false, multicast(ALL_NODES.into()));
        }
        let Some(mac) = mac.or_else(|| self.known_mac(source)) else {
            return;
        };
        self.learn(source.into(), mac, false);
        self.send_advertisement(target, source, true, mac);
    }

    fn process_advertisement(&mut self, target: Ipv6Addr, mac: EthernetAddress) {
        if self.routes.is_own(target.into()) {
            self.conflict = Some(target);
            return self.report_conflict(target, mac);
        }
        self.learn(target.into(), mac, true);
    }

    fn read_router(
        &mut self,
        source: Ipv6Addr,
        lifetime: Duration,
        options: &[u8],
    ) -> Option<RouterAdvertisement> {
        // RFC 4861 §6.1.2: only from a link-local address.
        if !source.is_unicast_link_local() {
            return self.drop(DropCause::NeighborDiscovery);
        }
        if let Some(mac) = link_address(options, option::SOURCE_ADDRESS) {
            self.learn(source.into(), mac, false);
        }
        let mut advertisement = RouterAdvertisement {
            router: source,
            lifetime,
            prefixes: Vec::new(),
            dns: Vec::new(),
        };
        advertisement.read_options(options);
        Some(advertisement)
    }

    fn known_mac(&mut self, address: Ipv6Addr) -> Option<EthernetAddress> {
        match self.hop(address.into(), None) {
            super::Hop::Ethernet(mac) => Some(mac),
            _ => None,
        }
    }

    /// Asks who has `target`: its solicited-node group, or only its last known place.
    pub(super) fn send_neighbor_solicitation(
        &mut self,
        target: Ipv6Addr,
        to: Option<EthernetAddress>,
    ) {
        let Some(IpAddr::V6(source)) = self.routes.source_for(target.into()) else {
            return;
        };
        let destination = if to.is_some() {
            target
        } else {
            solicited_node(target)
        };
        let to = to.unwrap_or_else(|| multicast(destination.into()));
        let message = Message {
            kind: Icmpv6Message::NeighborSolicit,
            flags: 0,
            target: Some(target),
            address: Some((option::SOURCE_ADDRESS, self.mac)),
        };
        self.send_ndisc(source, destination, to, message);
    }

    /// Asks whether anybody has `target` already (RFC 4862 §5.4.2).
    pub(crate) fn send_duplicate_probe(&mut self, target: Ipv6Addr) {
        let destination = solicited_node(target);
        let message = Message {
            kind: Icmpv6Message::NeighborSolicit,
            flags: 0,
            target: Some(target),
            address: None,
        };
        let to = multicast(destination.into());
        self.send_ndisc(Ipv6Addr::UNSPECIFIED, destination, to, message);
    }

    /// Asks routers to advertise themselves (RFC 4861 §6.3.7).
    pub(crate) fn send_router_solicitation(&mut self, source: Ipv6Addr) {
        let message = Message {
            kind: Icmpv6Message::RouterSolicit,
            flags: 0,
            target: None,
            address: Some((option::SOURCE_ADDRESS, self.mac)),
        };
        self.send_ndisc(source, ALL_ROUTERS, multicast(ALL_ROUTERS.into()), message);
    }

    fn send_advertisement(
        &mut self,
        target: Ipv6Addr,
        destination: Ipv6Addr,
        solicited: bool,
        to: EthernetAddress,
    ) {
        const SOLICITED: u8 = 0x40;
        const OVERRIDE: u8 = 0x20;
        let message = Message {
            kind: Icmpv6Message::NeighborAdvert,
            flags: if solicited {
                SOLICITED | OVERRIDE
            } else {
                OVERRIDE
            },
            target: Some(target),
            address: Some((option::TARGET_ADDRESS, self.mac)),
        };
        self.send_ndisc(target, destination, to, message);
    }

    fn send_ndisc(
        &mut self,
        source: Ipv6Addr,
        destination: Ipv6Addr,
        to: EthernetAddress,
        message: Message,
    ) {
        let ip = Ipv6Repr {
            src_addr: source,
            dst_addr: destination,
            next_header: IpProtocol::Icmpv6,
            payload_len: message.len(),
            hop_limit: HOPS,
        };
        let fills = self.checksums.icmpv6.tx();
        let len = ip.buffer_len() + message.len();
        self.send_frame(to, ethertype::IPV6, len, |buffer| {
            let mut packet = Ipv6Packet::new_unchecked(buffer);
            ip.emit(&mut packet);
            message.write(packet.payload_mut());
            if fills {
                Icmpv6Packet::new_unchecked(packet.payload_mut())
                    .fill_checksum(&source, &destination);
            }
        });
    }
}

/// A message that we send.
struct Message {
    kind: Icmpv6Message,
    flags: u8,
    target: Option<Ipv6Addr>,
    /// An option with an Ethernet address.
    address: Option<(u8, EthernetAddress)>,
}

impl Message {
    fn header_len(&self) -> usize {
        self.target.map_or(HEADER, |_| HEADER_WITH_TARGET)
    }

    fn len(&self) -> usize {
        self.header_len() + self.address.map_or(0, |_| 8)
    }

    /// Writes it, without a checksum, to a buffer of [`Message::len`] bytes.
    fn write(&self, buffer: &mut [u8]) {
        buffer.fill(0);
        buffer[0] = self.kind.into();
        buffer[4] = self.flags;
        let (header, options) = buffer.split_at_mut(self.header_len());
        if let Some(target) = self.target {
            header[HEADER..].copy_from_slice(&target.octets());
        }
        if let Some((kind, mac)) = self.address {
            options[..2].copy_from_slice(&[kind, 1]);
            options[2..].copy_from_slice(&mac.0);
        }
    }
}

impl RouterAdvertisement {
    fn read_options(&mut self, found: &[u8]) {
        for bytes in options(found) {
            match bytes[0] {
                option::PREFIX if self.prefixes.len() < MAX_OPTIONS => {
                    self.prefixes.extend(read_prefix(bytes));
                }
                option::RECURSIVE_DNS_SERVERS => self.read_dns(bytes),
                _ => {}
            }
        }
    }

    /// RFC 8106 §5.1: type, length, 2 bytes reserved, lifetime, addresses.
    fn read_dns(&mut self, option: &[u8]) {
        let seconds = seconds_at(option, 4);
        for chunk in option[8..].chunks_exact(16) {
            let mut octets = [0; 16];
            octets.copy_from_slice(chunk);
            if self.dns.len() < MAX_OPTIONS {
                self.dns.push((octets.into(), seconds));
            }
        }
    }
}

/// The options of a message (RFC 4861 §4.6), each whole and at least of its smallest length, eight bytes.
/// Ends where a length is wrong.
fn options(mut rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    core::iter::from_fn(move || {
        let len = usize::from(*rest.get(1)?) * 8;
        let (option, others) = rest.split_at_checked(len).filter(|_| len > 0)?;
        rest = others;
        Some(option)
    })
}

/// The Ethernet address in an option of this kind, if it can be a host's.
fn link_address(found: &[u8], kind: u8) -> Option<EthernetAddress> {
    let option = options(found).find(|option| option[0] == kind)?;
    let mac = EthernetAddress(option[2..8].try_into().ok()?);
    mac.is_unicast().then_some(mac)
}

/// The address that a solicitation or advertisement is about.
fn target(message: &[u8]) -> Option<Ipv6Addr> {
    address_at(message, HEADER)
}

fn address_at(bytes: &[u8], at: usize) -> Option<Ipv6Addr> {
    let octets: [u8; 16] = bytes.get(at..at + 16)?.try_into().ok()?;
    Some(octets.into())
}

/// A time of four bytes in an option.
fn seconds_at(option: &[u8], at: usize) -> Duration {
    let bytes = [option[at], option[at + 1], option[at + 2], option[at + 3]];
    Duration::from_secs(u32::from_be_bytes(bytes).into())
}

/// RFC 4861 §4.6.2: type, length, prefix length, flags, two lifetimes, 4 bytes reserved, prefix.
fn read_prefix(option: &[u8]) -> Option<Prefix> {
    const ON_LINK: u8 = 0x80;
    const AUTONOMOUS: u8 = 0x40;
    let prefix = address_at(option, 16)?;
    let (bits, flags) = (option[2], option[3]);
    // RFC 4862 §5.5.3 b: the link-local prefix is not for advertising.
    if bits > 128 || prefix.is_unicast_link_local() || prefix.is_multicast() {
        return None;
    }
    Some(Prefix {
        prefix,
        bits,
        on_link: flags & ON_LINK != 0,
        autonomous: flags & AUTONOMOUS != 0,
        valid: seconds_at(option, 4),
    })
}

/// The group in which `target` listens for solicitations (RFC 4291 §2.7.1).
fn solicited_node(target: Ipv6Addr) -> Ipv6Addr {
    let octets = target.octets();
    let low = u16::from_be_bytes([octets[14], octets[15]]);
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(octets[13]), low)
}
