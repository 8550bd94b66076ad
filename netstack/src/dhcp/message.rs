//! DHCP messages as the client needs them (RFC 2131 §2, options RFC 2132).

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};
use smoltcp::phy::PacketMeta;
use smoltcp::wire::{
    DHCP_CLIENT_PORT, DHCP_SERVER_PORT, DhcpMessageType, DhcpOption, DhcpPacket, DhcpRepr,
    EthernetAddress, EthernetProtocol, IpProtocol, IpRepr, UDP_HEADER_LEN, UdpPacket, UdpRepr,
};

use crate::link::Link;
use crate::udp::NO_TOKEN;

const SUBNET_MASK: u8 = 1;
const ROUTER: u8 = 3;
const DNS: u8 = 6;
const HOST_NAME: u8 = 12;
const RENEWAL_TIME: u8 = 58;
const REBINDING_TIME: u8 = 59;
/// RFC 3442.
const CLASSLESS_ROUTES: u8 = 121;
/// A lease without a length is taken for a day.
const DEFAULT_LEASE: u32 = 24 * 60 * 60;

/// What a server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Message {
    Offer {
        transaction: u32,
        offered: Ipv4Addr,
        server: Ipv4Addr,
    },
    Ack {
        transaction: u32,
        terms: Terms,
    },
    Nak {
        transaction: u32,
    },
}

/// The terms of a lease. Times are in seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) address: Ipv4Addr,
    pub(super) prefix: u8,
    pub(super) gateway: Option<Ipv4Addr>,
    pub(super) dns: Vec<Ipv4Addr>,
    pub(super) server: Option<Ipv4Addr>,
    pub(super) lease: u32,
    pub(super) renew: Option<u32>,
    pub(super) rebind: Option<u32>,
}

impl Message {
    /// `None` where it is malformed, for another client, or nothing that a client takes.
    pub(super) fn parse(payload: &[u8], mac: EthernetAddress) -> Option<Message> {
        let packet = DhcpPacket::new_checked(payload).ok()?;
        let repr = DhcpRepr::parse(&packet).ok()?;
        if repr.client_hardware_address != mac {
            return None;
        }
        let transaction = repr.transaction_id;
        match repr.message_type {
            DhcpMessageType::Offer => Some(Message::Offer {
                transaction,
                offered: repr.your_ip,
                server: repr.server_identifier?,
            }),
            DhcpMessageType::Ack => Some(Message::Ack {
                transaction,
                terms: Terms::read(&packet, &repr),
            }),
            DhcpMessageType::Nak => Some(Message::Nak { transaction }),
            _ => None,
        }
    }

    pub(super) fn transaction(&self) -> u32 {
        match self {
            Message::Offer { transaction, .. }
            | Message::Ack { transaction, .. }
            | Message::Nak { transaction } => *transaction,
        }
    }
}

impl Terms {
    fn read(packet: &DhcpPacket<&[u8]>, repr: &DhcpRepr<'_>) -> Terms {
        let option = |kind| packet.options().find(|option| option.kind == kind);
        // smoltcp reads the router only where there is exactly one.
        let router = option(ROUTER).and_then(|option| address(option.data.get(..4)?));
        // With classless routes, the router option must be ignored (RFC 3442).
        let classless = option(CLASSLESS_ROUTES).map(|option| default_route(option.data));
        let dns = repr.dns_servers.iter().flatten().copied().collect();
        Terms {
            address: repr.your_ip,
            // Without a mask only the gateway is assumed to be reachable.
            prefix: repr
                .subnet_mask
                .map_or(32, |mask| mask.to_bits().leading_ones() as u8),
            gateway: classless.unwrap_or(router),
            dns,
            server: repr.server_identifier,
            lease: repr.lease_duration.unwrap_or(DEFAULT_LEASE),
            renew: repr.renew_duration,
            rebind: repr.rebind_duration,
        }
    }
}

fn address(bytes: &[u8]) -> Option<Ipv4Addr> {
    let octets: [u8; 4] = bytes.try_into().ok()?;
    Some(octets.into())
}

/// The router of the default route in RFC 3442's list of prefix length, significant octets of the
/// prefix, router. Other routes are of no use with a single link.
fn default_route(mut routes: &[u8]) -> Option<Ipv4Addr> {
    while let [bits, rest @ ..] = routes {
        let prefix = usize::from(*bits).div_ceil(8);
        if *bits == 0 {
            return address(rest.get(..4)?);
        }
        routes = rest.get(prefix + 4..)?;
    }
    None
}

