//! What a device with segmentation offload does to a large packet, in software. The wire calls it; it
//! understands no more than a stack hands to such a device: TCP over IPv4 without options of IP.

use core::num::{NonZeroU16, NonZeroUsize};
use smoltcp::wire::{Ipv4Packet, TcpPacket};
use std::vec::Vec;

const ETHERNET_HEADER: usize = 14;
const IPV4_HEADER: usize = 20;
/// Where the TCP header begins in a frame.
const TCP: usize = ETHERNET_HEADER + IPV4_HEADER;

/// The largest frame that a device cuts.
pub(super) const LARGEST: NonZeroUsize =
    NonZeroUsize::new(14 + 65_535).expect("it is more than nothing");

/// Who cuts large TCP packets into segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Segmentation {
    /// The stack.
    #[default]
    Stack,
    /// The device that sends.
    Device,
    /// Nobody: the device that sends could, but the one that receives takes them as they are.
    Nobody,
}

/// Cuts a frame's data into pieces of `size` bytes, each behind headers of its own.
pub(super) fn cut(frame: &[u8], size: NonZeroU16) -> Vec<Vec<u8>> {
    let whole = TcpPacket::new_unchecked(&frame[TCP..]);
    let (headers, data) = frame.split_at(TCP + usize::from(whole.header_len()));
    let count = data.len().div_ceil(size.get().into());
    let pieces = data.chunks(size.get().into()).enumerate();
    pieces
        .map(|(index, piece)| {
            let mut cut = [headers, piece].concat();
            let mut tcp = TcpPacket::new_unchecked(&mut cut[TCP..]);
            let last = index + 1 == count;
            tcp.set_seq_number(whole.seq_number() + index * usize::from(size.get()));
            tcp.set_psh(whole.psh() && last);
            tcp.set_fin(whole.fin() && last);
            complete(&mut cut);
            cut
        })
        .collect()
}

/// Sets a frame's lengths and sums.
pub(super) fn complete(frame: &mut [u8]) {
    let len = frame.len() - ETHERNET_HEADER;
    let mut ip = Ipv4Packet::new_unchecked(&mut frame[ETHERNET_HEADER..]);
    ip.set_total_len(len as u16);
    ip.fill_checksum();
    let (source, destination) = (ip.src_addr().into(), ip.dst_addr().into());
    TcpPacket::new_unchecked(ip.payload_mut()).fill_checksum(&source, &destination);
}

/// TCP over IPv4, whose sums a device makes.
pub(super) fn is_tcp(frame: &[u8]) -> bool {
    frame.get(12..15) == Some(&[8, 0, 0x45]) && frame.get(23) == Some(&6)
}
