//! A TCP connection as the workload holds it.

use alloc::rc::Rc;
use core::future::poll_fn;
use core::net::{Ipv6Addr, SocketAddr};
use core::task::{Context, Poll};
use core::time::Duration;
use reactor::readiness::{Interest, Pollable, Readiness};

use super::half::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
use super::held::Held;
use super::listener::ListenOptions;
use crate::error::{ConnectError, StreamError};
use crate::stack::Stack;
use policy::network::{Access, Protocol};

/// A TCP connection.
///
/// Reads and writes are futures that may be dropped at any time without losing data. Dropping the
/// stream closes it as Linux does: what was written is still delivered and a FIN follows, in the
/// background ([`Timeouts::linger`](crate::Timeouts)); where data from the peer is
/// unread, the connection is reset instead.
pub struct TcpStream {
    held: Held,
}

impl TcpStream {
    pub(super) fn new(stack: Stack, key: usize) -> TcpStream {
        TcpStream {
            held: Held { stack, key },
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
        let stream = TcpStream::begin_connect(stack, peer, options)?;
        poll_fn(|cx| stream.poll_connected(cx)).await?;
        Ok(stream)
    }

    /// Begins to connect, for who waits with [`poll_connected`](Self::poll_connected). Does not wait. The stream can
    /// neither be read nor written before it is connected. Dropping it gives the attempt up.
    ///
    /// # Errors
    /// As [`connect`](Self::connect), but for what only the peer can tell.
    pub fn begin_connect(
        stack: &Stack,
        peer: SocketAddr,
        options: ListenOptions,
    ) -> Result<TcpStream, ConnectError> {
        let anywhere = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 0);
        TcpStream::begin_connect_from(stack, anywhere, peer, options)
    }

    pub(super) fn begin_connect_from(
        stack: &Stack,
        local: SocketAddr,
        peer: SocketAddr,
        options: ListenOptions,
    ) -> Result<TcpStream, ConnectError> {
        if !stack.allows(Access::Connect(Protocol::Tcp, peer)) {
            return Err(ConnectError::Forbidden);
        }
        let key = stack.engine_now().connect(local, peer, options.options())?;
        Ok(TcpStream::new(stack.clone(), key))
    }

    /// Whether a stream of [`begin_connect`](Self::begin_connect) is connected, or why not. Not to be asked again once it
    /// has been: a connection that is over is not connected either.
    pub fn poll_connected(&self, cx: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        self.held.poll_connected(cx)
    }

    /// How the connection came to its end, where it was not by closing.
    pub fn error(&self) -> Option<StreamError> {
        self.held.with(|connection| connection.error())
    }

    /// Reads what has arrived, at least one byte; 0 at the end, or for an empty buffer.
    pub fn read(&mut self, buffer: &mut [u8]) -> impl Future<Output = Result<usize, StreamError>> {
        self.held.read(buffer)
    }

    /// Writes what fits the send buffer, at least one byte. It goes out in this turn of the
    /// reactor, together with what else is written before the Runner runs.
    pub fn write(&mut self, bytes: &[u8]) -> impl Future<Output = Result<usize, StreamError>> {
        self.held.write(bytes)
    }

    /// Writes everything. Where the future is dropped, a part may have been written.
    pub fn write_all(&mut self, bytes: &[u8]) -> impl Future<Output = Result<(), StreamError>> {
        self.held.write_all(bytes)
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
        let held = Rc::new(self.held);
        (OwnedReadHalf::new(held.clone()), OwnedWriteHalf::new(held))
    }

    /// With `true`, the default, small writes are sent at once; with `false` they wait while
    /// others are unacknowledged (Nagle's algorithm, RFC 9293 §3.7.4).
    pub fn set_nodelay(&self, nodelay: bool) {
        let changed = self.held.with(|connection| {
            let socket = connection.socket_mut();
            let before = socket.nagle_enabled();
            socket.set_nagle_enabled(!nodelay);
            before == nodelay
        });
        if changed {
            self.held.mark();
        }
    }

    /// Probes an idle peer each `interval`; it counts as dead after four unanswered probes. `None`,
    /// the default: an idle connection lives as long as both ends do.
    pub fn set_keep_alive(&self, interval: Option<Duration>) {
        let now = self.held.stack.clock().now();
        self.held
            .with(|connection| connection.set_keep_alive(interval, now));
        self.held.mark();
    }

    /// How long the peer may leave data unacknowledged without being heard (RFC 5482), and, where the
    /// connection is still being made, how long it may leave that unanswered; the defaults are
    /// [`Timeouts::unacknowledged` and `Timeouts::connect`](crate::Timeouts).
    pub fn set_timeout(&self, limit: Duration) {
        self.held
            .with(|connection| connection.set_user_timeout(limit));
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
