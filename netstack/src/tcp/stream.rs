//! What the workload holds: listeners and streams.
//!
//! They are keys into the engine's table with the futures on top. Nothing here sees a packet:
//! a call changes a socket's buffer, marks the connection and tells the Runner.

use alloc::collections::VecDeque;
use alloc::rc::Rc;
use core::future::poll_fn;
use core::net::{IpAddr, SocketAddr};
use core::task::{Context, Poll};
use core::time::Duration;
use reactor::readiness::{Interest, Pollable, Readiness};
use smoltcp::socket::tcp::{RecvError, State};

use super::connection::{Connection, End, Options, Role};
use super::flow::Flow;
use super::half::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
use super::listener::Listener;
use crate::address::BindAddress;
use crate::config::is_host;
use crate::engine::Engine;
use crate::error::{BindError, ConnectError, StreamError};
use crate::stack::Stack;
use crate::wakers::Wakers;

/// Sockets that listen at one time.
const MAX_LISTENERS: usize = 1024;

/// How a listener treats the connections it accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenOptions {
    /// Connections that may wait: handshakes under way and established ones that nobody has
    /// accepted yet, together. Beyond it SYNs are dropped, and the peers repeat them.
    pub backlog: usize,
    /// Bytes of receive buffer for each connection, 1 to 2^30; the largest window it can have.
    pub receive_buffer: usize,
    /// Bytes of send buffer for each connection, at least 1.
    pub send_buffer: usize,
}

/// 128 waiting connections and 16 KiB each way.
impl Default for ListenOptions {
    fn default() -> ListenOptions {
        ListenOptions {
            backlog: 128,
            receive_buffer: 16 * 1024,
            send_buffer: 16 * 1024,
        }
    }
}

impl ListenOptions {
    fn options(&self) -> Options {
        Options {
            receive_buffer: self.receive_buffer.clamp(1, 1 << 30),
            send_buffer: self.send_buffer.max(1),
        }
    }
}

/// A TCP port that accepts connections.
///
/// Connections come into being when their SYN arrives, so a listener with a backlog of a thousand
/// costs no buffers. Dropping it resets the connections that nobody accepted.
pub struct TcpListener {
    stack: Stack,
    key: usize,
    local: SocketAddr,
}

impl TcpListener {
    /// Listens on a port, or on an address and a port. Port 0 takes a free ephemeral one; the
    /// unspecified address, or a port alone, means every address of either family.
    pub fn bind(
        stack: &Stack,
        address: impl Into<BindAddress>,
        options: ListenOptions,
    ) -> Result<TcpListener, BindError> {
        let mut engine = stack.engine();
        let (key, local) = engine.listen(address.into(), options)?;
        drop(engine);
        Ok(TcpListener {
            stack: stack.clone(),
            key,
            local,
        })
    }

    /// Waits for the next connection. Several tasks may wait; each connection goes to one of them.
    /// Dropping the future loses nothing.
    pub async fn accept(&self) -> (TcpStream, SocketAddr) {
        poll_fn(|cx| self.poll_accept(cx)).await
    }

    /// The next connection that waits, if any.
    pub fn try_accept(&self) -> Option<(TcpStream, SocketAddr)> {
        let mut engine = self.stack.engine();
        let key = engine.tcp.listeners[self.key].ready.pop_front()?;
        engine.tcp.set_role(key, Role::Stream);
        let peer = engine.tcp.connections[key].flow.remote;
        drop(engine);
        Some((TcpStream::new(self.stack.clone(), key), peer))
    }

    /// As [`accept`](Self::accept), for futures written by hand.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<(TcpStream, SocketAddr)> {
        if let Some(accepted) = self.try_accept() {
            return Poll::Ready(accepted);
        }
        self.stack.engine().tcp.listeners[self.key]
            .wakers
            .register(cx.waker());
        Poll::Pending
    }

    /// The address listened on; unspecified where it is every address.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }
}

