//! What the workload holds: a UDP socket.

use alloc::vec::Vec;
use core::future::poll_fn;
use core::net::{IpAddr, SocketAddr};
use core::task::{Context, Poll};
use reactor::readiness::{Interest, Pollable, Readiness};
use smoltcp::wire::{IPV4_HEADER_LEN, IPV6_HEADER_LEN, UDP_HEADER_LEN};

use super::{Socket, queue, queue_bytes};
use crate::address::BindAddress;
use crate::device::LOOPBACK_MTU;
use crate::engine::Engine;
use crate::error::{BindError, SendError};
use crate::stack::Stack;
use policy::network::{Access, Protocol};
use reactor::sync::Wakers;

/// The queues of a UDP socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpOptions {
    /// Datagrams each queue holds, at least 1.
    pub packets: usize,
    /// Bytes each queue holds, at least 1.
    pub bytes: usize,
}

/// 32 datagrams and 16 KiB each way.
impl Default for UdpOptions {
    fn default() -> UdpOptions {
        UdpOptions {
            packets: 32,
            bytes: 16 * 1024,
        }
    }
}

/// A UDP socket. Dropping it frees the port; what it queued and did not send yet is lost.
pub struct UdpSocket {
    stack: Stack,
    key: usize,
    /// It may talk with anybody, not only to those whom the policy lets it connect to.
    listens: bool,
}

impl UdpSocket {
    /// Binds a port, or an address and a port. Port 0 takes a free ephemeral one; the unspecified
    /// address, or a port alone, means every address of either family.
    pub fn bind(stack: &Stack, address: impl Into<BindAddress>) -> Result<UdpSocket, BindError> {
        UdpSocket::bind_with(stack, address, UdpOptions::default())
    }

    /// Hears from `peer` only, from now on; what others have sent and nobody has received is dropped. Whom to send to is
    /// still said each time. May be called again for another peer.
    ///
    /// # Errors
    /// As [`send_to`](Self::send_to); nothing has changed then.
    pub fn connect(&self, peer: SocketAddr) -> Result<(), SendError> {
        self.check_peer(peer)?;
        let mut engine = self.stack.engine();
        engine.check_datagram(self.key, 0, peer)?;
        engine.udp.sockets[self.key].connect(peer);
        Ok(())
    }

    /// As [`bind`](Self::bind) with queues of other sizes.
    pub fn bind_with(
        stack: &Stack,
        address: impl Into<BindAddress>,
        options: UdpOptions,
    ) -> Result<UdpSocket, BindError> {
        let address = address.into();
        let listens = stack.allows(Access::Listen(Protocol::Udp, address.port));
        let connects = address.port == 0 && stack.allows(Access::ConnectSomewhere(Protocol::Udp));
        if !listens && !connects {
            return Err(BindError::Forbidden);
        }
        let key = stack.engine().bind_udp(address, options)?;
        Ok(UdpSocket {
            stack: stack.clone(),
            key,
            listens,
        })
    }

    fn check_peer(&self, peer: SocketAddr) -> Result<(), SendError> {
        if self.listens || self.stack.allows(Access::Connect(Protocol::Udp, peer)) {
            Ok(())
        } else {
            Err(SendError::Forbidden)
        }
    }

    /// Sends a datagram to `peer`, which may be a broadcast or multicast address. Waits while the
    /// queue is full; a datagram that the network drops is not noticed.
    pub async fn send_to(&self, bytes: &[u8], peer: SocketAddr) -> Result<(), SendError> {
        poll_fn(|cx| self.poll_send_to(cx, bytes, peer)).await
    }

    /// Waits for a datagram. What does not fit the buffer is lost, as everywhere with UDP.
    pub async fn recv_from(&self, buffer: &mut [u8]) -> (usize, SocketAddr) {
        poll_fn(|cx| self.poll_recv_from(cx, buffer)).await
    }

    /// The next datagram, if there is one.
    pub fn try_recv_from(&self, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
        let mut engine = self.stack.engine();
        let (peer, payload) = engine.udp.sockets[self.key].received.dequeue().ok()?;
        let len = payload.len().min(buffer.len());
        buffer[..len].copy_from_slice(&payload[..len]);
        Some((len, peer))
    }

    /// As [`recv_from`](Self::recv_from), for futures written by hand.
    pub fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<(usize, SocketAddr)> {
        if let Some(received) = self.try_recv_from(buffer) {
            return Poll::Ready(received);
        }
        self.stack.engine().udp.sockets[self.key]
            .readers
            .register(cx.waker());
        Poll::Pending
    }

