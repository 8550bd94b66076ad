//! DHCP messages as the client needs them (RFC 2131 §2, options RFC 2132).

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};
use smoltcp::phy::PacketMeta;
use smoltcp::wire::{IpProtocol, IpRepr, UDP_HEADER_LEN, UdpPacket, UdpRepr};

use crate::link::Link;
use crate::link::ethernet::{EthernetAddress, ethertype};
use crate::udp::NO_TOKEN;

/// Ports of servers and clients (RFC 2131 §4.1).
pub(crate) const SERVER_PORT: u16 = 67;
pub(crate) const CLIENT_PORT: u16 = 68;

/// Types of options (RFC 2132 §3, §8, §9).
mod option {
    pub(super) const PAD: u8 = 0;
    pub(super) const SUBNET_MASK: u8 = 1;
    pub(super) const ROUTER: u8 = 3;
    pub(super) const DNS: u8 = 6;
    pub(super) const HOST_NAME: u8 = 12;
    pub(super) const REQUESTED_ADDRESS: u8 = 50;
    pub(super) const LEASE_TIME: u8 = 51;
    pub(super) const MESSAGE_TYPE: u8 = 53;
    pub(super) const SERVER: u8 = 54;
    pub(super) const WANTED: u8 = 55;
    pub(super) const LARGEST_MESSAGE: u8 = 57;
    pub(super) const RENEWAL_TIME: u8 = 58;
    pub(super) const REBINDING_TIME: u8 = 59;
    pub(super) const CLIENT: u8 = 61;
    /// RFC 3442.
    pub(super) const CLASSLESS_ROUTES: u8 = 121;
    pub(super) const END: u8 = 255;
}

/// Values of the option that says what kind of message it is (RFC 2132 §9.6).
mod kind {
    pub(super) const DISCOVER: u8 = 1;
    pub(super) const OFFER: u8 = 2;
    pub(super) const REQUEST: u8 = 3;
    pub(super) const ACK: u8 = 5;
    pub(super) const NAK: u8 = 6;
}

/// How each message begins: who speaks, and addresses of Ethernet, of six bytes.
const FROM_CLIENT: [u8; 3] = [1, 1, 6];
const FROM_SERVER: [u8; 3] = [2, 1, 6];
/// Ends the fixed part (RFC 2131 §3).
const COOKIE: [u8; 4] = [99, 130, 83, 99];
/// Where in the fixed part the cookie is, and bytes of that part.
const COOKIE_AT: usize = 236;
const FIXED_LEN: usize = COOKIE_AT + COOKIE.len();
/// Bytes of a message of ours, with a name of [`super::MAX_HOSTNAME`] bytes and all the options below.
const LARGEST: usize = FIXED_LEN + 3 + 9 + 6 + 6 + 4 + 8 + 2 + super::MAX_HOSTNAME + 1;
/// DNS servers that are taken; further ones are ignored.
const MAX_DNS_SERVERS: usize = 3;
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
        let (fixed, options) = payload.split_first_chunk::<FIXED_LEN>()?;
        let ours = fixed[..3] == FROM_SERVER && fixed[28..34] == mac.0;
        if !ours || fixed[COOKIE_AT..] != COOKIE {
            return None;
        }
        let options = Options(options);
        let transaction = u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]);
        let offered = address(&fixed[16..20])?;
        match options.find(option::MESSAGE_TYPE)? {
            [kind::OFFER] => Some(Message::Offer {
                transaction,
                offered,
                server: options.address(option::SERVER)?,
            }),
            [kind::ACK] => Some(Message::Ack {
                transaction,
                terms: Terms::read(offered, options),
            }),
            [kind::NAK] => Some(Message::Nak { transaction }),
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
    fn read(address: Ipv4Addr, options: Options<'_>) -> Terms {
        // Of several routers the first (RFC 2132 §3.5).
        let router = options.find(option::ROUTER);
        let router = router.and_then(|routers| self::address(routers.get(..4)?));
        // With classless routes, the router option must be ignored (RFC 3442).
        let classless = options.find(option::CLASSLESS_ROUTES).map(default_route);
        let dns = options.find(option::DNS).unwrap_or_default();
        Terms {
            address,
            // Without a mask only the gateway is assumed to be reachable.
            prefix: options
                .address(option::SUBNET_MASK)
                .map_or(32, |mask| mask.to_bits().leading_ones() as u8),
            gateway: classless.unwrap_or(router),
            dns: dns
                .chunks_exact(4)
                .filter_map(self::address)
                .take(MAX_DNS_SERVERS)
                .collect(),
            server: options.address(option::SERVER),
            lease: options.number(option::LEASE_TIME).unwrap_or(DEFAULT_LEASE),
            renew: options.number(option::RENEWAL_TIME),
            rebind: options.number(option::REBINDING_TIME),
        }
    }
}

/// The options of a message: type, length and data of each (RFC 2132 §2).
#[derive(Clone, Copy)]
struct Options<'m>(&'m [u8]);