impl Drop for TcpListener {
    fn drop(&mut self) {
        self.stack.engine_now().close_listener(self.key);
    }
}

impl Pollable for TcpListener {
    fn poll_readiness(&self, _: Interest, cx: &mut Context<'_>) -> Readiness {
        let mut engine = self.stack.engine();
        let listener = &mut engine.tcp.listeners[self.key];
        if listener.ready.is_empty() {
            listener.wakers.register(cx.waker());
            Readiness::EMPTY
        } else {
            Readiness::READABLE
        }
    }
}

/// A TCP connection.
///
/// Reads and writes are futures that may be dropped at any time without losing data. Dropping the
/// stream closes it as Linux does: what was written is still delivered and a FIN follows, in the
/// background ([`Timeouts::linger`](crate::Timeouts)); where data from the peer is
/// unread, the connection is reset instead.
pub struct TcpStream {
    held: Rc<Held>,
}

/// A stream's place in the table. Its drop lets go of the connection.
pub(super) struct Held {
    stack: Stack,
    key: usize,
}

impl TcpStream {
    fn new(stack: Stack, key: usize) -> TcpStream {
        TcpStream {
            held: Rc::new(Held { stack, key }),
        }
    }

    /// Connects from a free ephemeral port, with the buffers of `ListenOptions::default()`.
    ///
    /// Dropping the future gives the attempt up.
    pub async fn connect(stack: &Stack, peer: SocketAddr) -> Result<TcpStream, ConnectError> {
        TcpStream::connect_with(stack, peer, ListenOptions::default()).await
    }

    /// As [`connect`](Self::connect) with other buffers; the backlog does not matter.
    pub async fn connect_with(
        stack: &Stack,
        peer: SocketAddr,
        options: ListenOptions,
    ) -> Result<TcpStream, ConnectError> {
        let key = stack.engine_now().connect(peer, options.options())?;
        let stream = TcpStream::new(stack.clone(), key);
        poll_fn(|cx| stream.held.poll_connected(cx)).await?;
        Ok(stream)
    }

    /// Reads what has arrived, at least one byte; 0 at the end, or for an empty buffer.
    pub async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, StreamError> {
        self.held.read(buffer).await
    }

    /// Writes what fits the send buffer, at least one byte. It goes out in this turn of the
    /// reactor, together with what else is written before the Runner runs.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<usize, StreamError> {
        self.held.write(bytes).await
    }

    /// Writes everything. Where the future is dropped, a part may have been written.
    pub async fn write_all(&mut self, bytes: &[u8]) -> Result<(), StreamError> {
        self.held.write_all(bytes).await
    }

    /// Does not wait: nothing is held back above the stack, and the stack sends on its own. It is
    /// here for code that must flush other writers.
    pub async fn flush(&mut self) -> Result<(), StreamError> {
        Ok(())
    }

    /// Ends the sending side: a FIN follows what was written. Reading goes on. Does not wait.
    pub async fn shutdown(&mut self) -> Result<(), StreamError> {
        self.held.shutdown()
    }

    /// Resets the connection instead of closing it; what was not yet delivered is lost.
    pub fn abort(self) {
        self.held.with(|connection| connection.abort());
        self.held.mark();
    }

    /// Two borrowed halves, for reading and writing at the same time in one task.
    pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        (ReadHalf::new(&self.held), WriteHalf::new(&self.held))
    }

    /// Two halves that can live in different tasks. The connection is let go of when both are
    /// dropped; dropping the write half ends the sending side.
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        (
            OwnedReadHalf::new(self.held.clone()),
            OwnedWriteHalf::new(self.held),
        )
    }

    /// With `true`, the default, small writes are sent at once; with `false` they wait while
    /// others are unacknowledged (Nagle's algorithm, RFC 9293 §3.7.4).
    pub fn set_nodelay(&self, nodelay: bool) {
        self.held
            .with(|connection| connection.socket_mut().set_nagle_enabled(!nodelay));
        self.held.mark();
    }

    /// Probes an idle peer each `interval`; it counts as dead after four unanswered probes. `None`,
    /// the default: an idle connection lives as long as both ends do.
    pub fn set_keep_alive(&self, interval: Option<Duration>) {
        let now = self.held.stack.clock().now();
        self.held
            .with(|connection| connection.set_keep_alive(interval, now));
        self.held.mark();
    }

    /// How long the peer may leave data unacknowledged without being heard (RFC 5482); the default
    /// is [`Timeouts::unacknowledged`](crate::Timeouts).
    pub fn set_timeout(&self, limit: Duration) {
        self.held
            .with(|connection| connection.set_unacknowledged_timeout(limit));
        self.held.mark();
    }

    /// Our end.
    pub fn local_addr(&self) -> SocketAddr {
        self.held.flow().local
    }

    /// The peer's end.
    pub fn peer_addr(&self) -> SocketAddr {
        self.held.flow().remote
    }

    /// As [`read`](Self::read), for futures written by hand.
    pub fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<Result<usize, StreamError>> {
        self.held.poll_read(cx, buffer)
    }

    /// As [`write`](Self::write), for futures written by hand.
    pub fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize, StreamError>> {
        self.held.poll_write(cx, bytes)
    }

    /// As [`shutdown`](Self::shutdown), for futures written by hand.
    pub fn poll_shutdown(&mut self) -> Poll<Result<(), StreamError>> {
        Poll::Ready(self.held.shutdown())
    }
}

