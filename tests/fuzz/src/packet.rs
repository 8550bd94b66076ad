//! Headers with right lengths and checksums around any bytes. Called by `peer`; knows no state.

/// The stack under test, and the peer that the fuzzer plays.
pub const OURS: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub const PEER: [u8; 6] = [2, 0, 0, 0, 0, 9];
pub const OURS_IPV4: [u8; 4] = [192, 0, 2, 1];
pub const PEER_IPV4: [u8; 4] = [192, 0, 2, 9];
/// Link-local, of the same MAC addresses (RFC 4291 appendix A).
pub const OURS_IPV6: [u8; 16] = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xfe, 0, 0, 1];
pub const PEER_IPV6: [u8; 16] = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xfe, 0, 0, 9];

/// Ethernet types and IP protocols.
pub const IPV4: u16 = 0x0800;
pub const ARP: u16 = 0x0806;
pub const IPV6: u16 = 0x86dd;
pub const ICMP: u8 = 1;
pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
pub const ICMPV6: u8 = 58;

/// The two ends of an IP packet.
#[derive(Clone, Copy, Debug)]
pub enum Ends {
    V4 { source: [u8; 4], target: [u8; 4] },
    V6 { source: [u8; 16], target: [u8; 16] },
}

/// A frame from the peer to the stack.
pub fn ethernet(kind: u16, payload: &[u8]) -> Vec<u8> {
    [&OURS[..], &PEER, &kind.to_be_bytes(), payload].concat()
}

/// An ARP packet of the peer's, about IPv4 over Ethernet.
pub fn arp(operation: u16, target: [u8; 4]) -> Vec<u8> {
    let kinds = [0, 1, 8, 0, 6, 4];
    ethernet(
        ARP,
        &[
            &kinds[..],
            &operation.to_be_bytes(),
            &PEER,
            &PEER_IPV4,
            &OURS,
            &target,
        ]
        .concat(),
    )
}

/// An IP packet in a frame. The payload's own checksum is put where its protocol has it.
pub fn ip(ends: Ends, protocol: u8, mut payload: Vec<u8>) -> Vec<u8> {
    fill_checksum(ends, protocol, &mut payload);
    let length = payload.len() as u16;
    match ends {
        Ends::V4 { source, target } => {
            let mut header = vec![0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, protocol, 0, 0];
            header[2..4].copy_from_slice(&length.saturating_add(20).to_be_bytes());
            header.extend([source, target].concat());
            let sum = checksum(&[&header]);
            header[10..12].copy_from_slice(&sum.to_be_bytes());
            ethernet(IPV4, &[header, payload].concat())
        }
        Ends::V6 { source, target } => {
            let mut header = vec![0x60, 0, 0, 0, 0, 0, protocol, 255];
            header[4..6].copy_from_slice(&length.to_be_bytes());
            ethernet(IPV6, &[&header[..], &source, &target, &payload].concat())
        }
    }
}

/// A UDP header and its payload.
pub fn udp(from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u16).saturating_add(8);
    [
        &from.to_be_bytes()[..],
        &to.to_be_bytes(),
        &length.to_be_bytes(),
        &[0; 2],
        payload,
    ]
    .concat()
}

/// What a TCP header says, apart from its checksum.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    pub from: u16,
    pub to: u16,
    pub sequence: u32,
    pub acknowledgement: u32,
    pub flags: u8,
    pub window: u16,
    /// Cut to whole words.
    pub options: &'a [u8],
    pub payload: &'a [u8],
}

/// The bytes of a TCP segment.
pub fn tcp(segment: Segment) -> Vec<u8> {
    let options = &segment.options[..segment.options.len().min(40) & !3];
    let words = 5 + options.len() as u8 / 4;
    [
        &segment.from.to_be_bytes()[..],
        &segment.to.to_be_bytes(),
        &segment.sequence.to_be_bytes(),
        &segment.acknowledgement.to_be_bytes(),
        &[words << 4, segment.flags],
        &segment.window.to_be_bytes(),
        &[0; 4],
        options,
        segment.payload,
    ]
    .concat()
}

fn fill_checksum(ends: Ends, protocol: u8, payload: &mut [u8]) {
    let at = match protocol {
        TCP => 16,
        UDP => 6,
        ICMP | ICMPV6 => 2,
        _ => return,
    };
    let Some(field) = payload.get_mut(at..at + 2) else {
        return;
    };
    field.fill(0);
    let length = payload.len() as u32;
    let ends: &[&[u8]] = match &ends {
        Ends::V4 { .. } if protocol == ICMP => &[], // without a pseudo-header (RFC 792)
        Ends::V4 { source, target } => &[source, target],
        Ends::V6 { source, target } => &[source, target],
    };
    let tail = [&length.to_be_bytes()[..], &[0, 0, 0, protocol]].concat();
    let pseudo: &[&[u8]] = if ends.is_empty() {
        &[]
    } else {
        &[ends[0], ends[1], &tail]
    };
    let sum = checksum(&[pseudo, &[payload]].concat());
    payload[at..at + 2].copy_from_slice(&sum.to_be_bytes());
}

/// RFC 1071, over parts of which only the last may be of odd length.
fn checksum(parts: &[&[u8]]) -> u16 {
    let words = parts.iter().flat_map(|part| part.chunks(2));
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
    let mut sum: u32 = words.map(word).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