/// What the client asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// Who can give an address?
    Discover,
    /// That one's offer is taken.
    Select { offered: Ipv4Addr, server: Ipv4Addr },
    /// May we keep it?
    Renew { address: Ipv4Addr },
}

/// A message to be sent.
pub(super) struct Outgoing<'c> {
    pub(super) request: Request,
    pub(super) transaction: u32,
    pub(super) seconds: u16,
    pub(super) hostname: &'c str,
}

impl Outgoing<'_> {
    /// Sends it to everybody on the link.
    pub(super) fn broadcast(&self, link: &mut Link, source: Ipv4Addr) {
        self.emit(link, source, Ipv4Addr::BROADCAST, true);
    }

    /// Sends it to one server.
    pub(super) fn send_to(&self, link: &mut Link, source: Ipv4Addr, server: Ipv4Addr) {
        self.emit(link, source, server, false);
    }

    fn emit(&self, link: &mut Link, source: Ipv4Addr, destination: Ipv4Addr, everybody: bool) {
        let name = [DhcpOption {
            kind: HOST_NAME,
            data: self.hostname.as_bytes(),
        }];
        let options: &[DhcpOption<'_>] = if self.hostname.is_empty() { &[] } else { &name };
        let repr = self.repr(link, options);
        let udp = UdpRepr {
            src_port: DHCP_CLIENT_PORT,
            dst_port: DHCP_SERVER_PORT,
        };
        let (from, to) = (source.into(), destination.into());
        let len = UDP_HEADER_LEN + repr.buffer_len();
        let ip = IpRepr::new(from, to, IpProtocol::Udp, len, 64);
        let checksums = link.checksums.clone();
        let fill = |buffer: &mut [u8]| {
            ip.emit(&mut *buffer, &checksums);
            let mut datagram = UdpPacket::new_unchecked(&mut buffer[ip.header_len()..]);
            let message = |bytes: &mut [u8]| {
                repr.emit(&mut DhcpPacket::new_unchecked(bytes))
                    .expect("the buffer is as long as the message says");
            };
            udp.emit(
                &mut datagram,
                &from,
                &to,
                repr.buffer_len(),
                message,
                &checksums,
            );
        };
        if everybody {
            let to = EthernetAddress::BROADCAST;
            link.send_frame(to, EthernetProtocol::Ipv4, ip.buffer_len(), fill);
        } else {
            let to = IpAddr::V4(destination);
            link.send(
                NO_TOKEN,
                PacketMeta::default(),
                (to, None),
                ip.buffer_len(),
                fill,
            );
        }
    }

    fn repr<'o>(&self, link: &Link, options: &'o [DhcpOption<'o>]) -> DhcpRepr<'o> {
        const WANTED: &[u8] = &[
            SUBNET_MASK,
            ROUTER,
            DNS,
            RENEWAL_TIME,
            REBINDING_TIME,
            CLASSLESS_ROUTES,
        ];
        let none = Ipv4Addr::UNSPECIFIED;
        let (message_type, client_ip, requested_ip, server_identifier) = match self.request {
            Request::Discover => (DhcpMessageType::Discover, none, None, None),
            Request::Select { offered, server } => {
                (DhcpMessageType::Request, none, Some(offered), Some(server))
            }
            Request::Renew { address } => (DhcpMessageType::Request, address, None, None),
        };
        DhcpRepr {
            message_type,
            transaction_id: self.transaction,
            secs: self.seconds,
            client_hardware_address: link.mac(),
            client_ip,
            your_ip: none,
            server_ip: none,
            router: None,
            subnet_mask: None,
            relay_agent_ip: none,
            broadcast: false,
            requested_ip,
            client_identifier: Some(link.mac()),
            server_identifier,
            parameter_request_list: Some(WANTED),
            dns_servers: None,
            max_size: Some(link.mtu.min(0xffff) as u16),
            lease_duration: None,
            renew_duration: None,
            rebind_duration: None,
            additional_options: options,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_route_is_found_among_classless_ones() {
        let routes = [32, 10, 128, 0, 1, 0, 0, 0, 0, 0, 10, 128, 0, 1];
        assert_eq!(default_route(&routes), Some(Ipv4Addr::new(10, 128, 0, 1)));
        assert_eq!(default_route(&[24, 10, 0, 0, 10, 0, 0, 1]), None);
        assert_eq!(default_route(&[0, 10, 0]), None);
        assert_eq!(default_route(&[255]), None);
    }
}
