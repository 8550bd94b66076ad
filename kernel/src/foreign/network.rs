//! The sockets of foreign programs: netstack's, under one policy with those of native workloads, because both hold the
//! same handle of the stack.
//!
//! A program reaches the first network of the machine.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::net::{IpAddr, SocketAddr};
use core::pin::Pin;
use core::task::{Context, Poll, Waker, ready};
use core::time::Duration;

use abi::Error;
use calls::backend::{Datagram, Listener, Network, Port, Stream, StreamOptions, Waiting};
use netstack::{
    BindAddress, BindError, ConnectError, ListenOptions, ResolveError, SendError, Stack,
    StreamError, TcpListener, TcpSocket, TcpStream, UdpSocket,
};
use reactor::Clock;
use reactor::readiness::{Interest, Pollable, Readiness};

/// How long a program waits for the machine's first address, from when it needs one. A server that is there answers
/// within a second; one that is starting, too, gets a few more of DHCP's questions.
const PATIENCE: Duration = Duration::from_secs(10);

/// A stack, for programs.
pub(super) struct Sockets {
    pub(super) stack: Stack,
    pub(super) clock: Clock,
}

impl Network for Sockets {
    fn ready(&self) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        let address = self.clock.timeout(PATIENCE, self.stack.wait_config_up());
        Box::pin(async { address.await.unwrap_or_default() })
    }

    fn reserve(&self, local: SocketAddr) -> Result<Rc<dyn Port>, Error> {
        let socket = TcpSocket::bind(&self.stack, bind_address(local)).map_err(bind_error)?;
        Ok(Rc::new(BoundPort {
            local: socket.local_addr(),
            socket: RefCell::new(Some(socket)),
        }))
    }

    fn connect(&self, remote: SocketAddr, options: StreamOptions) -> Result<Rc<dyn Stream>, Error> {
        let stream = TcpStream::begin_connect(&self.stack, remote, listen_options(options));
        Ok(Connection::of(stream.map_err(connect_error)?, false))
    }

    fn bind(&self, local: SocketAddr) -> Result<Rc<dyn Datagram>, Error> {
        let socket = UdpSocket::bind(&self.stack, bind_address(local)).map_err(bind_error)?;
        Ok(Rc::new(Mailbox(socket)))
    }

    fn resolve<'a>(&'a self, name: &'a str) -> Waiting<'a, Vec<IpAddr>> {
        Box::pin(async move { self.stack.resolve(name).await.map_err(resolve_error) })
    }
}

fn bind_address(local: SocketAddr) -> BindAddress {
    match local {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => BindAddress::ipv4(v4.port()),
        local => local.into(),
    }
}

fn listen_options(options: StreamOptions) -> ListenOptions {
    ListenOptions {
        backlog: options.backlog,
        receive_buffer: options.receive_buffer,
        send_buffer: options.send_buffer,
    }
}

/// A port taken for a stream.
struct BoundPort {
    local: SocketAddr,
    /// `None` once somebody listens.
    socket: RefCell<Option<TcpSocket>>,
}

impl Port for BoundPort {
    fn local(&self) -> SocketAddr {
        self.local
    }

    fn listen(&self, options: StreamOptions) -> Result<Rc<dyn Listener>, Error> {
        let mut slot = self.socket.borrow_mut();
        let socket = slot.take().ok_or(Error::Invalid)?;
        match socket.listen(listen_options(options)) {
            Ok(listener) => Ok(Rc::new(Listening(listener))),
            Err((socket, error)) => {
                *slot = Some(socket);
                Err(bind_error(error))
            }
        }
    }

    fn connect(&self, remote: SocketAddr, options: StreamOptions) -> Result<Rc<dyn Stream>, Error> {
        let slot = self.socket.borrow();
        let socket = slot.as_ref().ok_or(Error::Invalid)?;
        let stream = socket.begin_connect(remote, listen_options(options));
        Ok(Connection::of(stream.map_err(connect_error)?, false))
    }
}

/// A port that accepts.
struct Listening(TcpListener);

impl Listener for Listening {
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<Result<Rc<dyn Stream>, Error>> {
        let accepted = self.0.poll_accept(cx);
        accepted.map(|(stream, _)| Ok(Connection::of(stream, true)))
    }

    fn local(&self) -> SocketAddr {
        self.0.local_addr()
    }
}

impl Pollable for Listening {
    fn poll_readiness(&self, interest: Interest, cx: &mut Context<'_>) -> Readiness {
        self.0.poll_readiness(interest, cx)
    }
}

/// A connection, or one that is being made.
struct Connection {
    stream: RefCell<TcpStream>,
    /// It has been there; what happened since is not about connecting.
    connected: Cell<bool>,
}

