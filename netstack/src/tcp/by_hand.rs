//! Segments written by hand: those that no connection sends, or that never were on the wire.
//!
//! TIME-WAIT answers by them, and SYN cookies. They have no data and at most one option.

use core::net::IpAddr;
use smoltcp::phy::{ChecksumCapabilities, PacketMeta};
use smoltcp::wire::{IpAddress, IpProtocol, IpRepr, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber};

use crate::engine::Engine;
use crate::packet::IpHead;
use crate::udp::NO_TOKEN;

/// Bytes of the largest: IPv6, TCP and the segment size.
const MAX_PACKET: usize = 64;
const HOP_LIMIT: u8 = 64;

/// The room for one.
pub(super) type Buffer = [u8; MAX_PACKET];
pub(super) const BUFFER: Buffer = [0; MAX_PACKET];

/// An acknowledgement, from one port to another.
pub(super) fn segment(
    source: u16,
    destination: u16,
    sequence: u32,
    acknowledged: u32,
) -> TcpRepr<'static> {
    TcpRepr {
        src_port: source,
        dst_port: destination,
        control: TcpControl::None,
        seq_number: TcpSeqNumber(sequence as i32),
        ack_number: Some(TcpSeqNumber(acknowledged as i32)),
        window_len: 0,
        window_scale: None,
        max_seg_size: None,
        sack_permitted: false,
        sack_ranges: [None; 3],
        timestamp: None,
        payload: &[],
    }
}

/// Makes a packet of a segment.
pub(super) fn write<'b>(
    source: IpAddr,
    destination: IpAddr,
    segment: &TcpRepr<'_>,
    buffer: &'b mut Buffer,
) -> &'b [u8] {
    let (from, to) = (IpAddress::from(source), IpAddress::from(destination));
    let ip = IpRepr::new(from, to, IpProtocol::Tcp, segment.buffer_len(), HOP_LIMIT);
    let checksums = ChecksumCapabilities::default();
    let packet = &mut buffer[..ip.buffer_len()];
    ip.emit(&mut *packet, &checksums);
    let mut emitted = TcpPacket::new_unchecked(&mut packet[ip.header_len()..]);
    segment.emit(&mut emitted, &from, &to, &checksums);
    packet
}

impl Engine {
    /// Sends a segment back to where a packet came from.
    pub(super) fn answer(&mut self, head: &IpHead<'_>, segment: &TcpRepr<'_>) {
        let mut buffer = BUFFER;
        let packet = write(head.destination, head.source, segment, &mut buffer);
        let copy = |to: &mut [u8]| to.copy_from_slice(packet);
        let meta = PacketMeta::default();
        self.link
            .send(NO_TOKEN, meta, (head.source, None), packet.len(), copy);
    }
}
