//! Listening ports: what the workload holds, and what the table knows of them.
//!
//! A listener is a queue of connections and of tasks that wait for them. It has no socket and no
//! buffer: a connection comes into being when its SYN arrives (`segments`).

use alloc::collections::VecDeque;
use core::future::poll_fn;
use core::net::SocketAddr;
use core::task::{Context, Poll};
use reactor::readiness::{Interest, Pollable, Readiness};

use super::connection::{Options, Role};
use super::stream::TcpStream;
use crate::address::BindAddress;
use crate::engine::Engine;
use crate::error::BindError;
use crate::stack::Stack;
use policy::network::{Access, Protocol};
use reactor::sync::Wakers;

/// Sockets that listen at one time.
const MAX_LISTENERS: usize = 1024;

/// How a listener treats the connections it accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenOptions {
    /// Connections that may wait: handshakes under way and established ones that nobody has
    /// accepted yet, together. Beyond it SYNs are answered by cookies and nothing is remembered of
    /// them (RFC 4987 §3.6), so that handshakes that nobody finishes keep nobody out. Where all that
    /// wait are established, SYNs are dropped, and the peers repeat them.
    pub backlog: usize,
    /// Bytes of receive buffer for each connection, 1 to 2^30; the largest window it can have. Less
    /// where memory is short: see [`Limits::tcp_bytes`](crate::Limits).
    pub receive_buffer: usize,
    /// Bytes of send buffer for each connection, 1 to 2^30. Less where memory is short.
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
    pub(super) fn options(&self) -> Options {
        Options {
            receive_buffer: self.receive_buffer.clamp(1, 1 << 30),
            send_buffer: self.send_buffer.clamp(1, 1 << 30),
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
        let address = address.into();
        if !stack.allows(Access::Listen(Protocol::Tcp, address.port)) {
            return Err(BindError::Forbidden);
        }
        let listener = TcpListener::reserve(stack, address)?;
        listener.open(options);
        Ok(listener)
    }

    /// Takes a port without accepting anything. The caller asks the policy.
    pub(super) fn reserve(stack: &Stack, address: BindAddress) -> Result<TcpListener, BindError> {
        let (key, local) = stack.engine().reserve(address)?;
        Ok(TcpListener {
            stack: stack.clone(),
            key,
            local,
        })
    }

    /// Accepts what comes from now on.
    pub(super) fn open(&self, options: ListenOptions) {
        let mut engine = self.stack.engine();
        let listener = &mut engine.tcp.listeners[self.key];
        listener.backlog = options.backlog.max(1);
        listener.options = options.options();
    }

    pub(super) fn stack(&self) -> &Stack {
        &self.stack
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

/// A bound port.
#[derive(Debug)]
pub(crate) struct Listener {
    /// 0 until somebody listens.
    pub(crate) backlog: usize,
    pub(crate) options: Options,
    /// Handshakes under way.
    pub(crate) half_open: usize,
    /// Established, oldest first.
    pub(crate) ready: VecDeque<usize>,
    pub(crate) wakers: Wakers,
}

impl Listener {
    /// Somebody listens.
    pub(crate) fn is_open(&self) -> bool {
        self.backlog > 0
    }

    /// As many wait to be accepted as may.
    pub(crate) fn is_full(&self) -> bool {
        self.ready.len() >= self.backlog
    }

    /// They would, once all handshakes are over.
    pub(crate) fn is_crowded(&self) -> bool {
        self.half_open + self.ready.len() >= self.backlog
    }

    /// Makes room for one more connection that waits, so that none has to be made when its handshake
    /// is over. False: there is no memory for it.
    pub(crate) fn reserve_one(&mut self) -> bool {
        self.ready.try_reserve(self.half_open + 1).is_ok()
    }
}

impl Engine {
    fn reserve(&mut self, wanted: BindAddress) -> Result<(usize, SocketAddr), BindError> {
        if self.tcp.listeners.len() >= MAX_LISTENERS {
            return Err(BindError::OutOfMemory);
        }
        if wanted
            .single()
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
            port if self.tcp.ports.bound_to(wanted.address, port).is_some() => {
                return Err(BindError::InUse);
            }
            port => port,
        };
        let address = wanted.address;
        let listener = Listener {
            backlog: 0,
            options: ListenOptions::default().options(),
            half_open: 0,
            ready: VecDeque::new(),
            wakers: Wakers::default(),
        };
        let key = self
            .tcp
            .add_listener(BindAddress { address, port }, listener);
        Ok((key, wanted.unspecified(port)))
    }

    /// The one walk over connections there is: half-open ones are not listed by listener, and a
    /// listener goes once. A port that was only taken has none.
    fn close_listener(&mut self, key: usize) {
        let closed = self.tcp.remove_listener(key);
        if !closed.is_some_and(|listener| listener.is_open()) {
            return; // nobody can have come to it
        }
        for connection in 0..self.tcp.connections.places() {
            let Some(found) = self.tcp.connections.get_mut(connection) else {
                continue;
            };
            if found.role == Role::HalfOpen(key) || found.role == Role::Waiting(key) {
                found.abort();
                self.orphan(connection);
            }
        }
        self.notify();
    }
}
