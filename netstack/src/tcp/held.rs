//! A stream's hold on its connection: what streams and their halves are made of.
//!
//! A call changes the socket's buffer, marks the connection and tells the Runner. Nothing here sees
//! a packet.

use core::future::poll_fn;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::task::{Context, Poll, ready};
use reactor::readiness::{Interest, Readiness};
use smoltcp::socket::tcp::{RecvError, SendError, Socket, State};

use super::connection::{Connection, End, Options, Role};
use super::flow::Flow;
use crate::config::is_host;
use crate::engine::Engine;
use crate::error::{ConnectError, StreamError};
use crate::interfaces::Path;
use crate::stack::Stack;
use crate::stats::DropCause;

/// A stream's place in the table. Its drop lets go of the connection.
pub(super) struct Held {
    pub(super) stack: Stack,
    pub(super) key: usize,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.stack.engine_now().release(self.key);
    }
}

impl Held {
    pub(super) fn with<R>(&self, change: impl FnOnce(&mut Connection) -> R) -> R {
        change(&mut self.stack.engine().tcp.connections[self.key])
    }

    pub(super) fn flow(&self) -> Flow {
        self.with(|connection| connection.flow)
    }

    /// Has the Runner look at the connection.
    pub(super) fn mark(&self) {
        let mut engine = self.stack.engine();
        engine.tcp.mark(self.key);
        engine.notify();
    }

    pub(super) fn poll_connected(&self, cx: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        self.with(|connection| {
            if connection.is_established() {
                return Poll::Ready(Ok(()));
            }
            match (connection.end, connection.state()) {
                (Some(End::Refused), _) => Poll::Ready(Err(ConnectError::Refused)),
                (Some(End::TimedOut), _) => Poll::Ready(Err(ConnectError::TimedOut)),
                (Some(End::Reset), _) => Poll::Ready(Err(ConnectError::Refused)),
                (Some(End::Aborted), _) | (None, State::Closed) => {
                    Poll::Ready(Err(ConnectError::Unreachable))
                }
                (None, _) => {
                    connection.writers.register(cx.waker());
                    Poll::Pending
                }
            }
        })
    }

    // Futures without a state of their own: each layer of `async` costs a dozen instructions a poll.

    pub(super) fn read(
        &self,
        buffer: &mut [u8],
    ) -> impl Future<Output = Result<usize, StreamError>> {
        poll_fn(move |cx| self.poll_read(cx, buffer))
    }

    pub(super) fn write(&self, bytes: &[u8]) -> impl Future<Output = Result<usize, StreamError>> {
        poll_fn(move |cx| self.poll_write(cx, bytes))
    }

    pub(super) fn write_all(
        &self,
        mut bytes: &[u8],
    ) -> impl Future<Output = Result<(), StreamError>> {
        poll_fn(move |cx| {
            while !bytes.is_empty() {
                let written = ready!(self.poll_write(cx, bytes))?;
                bytes = &bytes[written..];
            }
            Poll::Ready(Ok(()))
        })
    }

    pub(super) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<Result<usize, StreamError>> {
        if buffer.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let mut engine = self.stack.engine();
        let connection = &mut engine.tcp.connections[self.key];
        let socket = connection.socket_mut();
        let (waiting, capacity) = (socket.recv_queue(), socket.recv_capacity());
        if waiting == 0 && socket.may_recv() {
            connection.readers.register(cx.waker());
            return Poll::Pending;
        }
        match receive(socket, buffer) {
            Ok(read) => {
                // The peer may have to hear of the room, but not while it had plenty.
                if waiting * 4 >= capacity {
                    engine.mark_if_due(self.key);
                }
                Poll::Ready(Ok(read))
            }
            Err(RecvError::Finished) => Poll::Ready(Ok(0)),
            Err(RecvError::InvalidState) => Poll::Ready(connection.error().map_or(Ok(0), Err)),
        }
    }

    pub(super) fn poll_write(
        &self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize, StreamError>> {
        let mut engine = self.stack.engine();
        let connection = &mut engine.tcp.connections[self.key];
        match send(connection.socket_mut(), bytes) {
            Ok(0) if bytes.is_empty() => Poll::Ready(Ok(0)),
            Ok(0) => {
                connection.writers.register(cx.waker());
                Poll::Pending
            }
            Ok(written) => {
                engine.tcp.mark(self.key);
                engine.notify();
                Poll::Ready(Ok(written))
            }
            Err(_) => Poll::Ready(Err(connection.error().unwrap_or(StreamError::Closed))),
        }
    }

    pub(super) fn shutdown(&self) -> Result<(), StreamError> {
        let now = self.stack.clock().now();
        let error = self.with(|connection| {
            connection.close(now);
            connection.error()
        });
        self.mark();
        error.map_or(Ok(()), Err)
    }
}

/// As smoltcp's `recv_slice`, with a second copy only where the ring's contents wrap.
fn receive(socket: &mut Socket<'_>, buffer: &mut [u8]) -> Result<usize, RecvError> {
    let take = |buffer: &mut [u8], waiting: &mut [u8]| {
        let len = waiting.len().min(buffer.len());
        buffer[..len].copy_from_slice(&waiting[..len]);
        (len, len)
    };
    let read = socket.recv(|waiting| take(buffer, waiting))?;
    if read == buffer.len() || !socket.can_recv() {
        return Ok(read);
    }
    Ok(read + socket.recv(|waiting| take(&mut buffer[read..], waiting))?)
}

/// As smoltcp's `send_slice`, likewise.
fn send(socket: &mut Socket<'_>, bytes: &[u8]) -> Result<usize, SendError> {
    let put = |bytes: &[u8], room: &mut [u8]| {
        let len = room.len().min(bytes.len());
        room[..len].copy_from_slice(&bytes[..len]);
        (len, len)
    };
    let written = socket.send(|room| put(bytes, room))?;
    if written == bytes.len() || !socket.can_send() {
        return Ok(written);
    }
    Ok(written + socket.send(|room| put(&bytes[written..], room))?)
}

impl Connection {
    pub(super) fn error(&self) -> Option<StreamError> {
        self.end.map(|end| match end {
            End::Refused | End::Reset => StreamError::Reset,
            End::TimedOut => StreamError::TimedOut,
            End::Aborted => StreamError::Aborted,
        })
    }

