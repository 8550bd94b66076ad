//! Reads just enough of an IP packet to know whom it is for.
//!
//! The engine calls it on every packet before smoltcp parses it in full. It must accept any
//! bytes: what it cannot read is an error, never a panic, and checksums beyond IPv4's own are smoltcp's
//! business.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// IANA protocol numbers that the stack tells apart.
pub(crate) mod protocol {
    pub(crate) const ICMP: u8 = 1;
    pub(crate) const TCP: u8 = 6;
    pub(crate) const UDP: u8 = 17;
    pub(crate) const ICMPV6: u8 = 58;
    pub(super) const HOP_BY_HOP: u8 = 0;
}

/// TCP flag bits, as in the header's 14th byte.
pub(crate) mod flags {
    pub(crate) const FIN: u8 = 0x01;
    pub(crate) const SYN: u8 = 0x02;
    pub(crate) const RST: u8 = 0x04;
    pub(crate) const ACK: u8 = 0x10;
}

const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;
const TCP_HEADER: usize = 20;

/// Why a packet cannot be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// Too short, or its lengths contradict each other.
    Malformed,
    /// A fragment. The stack reassembles nothing: its own packets fit the MTU, TCP peers honour
    /// the MSS, and a reassembly buffer is a favourite target.
    Fragment,
}

/// The head of an IP packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IpHead<'p> {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) protocol: u8,
    /// Hop limit or time to live.
    pub(crate) hops: u8,
    /// What follows the IP headers, without the padding of short Ethernet frames.
    pub(crate) payload: &'p [u8],
}

