//! The Ethernet side: framing, next hops, who is on the link.
//!
//! smoltcp runs above it at the IP level, because its own Ethernet layer ignores ARP requests from
//! outside its subnet (smoltcp #536) and keeps eight neighbours. The engine hands it every frame
//! that is not a packet for a socket, and every packet to send. It names no device: what it
//! originates itself waits in `outbox` for the Runner, and what the stack sends to itself in
//! `loopback`.

pub(crate) mod arp;
mod buffers;
pub(crate) mod ethernet;
pub(crate) mod hop;
pub(crate) mod ndisc;
pub(crate) mod neighbor;
pub(crate) mod route;

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use buffers::Buffers;
use core::net::{IpAddr, Ipv6Addr};
use ethernet::{EthernetAddress, Header, ethertype};
use hop::HopCache;
use neighbor::{Lookup, Neighbors, Request, Waiting};
use reactor::time::Instant;
use route::{Route, Routes};
use smoltcp::phy::{ChecksumCapabilities, PacketMeta, TxToken};

use crate::stats::{DropCause, Stats};

pub(crate) use ethernet::HEADER_LEN as ETHERNET_HEADER;

/// Frames of the link's own, and packets whose neighbour just answered, that wait for the device.
/// Beyond it new ones are dropped: their senders repeat them.
const MAX_OUTBOX: usize = 128;
/// Packets on their way to ourselves. Beyond it new ones are dropped, as a full wire would.
const MAX_LOOPBACK: usize = 256;

/// What the next hop of a packet means for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hop {
    Loopback,
    Ethernet(EthernetAddress),
    /// Its Ethernet address is not known yet.
    Wait(IpAddr),
    None,
}

/// The link layer of one device.
#[derive(Debug)]
pub(crate) struct Link {
    mac: EthernetAddress,
    /// Largest IP packet.
    pub(crate) mtu: usize,
    pub(crate) checksums: ChecksumCapabilities,
    pub(crate) routes: Routes,
    pub(crate) stats: Stats,
    /// The time of this turn.
    pub(crate) now: Instant,
    neighbors: Neighbors,
    outbox: VecDeque<Vec<u8>>,
    loopback: VecDeque<Vec<u8>>,
    buffers: Buffers,
    /// An address of ours that another host claims is said once.
    conflict_said: bool,
    /// Such an IPv6 address, for `slaac`.
    pub(crate) conflict: Option<Ipv6Addr>,
}

impl Link {
    /// `largest`: of the packets to ourselves, and those that the device cuts into pieces of `mtu`.
    pub(crate) fn new(
        mac: [u8; 6],
        mtu: usize,
        largest: usize,
        checksums: ChecksumCapabilities,
        seed: u64,
    ) -> Link {
        Link {
            mac: EthernetAddress(mac),
            mtu,
            checksums,
            routes: Routes::default(),
            stats: Stats::default(),
            now: Instant::ZERO,
            neighbors: Neighbors::new(seed),
            outbox: VecDeque::new(),
            loopback: VecDeque::new(),
            buffers: Buffers::new(ETHERNET_HEADER + largest),
            conflict_said: false,
            conflict: None,
        }
    }

    pub(crate) fn mac(&self) -> EthernetAddress {
        self.mac
    }