impl Pollable for TcpStream {
    fn poll_readiness(&self, interest: Interest, cx: &mut Context<'_>) -> Readiness {
        self.held
            .with(|connection| connection.poll_readiness(interest, cx))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.stack.engine_now().release(self.key);
    }
}

impl Held {
    fn with<R>(&self, change: impl FnOnce(&mut Connection) -> R) -> R {
        change(&mut self.stack.engine().tcp.connections[self.key])
    }

    pub(super) fn flow(&self) -> Flow {
        self.with(|connection| connection.flow)
    }

    /// Has the Runner look at the connection.
    fn mark(&self) {
        let mut engine = self.stack.engine();
        engine.tcp.mark(self.key);
        engine.notify();
    }

    fn poll_connected(&self, cx: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
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

    pub(super) async fn read(&self, buffer: &mut [u8]) -> Result<usize, StreamError> {
        poll_fn(|cx| self.poll_read(cx, buffer)).await
    }

    pub(super) async fn write(&self, bytes: &[u8]) -> Result<usize, StreamError> {
        poll_fn(|cx| self.poll_write(cx, bytes)).await
    }

    pub(super) async fn write_all(&self, mut bytes: &[u8]) -> Result<(), StreamError> {
        while !bytes.is_empty() {
            let written = self.write(bytes).await?;
            bytes = &bytes[written..];
        }
        Ok(())
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
        let waiting = connection.socket().recv_queue();
        match connection.socket_mut().recv_slice(buffer) {
            Ok(0) => {
                connection.readers.register(cx.waker());
                Poll::Pending
            }
            Ok(read) => {
                // The peer may have to hear of the room, but not while it had plenty.
                if waiting * 4 >= connection.socket().recv_capacity() {
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
        match connection.socket_mut().send_slice(bytes) {
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

impl Connection {
    fn error(&self) -> Option<StreamError> {
        self.end.map(|end| match end {
            End::Refused | End::Reset => StreamError::Reset,
            End::TimedOut => StreamError::TimedOut,
            End::Aborted => StreamError::Aborted,
        })
    }

    fn poll_readiness(&mut self, interest: Interest, cx: &mut Context<'_>) -> Readiness {
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

/// What streams and listeners ask of the engine.
impl Engine {
    fn listen(
        &mut self,
        wanted: BindAddress,
        options: ListenOptions,
    ) -> Result<(usize, SocketAddr), BindError> {
        if self.tcp.listeners.len() >= MAX_LISTENERS {
            return Err(BindError::OutOfMemory);
        }
        if wanted
            .address
            .is_some_and(|address| !self.link.routes.is_own(address))
        {
            return Err(BindError::NotOurs);
        }
        let port = match wanted.port {
            0 => {
                let random = self.random();
                let nobody = wanted.unspecified(0);
                self.tcp
                    .free_port(nobody.ip(), nobody, random)
                    .ok_or(BindError::NoPort)?
            }
            port if self.tcp.is_listening(wanted.address, port) => return Err(BindError::InUse),
            port => port,
        };
        let key = self.tcp.add_listener(Listener {
            address: wanted.address,
            port,
            backlog: options.backlog.max(1),
            options: options.options(),
            half_open: 0,
            ready: VecDeque::new(),
            wakers: Wakers::default(),
        });
        Ok((key, wanted.unspecified(port)))
    }

    /// The one walk over connections there is: half-open ones are not listed by listener, and a
    /// listener goes once.
    fn close_listener(&mut self, key: usize) {
        let listener = self.tcp.remove_listener(key);
        let half_open = |role: Role| role == Role::HalfOpen(key);
        let open = self
            .tcp
            .connections
            .iter()
            .filter(|(_, connection)| half_open(connection.role));
        let abandoned = open
            .map(|(key, _)| key)
            .chain(listener.ready)
            .collect::<VecDeque<_>>();
        for connection in abandoned {
            self.tcp.connections[connection].abort();
            self.orphan(connection);
        }
        self.notify();
    }

    fn connect(&mut self, peer: SocketAddr, options: Options) -> Result<usize, ConnectError> {
        let remote = SocketAddr::new(peer.ip(), peer.port());
        let loopback = remote.ip().is_loopback();
        if remote.port() == 0 || !(is_host(remote.ip()) || loopback) {
            return Err(ConnectError::InvalidAddress);
        }
        let routes = &self.link.routes;
        let source = routes
            .source_for(remote.ip())
            .filter(|_| self.link.has_route(remote.ip()));
        let source: IpAddr = source.ok_or(ConnectError::Unreachable)?;
        if self.tcp.connections.len() >= self.config.limits.connections {
            return Err(ConnectError::OutOfMemory);
        }
        let random = self.random();
        let port = self
            .tcp
            .free_port(source, remote, random)
            .ok_or(ConnectError::NoPort)?;
        let flow = Flow {
            local: SocketAddr::new(source, port),
            remote,
        };
        let local = self.link.is_local(remote.ip());
        let mut connection =
            Connection::new(flow, local, Role::Stream, options).ok_or(ConnectError::OutOfMemory)?;
        connection.set_handshake_timeout(self.config.timeouts.connect);
        connection.set_unacknowledged_timeout(self.config.timeouts.unacknowledged);
        self.reseed(local);
        let interface = if local {
            &mut self.local
        } else {
            &mut self.wire
        };
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

    /// Lets go of a connection whose stream was dropped: it closes in the background.
    fn release(&mut self, key: usize) {
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

    fn orphan(&mut self, key: usize) {
        let linger = self.config.timeouts.linger;
        let until = self.tcp.connections[key].give_up_at(self.link.now, linger);
        self.tcp.set_role(key, Role::Orphan(until));
        self.tcp.mark(key);
    }

    /// Has the Runner look at a connection if it has something to send.
    fn mark_if_due(&mut self, key: usize) {
        let now = self.link.now;
        let connection = &self.tcp.connections[key];
        let interface = if connection.local {
            &mut self.local
        } else {
            &mut self.wire
        };
        if connection
            .poll_at(interface, now)
            .is_some_and(|at| at <= now)
        {
            self.tcp.mark(key);
            self.notify();
        }
    }
}
