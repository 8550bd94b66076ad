//! TCP and UDP checksums over IPv4 and IPv6, computed so that smoltcp need not: prepared for the
//! device on the way out, verified on the way in where the device has not done it. Works on raw
//! frames, trusts no length in them, and leaves alone what it does not understand.

/// Bytes of an Ethernet header.
const ETHERNET: usize = 14;
const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const IPV6_HEADER: usize = 40;
/// Extension headers that are looked through before a packet is left to the stack.
const MAX_IPV6_EXTENSIONS: usize = 8;

const TCP: u8 = 6;
const UDP: u8 = 17;
const TCP_HEADER: usize = 20;
const UDP_HEADER: usize = 8;

/// What is known about a received frame's TCP or UDP checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The checksum is right.
    Good,
    /// The checksum is wrong.
    Bad,
    /// There is none that could be looked at: another protocol, a fragment, a frame that is not
    /// what it says. The stack decides.
    Absent,
}

/// A TCP segment or UDP datagram found in a frame.
struct Segment {
    protocol: u8,
    /// Where it begins and ends in the frame.
    start: usize,
    end: usize,
    /// Sum over the pseudo-header (RFC 9293 §3.1, RFC 8200 §8.1).
    pseudo: u64,
    ipv6: bool,
}

impl Segment {
    /// Offset of the checksum field behind `start`.
    fn field(&self) -> usize {
        if self.protocol == TCP { 16 } else { 6 }
    }
}

/// Writes the pseudo-header's sum into the checksum field of a TCP or UDP frame and returns where
/// the device must sum from and where, behind that, it must put the result (virtio 1.2 §5.1.6.2).
/// `None`: not TCP or UDP, the frame is as it was.
pub(super) fn prepare(frame: &mut [u8]) -> Option<(u16, u16)> {
    let segment = find(frame)?;
    let field = segment.start + segment.field();
    frame[field..field + 2].copy_from_slice(&fold(segment.pseudo).to_be_bytes());
    Some((u16::try_from(segment.start).ok()?, segment.field() as u16))
}

/// Verifies a received frame in software.
pub(super) fn verify(frame: &[u8]) -> Verdict {
    let Some(segment) = find(frame) else {
        return Verdict::Absent;
    };
    let field = segment.start + segment.field();
    if segment.protocol == UDP && frame[field..field + 2] == [0, 0] {
        // No checksum: allowed by RFC 768, not by RFC 8200 §8.1.
        return if segment.ipv6 {
            Verdict::Bad
        } else {
            Verdict::Absent
        };
    }
    let total = segment.pseudo + sum(&frame[segment.start..segment.end]);
    if fold(total) == 0xffff {
        Verdict::Good
    } else {
        Verdict::Bad
    }
}

/// Finds a whole TCP segment or UDP datagram in an Ethernet frame.
fn find(frame: &[u8]) -> Option<Segment> {
    let packet = frame.get(ETHERNET..)?;
    let segment = match read_u16(frame, 12)? {
        ETHERTYPE_IPV4 => find_in_ipv4(packet)?,
        ETHERTYPE_IPV6 => find_in_ipv6(packet)?,
        _ => return None,
    };
    if segment.protocol == TCP {
        return (segment.end - segment.start >= TCP_HEADER).then_some(segment);
    }
    // A datagram that is shorter than its packet, or longer, is for the stack to judge.
    let len = usize::from(read_u16(&frame[..segment.end], segment.start + 4)?);
    (len >= UDP_HEADER && len == segment.end - segment.start).then_some(segment)
}

fn find_in_ipv4(packet: &[u8]) -> Option<Segment> {
    let header = usize::from(packet.first()? & 0xf) * 4;
    let total = usize::from(read_u16(packet, 2)?);
    let fragment = read_u16(packet, 6)? & 0x3fff; // more-fragments flag and offset
    let protocol = *packet.get(9)?;
    let well_formed = packet[0] >> 4 == 4 && header >= 20 && header <= total;
    if !well_formed || total > packet.len() || fragment != 0 {
        return None;
    }
    segment(protocol, header, total, sum(&packet[12..20]), false)
}

fn find_in_ipv6(packet: &[u8]) -> Option<Segment> {
    let end = IPV6_HEADER + usize::from(read_u16(packet, 4)?);
    if packet.first()? >> 4 != 6 || end > packet.len() {
        return None;
    }
    let (mut protocol, mut start) = (packet[6], IPV6_HEADER);
    for _ in 0..MAX_IPV6_EXTENSIONS {
        match protocol {
            // Hop-by-hop and destination options. A routing header changes the address that is
            // summed (RFC 8200 §8.1) and fragments are not whole: those are left to the stack.
            0 | 60 => {
                protocol = *packet.get(start)?;
                start += (usize::from(*packet.get(start + 1)?) + 1) * 8;
            }
            _ => return segment(protocol, start, end, sum(&packet[8..40]), true),
        }
    }
    None
}

/// A TCP or UDP segment at these offsets of an IP packet, whose addresses sum to `addresses`.
fn segment(protocol: u8, start: usize, end: usize, addresses: u64, ipv6: bool) -> Option<Segment> {
    if !matches!(protocol, TCP | UDP) || start > end {
        return None;
    }
    let pseudo = addresses + u64::from((end - start) as u32) + u64::from(protocol);
    Some(Segment {
        protocol,
        start: start + ETHERNET,
        end: end + ETHERNET,
        pseudo,
        ipv6,
    })
}

fn read_u16(bytes: &[u8], offset: usize) -> Option<u16> {
    let field = bytes.get(offset..offset + 2)?;
    Some(u16::from_be_bytes([field[0], field[1]]))
}

/// The sum of the bytes as big-endian 16-bit words, the last padded with zero, not yet folded.
/// Words of 32 bits are as good, since 2^16 is 1 in one's complement (RFC 1071).
fn sum(bytes: &[u8]) -> u64 {
    let mut words = bytes.chunks_exact(4);
    let mut total: u64 = 0;
    for word in &mut words {
        total += u64::from(u32::from_be_bytes([word[0], word[1], word[2], word[3]]));
    }
    let mut last = [0; 4];
    last[..words.remainder().len()].copy_from_slice(words.remainder());
    total + u64::from(u32::from_be_bytes(last))
}

/// One's-complement folding to 16 bits. Sums stay far below 2^48: frames have below 2^16 words.
fn fold(mut total: u64) -> u16 {
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    total as u16
}