impl<'m> Options<'m> {
    /// The data of the first option of a type. The search ends where an option is not whole.
    fn find(self, wanted: u8) -> Option<&'m [u8]> {
        let mut rest = self.0;
        loop {
            rest = match rest {
                [option::PAD, rest @ ..] => rest,
                [option::END, ..] => return None,
                [kind, len, rest @ ..] => {
                    let (data, rest) = rest.split_at_checked(usize::from(*len))?;
                    if *kind == wanted {
                        return Some(data);
                    }
                    rest
                }
                _ => return None,
            }
        }
    }

    fn address(self, wanted: u8) -> Option<Ipv4Addr> {
        address(self.find(wanted)?)
    }

    fn number(self, wanted: u8) -> Option<u32> {
        Some(u32::from_be_bytes(self.find(wanted)?.try_into().ok()?))
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
        let mut message = [0; LARGEST];
        let len = self.write(&mut message, link);
        let message = &message[..len];
        let udp = UdpRepr {
            src_port: CLIENT_PORT,
            dst_port: SERVER_PORT,
        };
        let (from, to) = (source.into(), destination.into());
        let ip = IpRepr::new(from, to, IpProtocol::Udp, UDP_HEADER_LEN + len, 64);
        let checksums = link.checksums.clone();
        let fill = |buffer: &mut [u8]| {
            ip.emit(&mut *buffer, &checksums);
            let mut datagram = UdpPacket::new_unchecked(&mut buffer[ip.header_len()..]);
            let payload = |bytes: &mut [u8]| bytes.copy_from_slice(message);
            udp.emit(&mut datagram, &from, &to, len, payload, &checksums);
        };
        if everybody {
            let to = EthernetAddress::BROADCAST;
            link.send_frame(to, ethertype::IPV4, ip.buffer_len(), fill);
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

    /// Writes the message to a zeroed buffer and returns its length.
    fn write(&self, buffer: &mut [u8; LARGEST], link: &Link) -> usize {
        const WANTED: [u8; 6] = [
            option::SUBNET_MASK,
            option::ROUTER,
            option::DNS,
            option::RENEWAL_TIME,
            option::REBINDING_TIME,
            option::CLASSLESS_ROUTES,
        ];
        let mac = link.mac().0;
        buffer[..3].copy_from_slice(&FROM_CLIENT);
        buffer[4..8].copy_from_slice(&self.transaction.to_be_bytes());
        buffer[8..10].copy_from_slice(&self.seconds.to_be_bytes());
        buffer[28..34].copy_from_slice(&mac);
        buffer[COOKIE_AT..FIXED_LEN].copy_from_slice(&COOKIE);
        let (kind, requested) = match self.request {
            Request::Discover => (kind::DISCOVER, None),
            Request::Select { offered, server } => (kind::REQUEST, Some((offered, server))),
            Request::Renew { address } => {
                buffer[12..16].copy_from_slice(&address.octets());
                (kind::REQUEST, None)
            }
        };
        let mut end = FIXED_LEN;
        let mut put = |kind: u8, data: &[u8]| {
            let next = end + 2 + data.len();
            buffer[end..end + 2].copy_from_slice(&[kind, data.len() as u8]);
            buffer[end + 2..next].copy_from_slice(data);
            end = next;
        };
        put(option::MESSAGE_TYPE, &[kind]);
        let [a, b, c, d, e, f] = mac;
        put(option::CLIENT, &[1, a, b, c, d, e, f]);
        if let Some((offered, server)) = requested {
            put(option::SERVER, &server.octets());
            put(option::REQUESTED_ADDRESS, &offered.octets());
        }
        let largest = link.mtu.min(0xffff) as u16;
        put(option::LARGEST_MESSAGE, &largest.to_be_bytes());
        put(option::WANTED, &WANTED);
        if !self.hostname.is_empty() {
            put(option::HOST_NAME, self.hostname.as_bytes());
        }
        buffer[end] = option::END;
        end + 1
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

    #[test]
    fn options_are_found_behind_others_and_never_beyond_their_end() {
        let options = |bytes: &'static [u8]| Options(bytes);
        let address = Some(Ipv4Addr::new(10, 0, 0, 1));
        let found = options(&[0, 12, 1, 54, 0, 54, 4, 10, 0, 0, 1, 255]);
        assert_eq!(found.address(54), address);
        assert_eq!(found.find(12), Some(&[54][..]));
        assert_eq!(options(&[255, 54, 4, 10, 0, 0, 1]).find(54), None);
        assert_eq!(options(&[54, 4, 10, 0, 0]).find(54), None);
        assert_eq!(options(&[54]).find(54), None);
        assert_eq!(options(&[54, 3, 10, 0, 0]).address(54), None);
        assert_eq!(options(&[51, 4, 0, 0, 1, 0]).number(51), Some(256));
    }

    #[test]
    fn of_many_dns_servers_the_first_are_taken_and_no_part_of_one() {
        let mut bytes = alloc::vec![6, 4 * 5 + 1];
        bytes.extend((0..4 * 5 + 1).map(|byte| byte / 4));
        let terms = Terms::read(Ipv4Addr::LOCALHOST, Options(&bytes));
        let server = |byte: u8| Ipv4Addr::from([byte; 4]);
        assert_eq!(terms.dns, [server(0), server(1), server(2)]);
        let terms = Terms::read(Ipv4Addr::LOCALHOST, Options(&[6, 6, 1, 1, 1, 1, 2, 2]));
        assert_eq!(terms.dns, [server(1)]);
        assert_eq!((terms.prefix, terms.lease), (32, DEFAULT_LEASE));
    }

    #[test]
    fn the_longest_message_fits_its_buffer() {
        let name = alloc::string::String::from_utf8(alloc::vec![b'a'; super::super::MAX_HOSTNAME]);
        let outgoing = Outgoing {
            request: Request::Select {
                offered: Ipv4Addr::new(10, 0, 0, 2),
                server: Ipv4Addr::new(10, 0, 0, 1),
            },
            transaction: 1,
            seconds: 0,
            hostname: &name.unwrap(),
        };
        let checksums = smoltcp::phy::ChecksumCapabilities::ignored();
        let link = Link::new([2, 0, 0, 0, 0, 1], 1500, 1500, checksums, 0);
        assert_eq!(outgoing.write(&mut [0; LARGEST], &link), LARGEST);
    }
}
