//! UDP: sockets with bounded queues.
//!
//! Datagrams are written to and from rings of the socket's own, so none allocates. A full receive
//! queue drops what comes, counted; a full send queue makes the sender wait.

mod socket;

pub use socket::{UdpOptions, UdpSocket};

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use smoltcp::phy::{ChecksumCapabilities, Device, PacketMeta, TxToken};
use smoltcp::storage::{PacketBuffer, PacketMetadata};
use smoltcp::wire::{IpAddress, IpProtocol, IpRepr, UDP_HEADER_LEN, UdpPacket, UdpRepr};

use crate::address::BindAddress;
use crate::convert::to_smoltcp;
use crate::device::NoToken;
use crate::dhcp;
use crate::engine::Engine;
use crate::link::Link;
use crate::packet::IpHead;
use crate::ports::Ports;
use crate::slots::Slots;
use crate::stats::DropCause;
use reactor::sync::Wakers;

/// Datagrams that one socket sends before the next one has its turn.
const BURST: usize = 16;
const HOP_LIMIT: u8 = 64;

type Queue = PacketBuffer<'static, SocketAddr>;

/// A bound socket.
#[derive(Debug)]
pub(crate) struct Socket {
    address: Option<IpAddr>,
    port: u16,
    /// Who alone is heard, if it is one peer.
    peer: Option<SocketAddr>,
    /// With the sender's address.
    received: Queue,
    /// With the receiver's address.
    to_send: Queue,
    readers: Wakers,
    writers: Wakers,
    queued: bool,
}

impl Socket {
    /// The one address of ours that it is bound to, if it is.
    fn source(&self) -> Option<IpAddr> {
        let (address, port) = (self.address, self.port);
        BindAddress { address, port }.single()
    }

    fn hears(&self, from: SocketAddr) -> bool {
        self.peer.is_none_or(|peer| peer == from)
    }

    /// Of both queues.
    fn bytes(&self) -> usize {
        queue_bytes(
            self.received.packet_capacity(),
            self.received.payload_capacity(),
        ) + queue_bytes(
            self.to_send.packet_capacity(),
            self.to_send.payload_capacity(),
        )
    }
}

/// What a queue takes.
fn queue_bytes(packets: usize, bytes: usize) -> usize {
    packets
        .saturating_mul(size_of::<PacketMetadata<SocketAddr>>())
        .saturating_add(bytes)
}

/// All UDP state of a stack.
#[derive(Debug)]
pub(crate) struct Table {
    sockets: Slots<Socket>,
    ports: Ports,
    dirty: VecDeque<usize>,
    /// What the queues of all sockets take.
    bytes: usize,
}

/// What came of letting a socket send.
enum Sent {
    Done,
    More,
    Full,
}

impl Table {
    pub(crate) fn new() -> Table {
        Table {
            sockets: Slots::new(),
            ports: Ports::default(),
            dirty: VecDeque::new(),
            bytes: 0,
        }
    }

    pub(crate) fn has_marked(&self) -> bool {
        !self.dirty.is_empty()
    }

    fn insert(&mut self, socket: Socket) -> usize {
        let (address, port) = (socket.address, socket.port);
        self.bytes += socket.bytes();
        let key = self.sockets.insert(socket);
        self.ports.insert(BindAddress { address, port }, key);
        key
    }

    fn remove(&mut self, key: usize) {
        if let Some(socket) = self.sockets.remove(key) {
            self.bytes -= socket.bytes();
            self.ports.remove(key);
        }
    }

    fn mark(&mut self, key: usize) {
        if !core::mem::replace(&mut self.sockets[key].queued, true) {
            self.dirty.push_back(key);
        }
    }

    fn pop_marked(&mut self) -> Option<usize> {
        while let Some(key) = self.dirty.pop_front() {
            if let Some(socket) = self.sockets.get_mut(key) {
                socket.queued = false;
                return Some(key);
            }
        }
        None
    }
}

/// `None` where there is no memory for it.
fn queue(packets: usize, bytes: usize) -> Option<Queue> {
    Some(PacketBuffer::new(
        filled(packets, PacketMetadata::EMPTY)?,
        filled(bytes, 0)?,
    ))
}

fn filled<T: Clone>(len: usize, value: T) -> Option<Vec<T>> {
    let mut all = Vec::new();
    all.try_reserve_exact(len).ok()?;
    all.resize(len, value);
    Some(all)
}

