//! TCP and UDP checksums over IPv4 and IPv6, computed so that smoltcp need not: prepared for the
//! device on the way out, verified on the way in where the device has not done it. Works on raw
//! frames, trusts no length in them, and leaves alone what it does not understand.

/// Bytes of an Ethernet header.
const ETHERNET: usize = 14;
const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const IPV4_HEADER: usize = 20;
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

/// Writes the checksum of a TCP or UDP frame, for a device that does not.
pub(super) fn complete(frame: &mut [u8]) {
    let Some(segment) = find(frame) else {
        return;
    };
    let field = segment.start + segment.field();
    frame[field..field + 2].fill(0);
    let total = fold(segment.pseudo + sum(&frame[segment.start..segment.end]));
    // RFC 768: zero would say that there is none. For TCP the two are the same number.
    let checksum = if total == 0xffff { total } else { !total };
    frame[field..field + 2].copy_from_slice(&checksum.to_be_bytes());
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

/// Bytes of the TCP header that begins at `start` in a frame of ours.
pub(super) fn tcp_header_len(frame: &[u8], start: u16) -> u16 {
    let offset = frame.get(usize::from(start) + 12).copied();
    u16::from(offset.unwrap_or_default() >> 4) * 4
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
    let head: &[u8; IPV4_HEADER] = packet.first_chunk()?;
    let header = usize::from(head[0] & 0xf) * 4;
    let total = usize::from(u16::from_be_bytes([head[2], head[3]]));
    let fragment = u16::from_be_bytes([head[6], head[7]]) & 0x3fff; // more-fragments flag and offset
    let well_formed = head[0] >> 4 == 4 && header >= IPV4_HEADER && header <= total;
    if !well_formed || total > packet.len() || fragment != 0 {
        return None;
    }
    let source = u32::from_be_bytes([head[12], head[13], head[14], head[15]]);
    let target = u32::from_be_bytes([head[16], head[17], head[18], head[19]]);
    let addresses = u64::from(source) + u64::from(target);
    segment(head[9], header, total, addresses, false)
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

/// The sum of the bytes as big-endian 16-bit words, the last padded with zero, folded. Words of 64 bits
/// are as good, since 2^16 is 1 in one's complement, and so is a carry out of them; the order of bytes
/// matters to the result only (RFC 1071).
fn sum(bytes: &[u8]) -> u64 {
    let (blocks, rest) = bytes.as_chunks::<16>();
    let (words, rest) = rest.as_chunks::<4>();
    let (mut total, mut carries) = (0_u64, 0);
    for block in blocks {
        let block = u128::from_ne_bytes(*block);
        let (low, high) = (block as u64, (block >> 64) as u64);
        let (sum, carry) = total.overflowing_add(low);
        let (sum, more) = sum.overflowing_add(high);
        total = sum;
        // At most 2^12 carries in a frame: they fit the sum of the halves below.
        carries += u64::from(carry) + u64::from(more);
    }
    let mut total = (total >> 32) + (total & 0xffff_ffff) + carries;
    for word in words {
        total += u64::from(u32::from_ne_bytes(*word));
    }
    let mut last = [0; 4];
    for (last, byte) in last.iter_mut().zip(rest) {
        *last = *byte;
    }
    u64::from(fold(total + u64::from(u32::from_ne_bytes(last))).to_be())
}

/// One's-complement folding to 16 bits. Sums stay below 2^48.
fn fold(mut total: u64) -> u16 {
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    total as u16
}