    pub(super) fn poll_readiness(&mut self, interest: Interest, cx: &mut Context<'_>) -> Readiness {
        let mut ready = Readiness::EMPTY;
        let socket = self.socket();
        if socket.can_recv() || !socket.may_recv() {
            ready |= Readiness::READABLE;
        }
        if socket.can_send() || !socket.may_send() {
            ready |= Readiness::WRITABLE;
        }
        if !socket.may_recv() && !socket.may_send() {
            ready |= Readiness::HANGUP;
        }
        if self.end.is_some() {
            ready |= Readiness::ERROR;
        }
        if !ready.answers(interest) {
            if interest.contains(Interest::READABLE) {
                self.readers.register(cx.waker());
            }
            if interest.contains(Interest::WRITABLE) {
                self.writers.register(cx.waker());
            }
        }
        ready
    }
}

/// What streams ask of the engine.
impl Engine {
    /// From `local`, whose address or port, or both, may be unspecified; a port is the caller's.
    pub(super) fn connect(
        &mut self,
        local: SocketAddr,
        peer: SocketAddr,
        options: Options,
    ) -> Result<usize, ConnectError> {
        let remote = SocketAddr::new(peer.ip(), peer.port());
        let loopback = remote.ip().is_loopback();
        if remote.port() == 0 || !(is_host(remote.ip()) || loopback) {
            return Err(ConnectError::InvalidAddress);
        }
        let source = self.source_for(local.ip(), remote.ip());
        let source = source.ok_or(ConnectError::Unreachable)?;
        let own = self.link.is_local(remote.ip());
        let Some(options) = self.tcp.admit(options, own) else {
            return Err(self.no_memory());
        };
        let (random, seed) = (self.random(), self.random());
        let port = match local.port() {
            0 => self.tcp.free_port(source, remote, random),
            port => Some(port),
        };
        let flow = Flow {
            local: SocketAddr::new(source, port.ok_or(ConnectError::NoPort)?),
            remote,
        };
        if self.tcp.is_known(&flow) {
            return Err(ConnectError::InUse);
        }
        let Some(socket) = self.tcp.socket(options) else {
            return Err(self.no_memory());
        };
        let mut connection = Connection::new(flow, Path::new(own), Role::Stream, socket);
        connection.set_handshake_timeout(self.config.timeouts.connect);
        connection.set_unacknowledged_timeout(self.config.timeouts.unacknowledged);
        let interface = self.reseed(connection.path, seed);
        let socket = connection.socket_mut();
        socket
            .connect(interface.context(), flow.remote, flow.local)
            .map_err(|_| ConnectError::InvalidAddress)?;
        let key = self.tcp.insert(connection);
        self.link.stats.connected += 1;
        self.tcp.mark(key);
        self.notify();
        Ok(key)
    }

    /// The address of ours to reach a peer from; `local` if that is one.
    fn source_for(&self, local: IpAddr, remote: IpAddr) -> Option<IpAddr> {
        if !self.link.has_route(remote) {
            return None;
        }
        let source = self.link.routes.source_for(remote)?;
        let family = local.is_ipv4() == source.is_ipv4();
        match local {
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Some(source),
            _ if !family => None,
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Some(source),
            local => self.link.routes.is_own(local).then_some(local),
        }
    }

    fn no_memory(&mut self) -> ConnectError {
        self.link.stats.count_drop(DropCause::ConnectionLimit);
        ConnectError::OutOfMemory
    }

    /// Lets go of a connection whose stream was dropped: it closes in the background.
    pub(super) fn release(&mut self, key: usize) {
        let now = self.link.now;
        let connection = &mut self.tcp.connections[key];
        let unread = connection.socket().can_recv();
        let too_many = self.tcp.orphans >= self.config.limits.orphans;
        if connection.state() == State::Closed {
            // It was reset or timed out; nothing is left to say, or a reset waits to be sent.
        } else if unread || too_many {
            connection.abort();
            self.link.stats.resets_sent += 1;
        } else {
            connection.close(now);
        }
        self.orphan(key);
        self.notify();
    }

    pub(super) fn orphan(&mut self, key: usize) {
        let linger = self.config.timeouts.linger;
        let until = self.tcp.connections[key].give_up_at(self.link.now, linger);
        self.tcp.set_role(key, Role::Orphan(until));
        self.tcp.mark(key);
    }

    /// Has the Runner look at a connection if it has something to send.
    fn mark_if_due(&mut self, key: usize) {
        let now = self.link.now;
        let connection = &self.tcp.connections[key];
        let deadline = connection.poll_at(self.interfaces.on(connection.path), now);
        if deadline.is_some_and(|at| at <= now) {
            self.tcp.mark(key);
            self.notify();
        }
    }
}
