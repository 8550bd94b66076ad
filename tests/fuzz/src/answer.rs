//! What the peer makes of a frame of the stack's: the answer that its protocol asks for, with the wrong
//! contents. Called by `peer`; knows no state.

use arbitrary::Arbitrary;

use crate::packet::{
    ARP, Ends, ICMP, ICMPV6, IPV4, IPV6, OURS_IPV4, OURS_IPV6, PEER, PEER_IPV4, PEER_IPV6, Segment,
    TCP, UDP, arp, ip, tcp, udp,
};

const ETHERNET_HEADER: usize = 14;

/// What DHCP servers tell, mostly in four bytes (RFC 2132, RFC 3442): mask, router, DNS, lease, renewal,
/// rebinding, routes.
const DHCP_OPTIONS: [u8; 7] = [1, 3, 6, 51, 58, 59, 121];
/// The type, class, lifetime and length of a DNS record with an IPv4 address, for the name at offset 12.
const A_RECORD: [u8; 12] = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4];

/// A TCP segment's flags: what makes sense as often as all the rest.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Flags {
    Syn,
    SynAck,
    Ack,
    AckPush,
    AckFin,
    Reset,
    ResetAck,
    Any(u8),
}

/// How far a sequence number is from the expected one.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Distance {
    None,
    Near(i8),
    Any(i32),
}

/// What an answer deviates by from the one that the stack expects.
#[derive(Arbitrary, Debug)]
pub struct Answer<'a> {
    pub flags: Flags,
    pub sequence: Distance,
    pub acknowledgement: Distance,
    pub window: u16,
    pub kind: u8,
    pub options: &'a [u8],
    pub bytes: &'a [u8],
}

impl Flags {
    /// As they stand in a header.
    pub fn bits(self) -> u8 {
        match self {
            Flags::Syn => 0x02,
            Flags::SynAck => 0x12,
            Flags::Ack => 0x10,
            Flags::AckPush => 0x18,
            Flags::AckFin => 0x11,
            Flags::Reset => 0x04,
            Flags::ResetAck => 0x14,
            Flags::Any(bits) => bits,
        }
    }
}