impl Connection {
    fn of(stream: TcpStream, connected: bool) -> Rc<dyn Stream> {
        Rc::new(Connection {
            stream: RefCell::new(stream),
            connected: Cell::new(connected),
        })
    }
}

impl Stream for Connection {
    fn poll_connected(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if !self.connected.get() {
            ready!(self.stream.borrow().poll_connected(cx)).map_err(connect_error)?;
            self.connected.set(true);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_read(&self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<Result<usize, Error>> {
        ready!(self.poll_connected(cx))?;
        let read = self.stream.borrow_mut().poll_read(cx, into);
        read.map_err(stream_error)
    }

    fn poll_write(&self, cx: &mut Context<'_>, from: &[u8]) -> Poll<Result<usize, Error>> {
        ready!(self.poll_connected(cx))?;
        let written = self.stream.borrow_mut().poll_write(cx, from);
        written.map_err(stream_error)
    }

    fn shutdown_write(&self) -> Result<(), Error> {
        match self.stream.borrow_mut().poll_shutdown() {
            Poll::Ready(ended) => ended.map_err(stream_error),
            Poll::Pending => Ok(()),
        }
    }

    fn local(&self) -> SocketAddr {
        self.stream.borrow().local_addr()
    }

    fn remote(&self) -> SocketAddr {
        self.stream.borrow().peer_addr()
    }

    fn set_nodelay(&self, nodelay: bool) {
        self.stream.borrow().set_nodelay(nodelay);
    }

    fn set_keep_alive(&self, interval: Option<Duration>) {
        self.stream.borrow().set_keep_alive(interval);
    }

    fn set_timeout(&self, limit: Duration) {
        self.stream.borrow().set_timeout(limit);
    }

    fn error(&self) -> Option<Error> {
        let mut nobody = Context::from_waker(Waker::noop());
        match self.poll_connected(&mut nobody) {
            Poll::Pending => None,
            Poll::Ready(Err(error)) => Some(error),
            Poll::Ready(Ok(())) => self.stream.borrow().error().map(stream_error),
        }
    }
}

impl Pollable for Connection {
    fn poll_readiness(&self, interest: Interest, cx: &mut Context<'_>) -> Readiness {
        self.stream.borrow().poll_readiness(interest, cx)
    }
}

/// A bound datagram socket.
struct Mailbox(UdpSocket);

impl Datagram for Mailbox {
    fn connect(&self, peer: SocketAddr) -> Result<(), Error> {
        self.0.connect(peer).map_err(send_error)
    }

    fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        to: SocketAddr,
    ) -> Poll<Result<(), Error>> {
        self.0.poll_send_to(cx, bytes, to).map_err(send_error)
    }

    fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<Result<(usize, SocketAddr), Error>> {
        self.0.poll_recv_from(cx, into).map(Ok)
    }

    fn local(&self) -> SocketAddr {
        self.0.local_addr()
    }
}

impl Pollable for Mailbox {
    fn poll_readiness(&self, interest: Interest, cx: &mut Context<'_>) -> Readiness {
        self.0.poll_readiness(interest, cx)
    }
}

// What netstack calls it, as the interface does. Errors that netstack may get one day count as the network's.

fn bind_error(error: BindError) -> Error {
    match error {
        BindError::InUse => Error::Busy,
        BindError::NotOurs => Error::Invalid,
        BindError::NoPort | BindError::OutOfMemory => Error::NoMemory,
        BindError::Forbidden => Error::Permission,
        _ => Error::Io,
    }
}

fn connect_error(error: ConnectError) -> Error {
    match error {
        ConnectError::TimedOut => Error::Timeout,
        ConnectError::InvalidAddress => Error::Invalid,
        ConnectError::NoPort | ConnectError::OutOfMemory => Error::NoMemory,
        ConnectError::InUse => Error::Busy,
        ConnectError::Forbidden => Error::Permission,
        _ => Error::Io,
    }
}

fn stream_error(error: StreamError) -> Error {
    match error {
        StreamError::TimedOut => Error::Timeout,
        StreamError::Closed => Error::Closed,
        _ => Error::Io,
    }
}

fn send_error(error: SendError) -> Error {
    match error {
        SendError::TooLarge | SendError::InvalidAddress => Error::Invalid,
        SendError::Forbidden => Error::Permission,
        _ => Error::Io,
    }
}

fn resolve_error(error: ResolveError) -> Error {
    match error {
        ResolveError::InvalidName => Error::Invalid,
        ResolveError::NotFound => Error::NoEntry,
        ResolveError::NoServer | ResolveError::TimedOut => Error::Timeout,
        ResolveError::Forbidden => Error::Permission,
        _ => Error::Io,
    }
}