    /// Checks the Ethernet header and says what the frame carries.
    pub(crate) fn open<'f>(&mut self, frame: &'f [u8]) -> Option<(u16, &'f [u8])> {
        self.stats.frames_received += 1;
        self.stats.bytes_received += frame.len() as u64;
        let Some((header, payload)) = Header::parse(frame) else {
            return self.drop(DropCause::Malformed);
        };
        if header.destination != self.mac && header.destination.is_unicast() {
            return self.drop(DropCause::OtherHost);
        }
        if !header.source.is_unicast() {
            return self.drop(DropCause::Malformed);
        }
        Some((header.ethertype, payload))
    }

    /// Counts a drop and is `None`, for `return self.drop(..)`.
    pub(crate) fn drop<T>(&mut self, cause: DropCause) -> Option<T> {
        self.stats.count_drop(cause);
        None
    }

    /// When [`tick`](Self::tick) has something to do.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.neighbors.deadline()
    }

    /// Repeats questions that nobody answered. Bounded by the neighbours being asked for.
    pub(crate) fn tick(&mut self) {
        while let Some(due) = self.neighbors.tick(self.now) {
            match due {
                Ok(request) => self.ask(request),
                Err(lost) => self.count_unresolved(lost),
            }
        }
    }

    /// Whether a packet to this address stays inside the stack.
    pub(crate) fn is_local(&self, destination: IpAddr) -> bool {
        self.routes.route(destination) == Route::Local
    }

    /// Whether there is any way to this address.
    pub(crate) fn has_route(&self, destination: IpAddr) -> bool {
        self.routes.route(destination) != Route::None || self.neighbors.is_known(destination)
    }

    /// Sends a packet of `len` bytes, written by `fill`.
    ///
    /// `token` is the device's, where the caller has one: then the packet is written straight
    /// into the device's buffer. Without one, or where the next hop is not known yet, it is
    /// written to a buffer of ours. `cache`: of whoever sends to this destination again and again.
    pub(crate) fn send<R>(
        &mut self,
        token: Option<impl TxToken>,
        meta: PacketMeta,
        (destination, cache): (IpAddr, Option<&mut HopCache>),
        len: usize,
        fill: impl FnOnce(&mut [u8]) -> R,
    ) -> R {
        let hop = self.hop(destination, cache);
        if let (Hop::Ethernet(mac), Some(mut token)) = (hop, token) {
            token.set_meta(meta);
            self.count_sent(len);
            let source = self.mac;
            return token.consume(ETHERNET_HEADER + len, |frame| {
                Header {
                    destination: mac,
                    source,
                    ethertype: ethertype_of(destination),
                }
                .write(frame);
                fill(&mut frame[ETHERNET_HEADER..])
            });
        }
        let framed = matches!(hop, Hop::Ethernet(_));
        let header = if framed { ETHERNET_HEADER } else { 0 };
        let (packet, result) = self.build(header, len, fill);
        if let Some(packet) = packet {
            // The queues do not keep how it is to be cut. It is repeated, as what a full wire lost.
            let cut = meta.segmentation_offload_size.is_some();
            let hop = if cut { Hop::None } else { hop };
            self.pass_on(hop, packet, ethertype_of(destination));
        }
        result
    }

    /// Takes a packet where it has to wait, with room for a header where that is for the device.
    fn pass_on(&mut self, hop: Hop, mut packet: Vec<u8>, ethertype: u16) {
        match hop {
            Hop::Ethernet(mac) => {
                Header {
                    destination: mac,
                    source: self.mac,
                    ethertype,
                }
                .write(&mut packet);
                self.push_outbox(packet);
            }
            Hop::Loopback => self.push_loopback(packet),
            Hop::Wait(next) => self.wait(next, packet),
            Hop::None => {
                self.recycle(packet);
                self.stats.count_drop(DropCause::NoRoute);
            }
        }
    }

    /// Queues a frame of the link's own.
    pub(crate) fn send_frame<R>(
        &mut self,
        to: EthernetAddress,
        ethertype: u16,
        len: usize,
        fill: impl FnOnce(&mut [u8]) -> R,
    ) -> R {
        let (frame, result) = self.build(ETHERNET_HEADER, len, fill);
        if let Some(frame) = frame {
            self.pass_on(Hop::Ethernet(to), frame, ethertype);
        }
        result
    }

    /// The oldest frame that waits for the device.
    pub(crate) fn pop_frame(&mut self) -> Option<Vec<u8>> {
        let frame = self.outbox.pop_front()?;
        self.count_sent(frame.len() - ETHERNET_HEADER);
        Some(frame)
    }

    pub(crate) fn has_frames(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// The oldest packet for ourselves.
    pub(crate) fn pop_loopback(&mut self) -> Option<Vec<u8>> {
        let packet = self.loopback.pop_front()?;
        self.stats.packets_looped += 1;
        Some(packet)
    }

    pub(crate) fn has_loopback(&self) -> bool {
        !self.loopback.is_empty()
    }

    /// Keeps a buffer for the next packet.
    pub(crate) fn recycle(&mut self, buffer: Vec<u8>) {
        self.buffers.recycle(buffer);
    }

    /// The next hop as Ethernet sees it. A host that told us its address is reached directly even
    /// where no prefix says that it is on the link: it just proved it, and a guest without a
    /// gateway could not answer it otherwise.
    fn hop(&mut self, destination: IpAddr, cache: Option<&mut HopCache>) -> Hop {
        let version = self.routes.version() + self.neighbors.version();
        if let Some(mac) = cache
            .as_ref()
            .and_then(|cache| cache.get(version, self.now))
        {
            return Hop::Ethernet(mac);
        }
        let next = match self.routes.route(destination) {
            Route::Local => return Hop::Loopback,
            Route::Broadcast => return Hop::Ethernet(EthernetAddress::BROADCAST),
            Route::Multicast => return Hop::Ethernet(multicast(destination)),
            Route::Neighbor(next) if next == destination => next,
            Route::Neighbor(_) if self.neighbors.is_known(destination) => destination,
            Route::Neighbor(gateway) => gateway,
            Route::None if self.neighbors.is_known(destination) => destination,
            Route::None => return Hop::None,
        };
        match self.neighbors.lookup(next, self.now) {
            Lookup::Known(mac) => {
                if let Some(cache) = cache {
                    cache.set(version, mac, self.neighbors.fresh_until(next));
                }
                Hop::Ethernet(mac)
            }
            Lookup::Stale(mac) => {
                self.ask((next, Some(mac)));
                Hop::Ethernet(mac)
            }
            Lookup::Unknown => Hop::Wait(next),
        }
    }

    fn wait(&mut self, next: IpAddr, packet: Vec<u8>) {
        match self.neighbors.wait(next, packet, self.now) {
            Waiting::Queued(lost) => self.count_unresolved(lost),
            Waiting::Ask => self.ask((next, None)),
            Waiting::Refused => self.count_unresolved(1),
        }
    }

    fn count_unresolved(&mut self, packets: usize) {
        for _ in 0..packets {
            self.stats.count_drop(DropCause::Unresolved);
        }
    }

    fn ask(&mut self, (address, to): Request) {
        match address {
            IpAddr::V4(address) => self.send_arp_request(address, to),
            IpAddr::V6(address) => self.send_neighbor_solicitation(address, to),
        }
    }

    /// Notes where a neighbour is; what waited for it goes out.
    fn learn(&mut self, address: IpAddr, mac: EthernetAddress, answer: bool) {
        let waiting = if answer {
            self.neighbors.learn_answer(address, mac, self.now)
        } else {
            self.neighbors.learn(address, mac, self.now)
        };
        for packet in waiting {
            let ethertype = ethertype_of(address);
            self.send_frame(mac, ethertype, packet.len(), |buffer| {
                buffer.copy_from_slice(&packet);
            });
            self.recycle(packet);
        }
    }

    fn push_outbox(&mut self, frame: Vec<u8>) {
        if self.outbox.len() < MAX_OUTBOX && self.outbox.try_reserve(1).is_ok() {
            self.outbox.push_back(frame);
        } else {
            self.stats.count_drop(DropCause::QueueFull);
            self.recycle(frame);
        }
    }

    fn push_loopback(&mut self, packet: Vec<u8>) {
        if self.loopback.len() < MAX_LOOPBACK && self.loopback.try_reserve(1).is_ok() {
            self.loopback.push_back(packet);
        } else {
            self.stats.count_drop(DropCause::QueueFull);
            self.recycle(packet);
        }
    }

    /// Room for `header` bytes, and behind it what `fill` writes. `None`: dropped, and counted.
    fn build<R>(
        &mut self,
        header: usize,
        len: usize,
        fill: impl FnOnce(&mut [u8]) -> R,
    ) -> (Option<Vec<u8>>, R) {
        let mut buffer = self.buffers.take(header + len);
        let result = fill(&mut buffer.bytes[header..]);
        let packet = self.buffers.written(buffer);
        if packet.is_none() {
            self.stats.count_drop(DropCause::QueueFull);
        }
        (packet, result)
    }

    fn count_sent(&mut self, len: usize) {
        self.stats.frames_sent += 1;
        self.stats.bytes_sent += (ETHERNET_HEADER + len) as u64;
    }
}

fn ethertype_of(address: IpAddr) -> u16 {
    match address {
        IpAddr::V4(_) => ethertype::IPV4,
        IpAddr::V6(_) => ethertype::IPV6,
    }
}

/// The group's Ethernet address (RFC 1112 §6.4, RFC 2464 §7).
fn multicast(group: IpAddr) -> EthernetAddress {
    match group {
        IpAddr::V4(group) => {
            let [_, b, c, d] = group.octets();
            EthernetAddress([0x01, 0x00, 0x5e, b & 0x7f, c, d])
        }
        IpAddr::V6(group) => {
            let octets = group.octets();
            EthernetAddress([0x33, 0x33, octets[12], octets[13], octets[14], octets[15]])
        }
    }
}