impl Distance {
    fn from(self, expected: u32) -> u32 {
        expected.wrapping_add_signed(match self {
            Distance::None => 0,
            Distance::Near(by) => by.into(),
            Distance::Any(by) => by,
        })
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn double(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The protocol, the ends of an answer, and the payload of an IP packet.
fn open_ip(frame: &[u8]) -> Option<(u8, Ends, &[u8])> {
    let packet = frame.get(ETHERNET_HEADER..)?;
    match word(frame, 12)? {
        IPV4 => {
            // Who asks for an address has none yet: answered at the one it may get.
            let target = packet
                .get(12..)?
                .first_chunk()
                .filter(|source| **source != [0; 4]);
            let ends = Ends::V4 {
                source: PEER_IPV4,
                target: *target.unwrap_or(&[255; 4]),
            };
            Some((*packet.get(9)?, ends, packet.get(20..)?))
        }
        IPV6 => {
            let target = packet
                .get(8..)?
                .first_chunk()
                .filter(|source| **source != [0; 16]);
            let ends = Ends::V6 {
                source: PEER_IPV6,
                target: *target.unwrap_or(&OURS_IPV6),
            };
            Some((*packet.get(6)?, ends, packet.get(40..)?))
        }
        _ => None,
    }
}

/// ICMP's and ICMPv6's errors: a word, then the packet that they are about.
pub fn refusal(frame: &[u8], kind: u8, code: u8, word: u32) -> Option<Vec<u8>> {
    let (_, ends, _) = open_ip(frame)?;
    let about = &frame[ETHERNET_HEADER..frame.len().min(ETHERNET_HEADER + 80)];
    let message = [&[kind, code, 0, 0][..], &word.to_be_bytes(), about].concat();
    let protocol = if matches!(ends, Ends::V4 { .. }) {
        ICMP
    } else {
        ICMPV6
    };
    Some(ip(ends, protocol, message))
}

impl Answer<'_> {
    /// The answer to a frame; `None` where it asks for none.
    pub fn to(&self, frame: &[u8]) -> Option<Vec<u8>> {
        if word(frame, 12)? == ARP {
            return Some(arp(2, OURS_IPV4));
        }
        let (protocol, ends, payload) = open_ip(frame)?;
        let answer = match protocol {
            TCP => self.to_segment(payload)?,
            UDP => self.to_datagram(payload)?,
            ICMPV6 => self.to_icmpv6(payload)?,
            _ => self.bytes.to_vec(),
        };
        Some(ip(ends, protocol, answer))
    }

    /// The next segment of the other side, by what the stack's last one said.
    fn to_segment(&self, theirs: &[u8]) -> Option<Vec<u8>> {
        let (offset, flags) = (usize::from(theirs.get(12)? >> 4) * 4, theirs.get(13)?);
        let length = theirs.len().saturating_sub(offset) as u32;
        let (syn, fin) = (u32::from(flags >> 1 & 1), u32::from(flags & 1));
        let expected = double(theirs, 4)?.wrapping_add(length + syn + fin);
        Some(tcp(Segment {
            from: word(theirs, 2)?,
            to: word(theirs, 0)?,
            sequence: self.sequence.from(double(theirs, 8)?),
            acknowledgement: self.acknowledgement.from(expected),
            flags: self.flags.bits(),
            window: self.window,
            options: self.options,
            payload: self.bytes,
        }))
    }

    fn to_datagram(&self, theirs: &[u8]) -> Option<Vec<u8>> {
        let (from, to, payload) = (word(theirs, 2)?, word(theirs, 0)?, theirs.get(8..)?);
        let answer = match from {
            67 => self.to_dhcp(payload)?,
            53 => self.to_dns(payload)?,
            _ => self.bytes.to_vec(),
        };
        Some(udp(from, to, &answer))
    }

    /// Op, address and options (RFC 2131 §2); transaction and client as they were.
    fn to_dhcp(&self, query: &[u8]) -> Option<Vec<u8>> {
        let mut answer = query.get(..240)?.to_vec();
        answer[0] = 2;
        answer[16..20].copy_from_slice(&[192, 0, 2, 100 + self.flags.bits() % 100]);
        // The kind of message and the server, which every answer has.
        answer.extend([53, 1, self.kind % 8, 54, 4]);
        answer.extend(PEER_IPV4);
        for option in self.options.chunks(5) {
            let code = DHCP_OPTIONS[usize::from(option[0]) % DHCP_OPTIONS.len()];
            answer.extend([&[code, option.len() as u8 - 1], &option[1..]].concat());
        }
        answer.extend(self.bytes);
        answer.push(255);
        Some(answer)
    }

    /// The header's flags and counts (RFC 1035 §4.1.1), the question as it was, then anything.
    fn to_dns(&self, query: &[u8]) -> Option<Vec<u8>> {
        let id = query.get(..2)?;
        let records = self.kind % 4;
        let counts = [0, 1, 0, records, 0, 0, 0, 0];
        let flags = [0x80 | self.flags.bits(), self.window as u8];
        let mut answer = [id, &flags, &counts, query.get(12..)?].concat();
        for number in 0..records.saturating_sub(self.kind / 128) {
            answer.extend([&A_RECORD[..], &PEER_IPV4[..3], &[number]].concat());
        }
        answer.extend([self.options, self.bytes].concat());
        Some(answer)
    }

    /// A prefix for addresses on the link, with lifetimes (RFC 4861 §4.6.2).
    fn to_prefix(&self) -> Vec<u8> {
        let lifetime = u32::from(self.window).to_be_bytes();
        let prefix = [
            0x20, 1, 0xd, 0xb8, 0, 0, 0, self.kind, 0, 0, 0, 0, 0, 0, 0, 0,
        ];
        [
            &[3, 4, 64, 0xc0][..],
            &lifetime,
            &lifetime,
            &[0; 4],
            &prefix,
        ]
        .concat()
    }

    /// A neighbour's or router's advertisement for a solicitation (RFC 4861 §4), else anything.
    fn to_icmpv6(&self, query: &[u8]) -> Option<Vec<u8>> {
        let lifetimes = [&[64, self.flags.bits(), 7, 8][..], &[0; 8]].concat();
        let link_address = [&[2, 1][..], &PEER].concat();
        Some(match query.first()? {
            133 => {
                let prefix = self.to_prefix();
                let prefix = &prefix[..prefix.len() * usize::from(self.kind % 2)];
                [
                    &[134, 0, 0, 0][..],
                    &lifetimes,
                    prefix,
                    self.options,
                    self.bytes,
                ]
                .concat()
            }
            135 => {
                let target = query.get(8..24)?;
                [
                    &[136, 0, 0, 0, self.flags.bits(), 0, 0, 0],
                    target,
                    &link_address,
                    self.options,
                ]
                .concat()
            }
            _ => self.bytes.to_vec(),
        })
    }
}