impl<'p> IpHead<'p> {
    pub(crate) fn parse(packet: &'p [u8]) -> Result<IpHead<'p>, Unreadable> {
        match packet.first().map(|byte| byte >> 4) {
            Some(4) => parse_ipv4(packet),
            Some(6) => parse_ipv6(packet),
            _ => Err(Unreadable::Malformed),
        }
    }

    /// Source and destination port of a TCP or UDP packet.
    pub(crate) fn ports(&self) -> Option<(u16, u16)> {
        let bytes = self.payload.get(..4)?;
        Some((
            u16::from_be_bytes([bytes[0], bytes[1]]),
            u16::from_be_bytes([bytes[2], bytes[3]]),
        ))
    }

    /// As [`sequence_space`], of a TCP packet.
    pub(crate) fn sequence_space(&self) -> Option<(u32, u32)> {
        sequence_space(self.payload)
    }

    /// Acknowledgement number of a TCP packet.
    pub(crate) fn acknowledged(&self) -> Option<u32> {
        Some(u32_at(self.payload.get(..TCP_HEADER)?, 8))
    }

    /// The window of a TCP packet, not scaled.
    pub(crate) fn window(&self) -> Option<u16> {
        let header = self.payload.get(..TCP_HEADER)?;
        Some(u16::from_be_bytes([header[14], header[15]]))
    }

    /// The flags of a TCP packet whose header is whole.
    pub(crate) fn tcp_flags(&self) -> Option<u8> {
        let header = self.payload.get(..TCP_HEADER)?;
        let len = usize::from(header[12] >> 4) * 4;
        (TCP_HEADER..=self.payload.len())
            .contains(&len)
            .then_some(header[13])
    }
}

/// Sequence number of a TCP segment, and its length in sequence space: data, SYN and FIN.
pub(crate) fn sequence_space(segment: &[u8]) -> Option<(u32, u32)> {
    let header = segment.get(..TCP_HEADER)?;
    let data = segment
        .len()
        .checked_sub(usize::from(header[12] >> 4) * 4)? as u32;
    let control = u32::from(header[13] & flags::SYN != 0) + u32::from(header[13] & flags::FIN != 0);
    Some((u32_at(header, 4), data + control))
}

/// Whether the header of an IPv4 packet, one that was parsed, has the right checksum (RFC 791 §3.1).
pub(crate) fn is_right_ipv4_header(packet: &[u8]) -> bool {
    let header = &packet[..usize::from(packet[0] & 0x0f) * 4];
    let words = header.chunks_exact(4);
    let sum: u64 = words.map(|word| u64::from(u32_at(word, 0))).sum();
    // Words of 32 bits do as well as those of 16: both moduli are one less than a power of 2^16.
    sum != 0 && sum.is_multiple_of(0xffff)
}

/// Both ends and the sequence number of a TCP packet of which an error quotes the beginning: its IP header
/// and eight bytes (RFC 792).
pub(crate) fn quoted_tcp(packet: &[u8]) -> Option<(SocketAddr, SocketAddr, u32)> {
    let (protocol, source, destination, header) = match packet.first()? >> 4 {
        4 if packet.len() >= IPV4_HEADER => {
            let header = usize::from(packet[0] & 0x0f) * 4;
            (packet[9], ipv4_at(packet, 12), ipv4_at(packet, 16), header)
        }
        6 if packet.len() >= IPV6_HEADER => (
            packet[6],
            ipv6_at(packet, 8),
            ipv6_at(packet, 24),
            IPV6_HEADER,
        ),
        _ => return None,
    };
    let segment = packet.get(header..header + 8)?;
    let port = |at: usize| u16::from_be_bytes([segment[at], segment[at + 1]]);
    let ends = (
        SocketAddr::new(source, port(0)),
        SocketAddr::new(destination, port(2)),
    );
    (protocol == protocol::TCP).then_some((ends.0, ends.1, u32_at(segment, 4)))
}

fn parse_ipv4(packet: &[u8]) -> Result<IpHead<'_>, Unreadable> {
    if packet.len() < IPV4_HEADER {
        return Err(Unreadable::Malformed);
    }
    let header = usize::from(packet[0] & 0x0f) * 4;
    let total = usize::from(u16::from_be_bytes([packet[2], packet[3]]));
    if header < IPV4_HEADER || total < header || total > packet.len() {
        return Err(Unreadable::Malformed);
    }
    // "More fragments" or an offset (RFC 791 §3.1); "don't fragment" is no matter.
    if u16::from_be_bytes([packet[6], packet[7]]) & 0x3fff != 0 {
        return Err(Unreadable::Fragment);
    }
    Ok(IpHead {
        source: ipv4_at(packet, 12),
        destination: ipv4_at(packet, 16),
        protocol: packet[9],
        hops: packet[8],
        payload: &packet[header..total],
    })
}

fn parse_ipv6(packet: &[u8]) -> Result<IpHead<'_>, Unreadable> {
    if packet.len() < IPV6_HEADER {
        return Err(Unreadable::Malformed);
    }
    let length = usize::from(u16::from_be_bytes([packet[4], packet[5]]));
    let rest = packet
        .get(IPV6_HEADER..IPV6_HEADER + length)
        .ok_or(Unreadable::Malformed)?;
    let (protocol, payload) = skip_hop_by_hop(packet[6], rest)?;
    const FRAGMENT_HEADER: u8 = 44;
    if protocol == FRAGMENT_HEADER {
        return Err(Unreadable::Fragment);
    }
    Ok(IpHead {
        source: ipv6_at(packet, 8),
        destination: ipv6_at(packet, 24),
        protocol,
        hops: packet[7],
        payload,
    })
}

/// Hop-by-hop options come first and once (RFC 8200 §4.1), and smoltcp looks behind them too.
fn skip_hop_by_hop(protocol: u8, rest: &[u8]) -> Result<(u8, &[u8]), Unreadable> {
    if protocol != protocol::HOP_BY_HOP {
        return Ok((protocol, rest));
    }
    match rest {
        [next, length, ..] => {
            let header = (usize::from(*length) + 1) * 8;
            Ok((*next, rest.get(header..).ok_or(Unreadable::Malformed)?))
        }
        _ => Err(Unreadable::Malformed),
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn ipv4_at(packet: &[u8], at: usize) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(
        packet[at],
        packet[at + 1],
        packet[at + 2],
        packet[at + 3],
    ))
}