impl Engine {
    /// Delivers a UDP packet.
    pub(crate) fn receive_udp<T: TxToken>(
        &mut self,
        head: &IpHead<'_>,
        packet: &[u8],
        token: Option<T>,
        local: bool,
    ) {
        let Some((source, destination)) = head.ports() else {
            return self.link.stats.count_drop(DropCause::UdpMalformed);
        };
        if !local && (source, destination) == (dhcp::SERVER_PORT, dhcp::CLIENT_PORT) {
            if let Some(payload) = payload(head, &self.link.checksums) {
                self.receive_dhcp(payload);
            }
            return;
        }
        let to = head.destination;
        let routes = &self.link.routes;
        if !(routes.is_own(to) || routes.is_broadcast(to) || to.is_multicast()) {
            return self.link.stats.count_drop(DropCause::OtherAddress);
        }
        let from = SocketAddr::new(head.source, source);
        let bound = self.udp.ports.find(to, destination);
        let Some(key) = bound.filter(|key| self.udp.sockets[*key].hears(from)) else {
            return self.receive_stray(head, packet, token, local);
        };
        let ignored = ChecksumCapabilities::ignored();
        let checksums = if local {
            &ignored
        } else {
            &self.link.checksums
        };
        let Some(payload) = payload(head, checksums) else {
            return self.link.stats.count_drop(DropCause::UdpMalformed);
        };
        let socket = &mut self.udp.sockets[key];
        match socket.received.enqueue(payload.len(), from) {
            Ok(buffer) => {
                buffer.copy_from_slice(payload);
                self.link.stats.datagrams_received += 1;
                socket.readers.wake_all();
            }
            Err(_) => self.link.stats.count_drop(DropCause::UdpQueueFull),
        }
    }

    /// Sends what sockets queued; false where the device has no room.
    pub(crate) fn send_udp<D: Device>(&mut self, device: &mut D, mut budget: usize) -> bool {
        while budget > 0 {
            let Some(key) = self.udp.pop_marked() else {
                return true;
            };
            let sent = self.send_datagrams(key, device, &mut budget);
            self.udp.sockets[key].writers.wake_all();
            match sent {
                Sent::Done => {}
                Sent::More => self.udp.mark(key),
                Sent::Full => {
                    self.udp.sockets[key].queued = true;
                    self.udp.dirty.push_front(key);
                    return false;
                }
            }
        }
        true
    }

    fn send_datagrams<D: Device>(
        &mut self,
        key: usize,
        device: &mut D,
        budget: &mut usize,
    ) -> Sent {
        let socket = &mut self.udp.sockets[key];
        for _ in 0..BURST.min(*budget) {
            *budget -= 1;
            let Ok((peer, _)) = socket.to_send.peek() else {
                return Sent::Done;
            };
            let local = self.link.is_local(peer.ip());
            let token = if local {
                None
            } else {
                device.transmit(to_smoltcp(self.link.now))
            };
            if token.is_none() && !local {
                return Sent::Full;
            }
            let from = (socket.source(), socket.port);
            let Ok((peer, payload)) = socket.to_send.dequeue() else {
                return Sent::Done;
            };
            send_datagram(&mut self.link, token, from, peer, payload);
        }
        Sent::More
    }
}

/// Checks a datagram and gives its payload.
fn payload<'p>(head: &IpHead<'p>, checksums: &ChecksumCapabilities) -> Option<&'p [u8]> {
    let datagram = UdpPacket::new_checked(head.payload).ok()?;
    let (from, to) = (
        IpAddress::from(head.source),
        IpAddress::from(head.destination),
    );
    UdpRepr::parse(&datagram, &from, &to, checksums).ok()?;
    Some(datagram.payload())
}

/// Sends one datagram, through the device's buffer where there is a token.
pub(crate) fn send_datagram(
    link: &mut Link,
    token: Option<impl TxToken>,
    (address, port): (Option<IpAddr>, u16),
    peer: SocketAddr,
    payload: &[u8],
) {
    let Some(source) = address.or_else(|| link.routes.source_for(peer.ip())) else {
        return link.stats.count_drop(DropCause::NoRoute);
    };
    let (from, to) = (IpAddress::from(source), IpAddress::from(peer.ip()));
    let repr = UdpRepr {
        src_port: port,
        dst_port: peer.port(),
    };
    let ip = IpRepr::new(
        from,
        to,
        IpProtocol::Udp,
        UDP_HEADER_LEN + payload.len(),
        HOP_LIMIT,
    );
    let checksums = link.checksums.clone();
    link.stats.datagrams_sent += 1;
    link.send(
        token,
        PacketMeta::default(),
        (peer.ip(), None),
        ip.buffer_len(),
        |buffer| {
            ip.emit(&mut *buffer, &checksums);
            let mut datagram = UdpPacket::new_unchecked(&mut buffer[ip.header_len()..]);
            let fill = |to: &mut [u8]| to.copy_from_slice(payload);
            repr.emit(&mut datagram, &from, &to, payload.len(), fill, &checksums);
        },
    );
}

/// For datagrams that no device buffer waits for.
pub(crate) const NO_TOKEN: Option<NoToken> = None;