    /// As [`send_to`](Self::send_to), for futures written by hand.
    pub fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        peer: SocketAddr,
    ) -> Poll<Result<(), SendError>> {
        self.check_peer(peer)?;
        let mut engine = self.stack.engine();
        if let Err(error) = engine.check_datagram(self.key, bytes.len(), peer) {
            return Poll::Ready(Err(error));
        }
        let socket = &mut engine.udp.sockets[self.key];
        match socket.to_send.enqueue(bytes.len(), peer) {
            Ok(buffer) => {
                buffer.copy_from_slice(bytes);
                engine.udp.mark(self.key);
                engine.notify();
                Poll::Ready(Ok(()))
            }
            Err(_) => {
                socket.writers.register(cx.waker());
                Poll::Pending
            }
        }
    }

    /// The address bound to; unspecified where it is every address.
    pub fn local_addr(&self) -> SocketAddr {
        let engine = self.stack.engine();
        let socket = &engine.udp.sockets[self.key];
        BindAddress {
            address: socket.address,
            port: socket.port,
        }
        .unspecified(socket.port)
    }
}

impl Drop for UdpSocket {
    fn drop(&mut self) {
        self.stack.engine().udp.remove(self.key);
    }
}

impl Pollable for UdpSocket {
    fn poll_readiness(&self, interest: Interest, cx: &mut Context<'_>) -> Readiness {
        let mut engine = self.stack.engine();
        let socket = &mut engine.udp.sockets[self.key];
        let mut ready = Readiness::EMPTY;
        // A ring that wrapped may hold nothing but padding, which `is_empty` does not see.
        if socket.received.peek().is_ok() {
            ready |= Readiness::READABLE;
        }
        if !socket.to_send.is_full() {
            ready |= Readiness::WRITABLE;
        }
        if !ready.answers(interest) {
            if interest.contains(Interest::READABLE) {
                socket.readers.register(cx.waker());
            }
            if interest.contains(Interest::WRITABLE) {
                socket.writers.register(cx.waker());
            }
        }
        ready
    }
}

impl Socket {
    fn connect(&mut self, peer: SocketAddr) {
        self.peer = Some(peer);
        let mut kept = Vec::new();
        while let Ok((from, bytes)) = self.received.dequeue() {
            if from == peer {
                kept.push(Vec::from(bytes));
            }
        }
        for bytes in kept {
            if let Ok(room) = self.received.enqueue(bytes.len(), peer) {
                room.copy_from_slice(&bytes);
            }
        }
    }
}

impl Engine {
    fn bind_udp(&mut self, wanted: BindAddress, options: UdpOptions) -> Result<usize, BindError> {
        if self.udp.sockets.len() >= self.config.limits.udp_sockets {
            return Err(BindError::OutOfMemory);
        }
        if wanted
            .single()
            .is_some_and(|address| !self.link.routes.is_own(address))
        {
            return Err(BindError::NotOurs);
        }
        let port = match wanted.port {
            0 => self.free_udp_port().ok_or(BindError::NoPort)?,
            port if self.udp.ports.bound_to(wanted.address, port).is_some() => {
                return Err(BindError::InUse);
            }
            port => port,
        };
        let (packets, bytes) = (options.packets.max(1), options.bytes.max(1));
        let both = queue_bytes(packets, bytes).saturating_mul(2);
        if self.udp.bytes.saturating_add(both) > self.config.limits.udp_bytes {
            return Err(BindError::OutOfMemory);
        }
        let queue = || queue(packets, bytes);
        Ok(self.udp.insert(Socket {
            address: wanted.address,
            port,
            peer: None,
            received: queue().ok_or(BindError::OutOfMemory)?,
            to_send: queue().ok_or(BindError::OutOfMemory)?,
            readers: Wakers::default(),
            writers: Wakers::default(),
            queued: false,
        }))
    }

    fn free_udp_port(&mut self) -> Option<u16> {
        let first = self.random();
        crate::tcp::ephemeral_ports(first).find(|port| !self.udp.ports.is_used(*port))
    }

    fn check_datagram(&self, key: usize, len: usize, peer: SocketAddr) -> Result<(), SendError> {
        let socket = &self.udp.sockets[key];
        if peer.port() == 0 || peer.ip().is_unspecified() {
            return Err(SendError::InvalidAddress);
        }
        let family = |address: IpAddr| address.is_ipv4() == peer.is_ipv4();
        let source = socket
            .source()
            .or_else(|| self.link.routes.source_for(peer.ip()))
            .filter(|_| socket.address.is_none_or(family));
        if !source.is_some_and(family) || !self.link.has_route(peer.ip()) {
            return Err(SendError::Unreachable);
        }
        let local = self.link.is_local(peer.ip());
        let mtu = if local { LOOPBACK_MTU } else { self.link.mtu };
        let headers = if peer.is_ipv4() {
            IPV4_HEADER_LEN
        } else {
            IPV6_HEADER_LEN
        };
        let most = mtu.saturating_sub(headers + UDP_HEADER_LEN);
        if len > most.min(socket.to_send.payload_capacity()) {
            return Err(SendError::TooLarge);
        }
        Ok(())
    }
}
