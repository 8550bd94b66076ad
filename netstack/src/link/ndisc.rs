//! IPv6 neighbour discovery (RFC 4861): who has an IPv6 address, and who is a router.
//!
//! Solicitations and advertisements of neighbours are handled here; what routers advertise is
//! read here and acted on by `slaac`.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr};
use core::time::Duration;
use smoltcp::wire::{
    EthernetAddress, EthernetProtocol, Icmpv6Packet, Icmpv6Repr, IpProtocol, Ipv6Packet, Ipv6Repr,
    NdiscNeighborFlags, NdiscOption, NdiscOptionType, NdiscPrefixInfoFlags, NdiscRepr,
    RawHardwareAddress,
};

use super::{Link, multicast};
use crate::packet::IpHead;
use crate::stats::DropCause;

pub(crate) const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
/// What tells a packet of the link from one that a router forwarded (RFC 4861 §3.1).
const HOPS: u8 = 255;
/// Prefixes, and DNS servers, read from one advertisement. Further ones are ignored.
const MAX_OPTIONS: usize = 8;

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
        let Ok(packet) = Icmpv6Packet::new_checked(head.payload) else {
            return self.drop(DropCause::NeighborDiscovery);
        };
        match Icmpv6Repr::parse(&source, &destination, &packet, &self.checksums) {
            Ok(Icmpv6Repr::Ndisc(NdiscRepr::NeighborSolicit {
                target_addr,
                lladdr,
            })) => {
                self.process_solicitation(source, target_addr, lladdr);
                None
            }
            Ok(Icmpv6Repr::Ndisc(NdiscRepr::NeighborAdvert {
                target_addr,
                lladdr,
                ..
            })) => {
                self.process_advertisement(target_addr, lladdr);
                None
            }
            Ok(Icmpv6Repr::Ndisc(NdiscRepr::RouterAdvert {
                router_lifetime,
                lladdr,
                ..
            })) => {
                let lifetime = Duration::from_millis(router_lifetime.total_millis());
                self.read_router(source, lifetime, lladdr, head.payload)
            }
            // Redirects could only tell of a better router on the same link, and would let any
            // neighbour divert traffic; solicitations are for routers.
            Ok(Icmpv6Repr::Ndisc(_)) => None,
            _ => self.drop(DropCause::NeighborDiscovery),
        }
    }

    fn process_solicitation(
        &mut self,
        source: Ipv6Addr,
        target: Ipv6Addr,
        lladdr: Option<RawHardwareAddress>,
    ) {
        let owned = self
            .routes
            .addresses()
            .iter()
            .any(|own| own.address == IpAddr::V6(target));
        if !owned {
            return;
        }
        let mac = lladdr.and_then(ethernet);
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

    fn process_advertisement(&mut self, target: Ipv6Addr, lladdr: Option<RawHardwareAddress>) {
        let Some(mac) = lladdr.and_then(ethernet) else {
            return;
        };
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
        lladdr: Option<RawHardwareAddress>,
        message: &[u8],
    ) -> Option<RouterAdvertisement> {
        // RFC 4861 §6.1.2: only from a link-local address.
        if !source.is_unicast_link_local() {
            return self.drop(DropCause::NeighborDiscovery);
        }
        if let Some(mac) = lladdr.and_then(ethernet) {
            self.learn(source.into(), mac, false);
        }
        let mut advertisement = RouterAdvertisement {
            router: source,
            lifetime,
            prefixes: Vec::new(),
            dns: Vec::new(),
        };
        advertisement.read_options(message.get(16..)?);
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
        let lladdr = Some(self.mac.into());
        let message = NdiscRepr::NeighborSolicit {
            target_addr: target,
            lladdr,
        };
        self.send_ndisc(source, destination, to, message);
    }

    /// Asks whether anybody has `target` already (RFC 4862 §5.4.2).
    pub(crate) fn send_duplicate_probe(&mut self, target: Ipv6Addr) {
        let destination = solicited_node(target);
        let message = NdiscRepr::NeighborSolicit {
            target_addr: target,
            lladdr: None,
        };
        let to = multicast(destination.into());
        self.send_ndisc(Ipv6Addr::UNSPECIFIED, destination, to, message);
    }

    /// Asks routers to advertise themselves (RFC 4861 §6.3.7).
    pub(crate) fn send_router_solicitation(&mut self, source: Ipv6Addr) {
        let message = NdiscRepr::RouterSolicit {
            lladdr: Some(self.mac.into()),
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
        let mut flags = NdiscNeighborFlags::OVERRIDE;
        flags.set(NdiscNeighborFlags::SOLICITED, solicited);
        let lladdr = Some(self.mac.into());
        let message = NdiscRepr::NeighborAdvert {
            flags,
            target_addr: target,
            lladdr,
        };
        self.send_ndisc(target, destination, to, message);
    }

    fn send_ndisc(
        &mut self,
        source: Ipv6Addr,
        destination: Ipv6Addr,
        to: EthernetAddress,
        message: NdiscRepr<'_>,
    ) {
        let message = Icmpv6Repr::Ndisc(message);
        let ip = Ipv6Repr {
            src_addr: source,
            dst_addr: destination,
            next_header: IpProtocol::Icmpv6,
            payload_len: message.buffer_len(),
            hop_limit: HOPS,
        };
        let checksums = self.checksums.clone();
        let len = ip.buffer_len() + message.buffer_len();
        self.send_frame(to, EthernetProtocol::Ipv6, len, |buffer| {
            let mut packet = Ipv6Packet::new_unchecked(buffer);
            ip.emit(&mut packet);
            let mut inner = Icmpv6Packet::new_unchecked(packet.payload_mut());
            message.emit(&source, &destination, &mut inner, &checksums);
        });
    }
}

impl RouterAdvertisement {
    /// smoltcp's parser keeps one prefix and no DNS servers, so the options are walked here. It
    /// has checked before that their lengths add up; a bad one ends the walk all the same.
    fn read_options(&mut self, mut options: &[u8]) {
        const RECURSIVE_DNS_SERVERS: u8 = 25;
        while let Ok(option) = NdiscOption::new_checked(options) {
            let len = usize::from(option.data_len()) * 8;
            match option.option_type() {
                NdiscOptionType::PrefixInformation if self.prefixes.len() < MAX_OPTIONS => {
                    self.prefixes.extend(read_prefix(&option));
                }
                NdiscOptionType::Unknown(RECURSIVE_DNS_SERVERS) => {
                    self.read_dns(&options[..len]);
                }
                _ => {}
            }
            let Some(rest) = options.get(len..) else {
                return;
            };
            options = rest;
        }
    }

    /// RFC 8106 §5.1: type, length, 2 bytes reserved, lifetime, addresses.
    fn read_dns(&mut self, option: &[u8]) {
        let Some(lifetime) = option.get(4..8) else {
            return;
        };
        let seconds = u32::from_be_bytes([lifetime[0], lifetime[1], lifetime[2], lifetime[3]]);
        for chunk in option[8..].chunks_exact(16) {
            let mut octets = [0; 16];
            octets.copy_from_slice(chunk);
            if self.dns.len() < MAX_OPTIONS {
                self.dns
                    .push((octets.into(), Duration::from_secs(seconds.into())));
            }
        }
    }
}

fn read_prefix(option: &NdiscOption<&[u8]>) -> Option<Prefix> {
    let prefix = option.prefix();
    // RFC 4862 §5.5.3 b: the link-local prefix is not for advertising.
    if option.prefix_len() > 128 || prefix.is_unicast_link_local() || prefix.is_multicast() {
        return None;
    }
    Some(Prefix {
        prefix,
        bits: option.prefix_len(),
        on_link: option
            .prefix_flags()
            .contains(NdiscPrefixInfoFlags::ON_LINK),
        autonomous: option
            .prefix_flags()
            .contains(NdiscPrefixInfoFlags::ADDRCONF),
        valid: Duration::from_millis(option.valid_lifetime().total_millis()),
    })
}

/// The group in which `target` listens for solicitations (RFC 4291 §2.7.1).
fn solicited_node(target: Ipv6Addr) -> Ipv6Addr {
    let octets = target.octets();
    let low = u16::from_be_bytes([octets[14], octets[15]]);
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(octets[13]), low)
}

fn ethernet(raw: RawHardwareAddress) -> Option<EthernetAddress> {
    let bytes: [u8; 6] = raw.as_bytes().try_into().ok()?;
    let mac = EthernetAddress(bytes);
    mac.is_unicast().then_some(mac)
}