fn ipv6_at(packet: &[u8], at: usize) -> IpAddr {
    let mut octets = [0; 16];
    octets.copy_from_slice(&packet[at..at + 16]);
    IpAddr::V6(Ipv6Addr::from(octets))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;
    use proptest::prelude::*;
    use smoltcp::wire::Ipv4Packet;

    fn ipv4(payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, protocol::TCP, 0, 0];
        packet.extend([10, 0, 0, 1, 10, 0, 0, 2]);
        packet.extend(payload);
        let total = packet.len() as u16;
        packet[2..4].copy_from_slice(&total.to_be_bytes());
        packet
    }

    #[test]
    fn padding_of_a_short_frame_is_not_payload() {
        let mut packet = ipv4(&[0x1f, 0x90, 0, 80]);
        packet.extend([0; 22]);
        let head = IpHead::parse(&packet).unwrap();
        assert_eq!(head.payload.len(), 4);
        assert_eq!(head.ports(), Some((8080, 80)));
        assert_eq!(head.destination, IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2)));
    }

    #[test]
    fn the_checksum_of_an_ipv4_header_is_checked_with_its_options() {
        for options in [0, 4, 40] {
            let mut packet = ipv4(&[0; 60]);
            packet[0] = 0x45 + options / 4;
            packet[20..40].copy_from_slice(&[0xa5; 20]);
            assert!(IpHead::parse(&packet).is_ok());
            let mut header = Ipv4Packet::new_unchecked(&mut packet[..]);
            header.fill_checksum();
            assert!(is_right_ipv4_header(&packet));
            for bit in 0..8 * (20 + usize::from(options)) {
                let mut wrong = packet.clone();
                wrong[bit / 8] ^= 1 << (bit % 8);
                // The first byte says how much of the packet is header.
                assert!(bit < 8 || !is_right_ipv4_header(&wrong), "bit {bit}");
            }
        }
        assert!(!is_right_ipv4_header(&[0; 20]));
    }

    #[test]
    fn a_tcp_header_that_is_not_whole_has_no_flags() {
        let flags = |len: usize, offset: u8| {
            let mut segment = [0; 24];
            (segment[12], segment[13]) = (offset << 4, flags::SYN);
            IpHead::parse(&ipv4(&segment[..len])).unwrap().tcp_flags()
        };
        assert_eq!(flags(20, 5), Some(flags::SYN));
        assert_eq!(flags(24, 6), Some(flags::SYN));
        for (len, offset) in [(0, 0), (19, 5), (20, 4), (20, 6), (23, 6)] {
            assert_eq!(flags(len, offset), None, "{len} bytes, offset {offset}");
        }
    }

    #[test]
    fn fragments_are_told_apart() {
        for field in [0x2000_u16, 0x0001, 0x3fff] {
            let mut packet = ipv4(&[0; 8]);
            packet[6..8].copy_from_slice(&field.to_be_bytes());
            assert_eq!(IpHead::parse(&packet).unwrap_err(), Unreadable::Fragment);
        }
    }

    #[test]
    fn hop_by_hop_options_are_skipped() {
        let mut packet = vec![0x60, 0, 0, 0, 0, 16, 0, 64];
        packet.extend([0; 32]);
        packet.extend([protocol::UDP, 0, 1, 4, 0, 0, 0, 0]);
        packet.extend([0, 53, 0, 7, 0, 8, 0, 0]);
        let head = IpHead::parse(&packet).unwrap();
        assert_eq!(
            (head.protocol, head.ports()),
            (protocol::UDP, Some((53, 7)))
        );
    }

    proptest! {
        // Miri has no files to remember failures in, and runs a case in a second.
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 4 } else { 256 },
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn any_bytes_are_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..128)) {
            if let Ok(head) = IpHead::parse(&bytes) {
                let _ = (head.ports(), head.tcp_flags());
            }
            let _ = quoted_tcp(&bytes);
        }
    }
}
