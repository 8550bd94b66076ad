//! The calls `net_*`: sockets, as state machines over what [`backend::Network`](crate::backend::Network) has.
//!
//! | state | by |
//! | --- | --- |
//! | fresh | `net_socket` |
//! | bound (streams) | `net_bind` |
//! | listening (streams) | `net_listen` |
//! | stream: connecting, connected, over | `net_connect`, `net_accept` |
//! | datagram | `net_bind`, `net_connect`, `net_send_to` |
//!
//! Nothing goes back. What waits looks at the state anew at each poll and holds nothing across.

mod address;
mod connections;
mod options;
mod transfer;

use alloc::rc::Rc;
use alloc::string::String;
use core::cell::{Cell, RefCell};
use core::net::SocketAddr;
use core::task::{Context, Poll, Waker};

use abi::Error;
use abi::capability::Kind;
use abi::handle::{Handle, Tag};
use abi::layout::NetAddressV6;
use abi::number::{NET_DGRAM, NET_INET, NET_INET6, NET_NONBLOCK, NET_STREAM, NET_TCP, NET_UDP};
use reactor::readiness::{Interest, Pollable, Readiness};
use reactor::sync::Wakers;
use reactor::task::JoinHandle;

use crate::backend::{Datagram, Listener, Network, Port, Stream};
use crate::failure::{Failure, Outcome};
use crate::object::{Direction, Entry, Object, Occupied};
use crate::task::Task;
use crate::user::{Alleged, Room, UserIn};

use address::{Domain, long_form};
use options::Options;

pub(crate) use address::write_address;

/// The longest name that is resolved (RFC 1035, section 2.3.4, in dotted form).
const MAX_HOST_NAME: usize = 253;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Stream,
    Datagram,
}

/// A socket.
pub(crate) struct Socket {
    domain: Domain,
    kind: Type,
    state: RefCell<State>,
    options: Cell<Options>,
    /// The task that takes what comes after `NET_SHUT_READ`.
    discarding: RefCell<Option<JoinHandle<()>>>,
    /// Who waits for something that only another call brings about.
    changed: RefCell<Wakers>,
}

enum State {
    Fresh,
    Bound(Rc<dyn Port>),
    Listening(Rc<dyn Listener>),
    Stream(Link),
    Datagram(Mailbox),
}

/// A connection, there or on its way.
#[derive(Clone)]
struct Link {
    stream: Rc<dyn Stream>,
    /// Taken as long as the stream is there.
    _port: Option<Rc<dyn Port>>,
}

/// Where datagrams come in.
struct Mailbox {
    socket: Rc<dyn Datagram>,
    peer: Option<SocketAddr>,
}

impl Socket {
    fn new(domain: Domain, kind: Type, options: Options) -> Socket {
        Socket {
            domain,
            kind,
            state: RefCell::new(State::Fresh),
            options: Cell::new(options),
            discarding: RefCell::default(),
            changed: RefCell::default(),
        }
    }

    fn is_stream(&self) -> bool {
        self.kind == Type::Stream
    }

    /// It neither connects nor listens yet.
    fn is_idle(&self) -> bool {
        matches!(*self.state.borrow(), State::Fresh | State::Bound(_))
    }

    fn is_fresh(&self) -> bool {
        matches!(*self.state.borrow(), State::Fresh)
    }

    /// Nothing is received any more, by its own choice.
    fn is_deaf(&self) -> bool {
        self.discarding.borrow().is_some()
    }

    fn set_state(&self, state: State) {
        *self.state.borrow_mut() = state;
        self.changed.borrow_mut().wake_all();
    }

    /// The connection, if there is one or will be.
    fn link(&self) -> Option<Link> {
        match &*self.state.borrow() {
            State::Stream(link) => Some(link.clone()),
            _ => None,
        }
    }

    /// The connection, if it is there.
    fn connected(&self) -> Option<Link> {
        let link = self.link()?;
        let connected = link
            .stream
            .poll_connected(&mut Context::from_waker(Waker::noop()));
        matches!(connected, Poll::Ready(Ok(()))).then_some(link)
    }

    /// Whether a call with these flags must not wait.
    fn nonblocking(&self, argument: u32, flags: u32) -> Outcome<bool> {
        if flags & !NET_NONBLOCK != 0 {
            return Err(Failure::invalid(argument, flags.into()));
        }
        Ok(flags & NET_NONBLOCK != 0 || self.options.get().nonblocking)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Some(discarding) = self.discarding.take() {
            discarding.cancel();
        }
    }
}

impl Pollable for Socket {
    fn poll_readiness(&self, interest: Interest, cx: &mut Context<'_>) -> Readiness {
        let ready = match &*self.state.borrow() {
            State::Fresh | State::Bound(_) => Readiness::EMPTY,
            State::Listening(listener) => listener.poll_readiness(interest, cx),
            State::Datagram(mailbox) => mailbox.socket.poll_readiness(interest, cx),
            State::Stream(link) => self.poll_stream(&*link.stream, interest, cx),
        };
        if !ready.answers(interest) {
            self.changed.borrow_mut().register(cx.waker());
        }
        ready
    }
}

impl Socket {
    fn poll_stream(
        &self,
        stream: &dyn Stream,
        interest: Interest,
        cx: &mut Context<'_>,
    ) -> Readiness {
        let both = Readiness::READABLE | Readiness::WRITABLE;
        match stream.poll_connected(cx) {
            Poll::Pending => Readiness::EMPTY,
            Poll::Ready(Err(_)) => both | Readiness::HANGUP | Readiness::ERROR,
            Poll::Ready(Ok(())) if self.is_deaf() => {
                Readiness::READABLE | stream.poll_readiness(interest, cx)
            }
            Poll::Ready(Ok(())) => stream.poll_readiness(interest, cx),
        }
    }
}

/// A socket as a call finds it.
struct Found {
    handle: Handle,
    entry: Rc<Entry>,
    socket: Rc<Socket>,
}

impl Found {
    /// The socket cannot do that in its state.
    fn invalid(&self) -> Failure {
        Failure::invalid(1, self.handle.to_bits())
    }

    /// No socket of its type can do that.
    fn unsupported(&self) -> Failure {
        self.failed(Error::Unsupported)
    }

    fn failed(&self, error: Error) -> Failure {
        Failure::of(error, 1, self.handle.to_bits())
    }

    fn occupy(&self, direction: Direction) -> Outcome<Occupied> {
        let occupied = self.entry.occupy(direction);
        occupied.ok_or(self.failed(Error::Busy))
    }
}

impl Task {
    /// `net_socket`.
    pub fn net_socket(&self, domain: u32, kind: u32, protocol: u32) -> Outcome<Handle> {
        self.need(Kind::Net)?;
        let unsupported =
            |argument, value: u32| Failure::of(Error::Unsupported, argument, value.into());
        let family = match domain {
            NET_INET => Domain::V4,
            NET_INET6 => Domain::V6,
            _ => return Err(unsupported(1, domain)),
        };
        let kind = match (kind, protocol) {
            (NET_STREAM, 0 | NET_TCP) => Type::Stream,
            (NET_DGRAM, 0 | NET_UDP) => Type::Datagram,
            (NET_STREAM | NET_DGRAM, _) => return Err(unsupported(3, protocol)),
            _ => return Err(unsupported(2, kind)),
        };
        self.network()?;
        let socket = Socket::new(family, kind, Options::default());
        self.adopt(Object::Socket(Rc::new(socket)))
    }

    /// `net_bind`.
    pub fn net_bind(&self, handle: Handle, address: Alleged) -> Outcome {
        self.need(Kind::Net)?;
        let found = self.found(handle)?;
        let local = found.socket.domain.read(self.space(), &address)?;
        if !found.socket.is_fresh() {
            return Err(found.invalid());
        }
        let network = self.network()?;
        let state = if found.socket.is_stream() {
            network.reserve(local).map(State::Bound)
        } else {
            let bound = network.bind(local);
            bound.map(|socket| State::Datagram(Mailbox { socket, peer: None }))
        };
        found
            .socket
            .set_state(state.map_err(|error| address.failure(error))?);
        Ok(())
    }

    /// `net_local_address`.
    pub fn net_local_address(&self, handle: Handle) -> Outcome<SocketAddr> {
        self.need(Kind::Net)?;
        let socket = self.found(handle)?.socket;
        let local = match &*socket.state.borrow() {
            State::Fresh => socket.domain.any(),
            State::Bound(port) => port.local(),
            State::Listening(listener) => listener.local(),
            State::Stream(link) => link.stream.local(),
            State::Datagram(mailbox) => mailbox.socket.local(),
        };
        Ok(socket.domain.seen(local))
    }

    /// `net_peer_address`.
    pub fn net_peer_address(&self, handle: Handle) -> Outcome<SocketAddr> {
        self.need(Kind::Net)?;
        let found = self.found(handle)?;
        let peer = match &*found.socket.state.borrow() {
            State::Datagram(mailbox) => mailbox.peer,
            State::Stream(_) => found.socket.connected().map(|link| link.stream.remote()),
            _ => None,
        };
        let peer = peer.ok_or(found.invalid())?;
        Ok(found.socket.domain.seen(peer))
    }

    /// How many bytes an address of a socket takes.
    pub(crate) fn address_size(&self, handle: Handle) -> Outcome<u32> {
        Ok(self.found(handle)?.socket.domain.size())
    }

    /// `net_resolve`: how many addresses were written.
    pub async fn net_resolve(&self, name: UserIn, into: &Room<NetAddressV6>) -> Outcome<u32> {
        self.need(Kind::Net)?;
        if name.is_empty() || name.len() > MAX_HOST_NAME {
            return Err(Failure::invalid(2, name.len() as u64));
        }
        if into.is_empty() {
            return Err(Failure::invalid(4, 0));
        }
        let text = name.with(|name| core::str::from_utf8(name).map(String::from));
        let text = text.map_err(|_| Failure::invalid(1, 0))?;
        let network = self.network()?;
        network.ready().await;
        let found = network.resolve(&text).await;
        let found = found.map_err(|error| Failure::of(error, 1, 0))?;
        let written = (0..into.len()).zip(found);
        Ok(written
            .map(|(index, address)| into.put(index, long_form(address, 0)))
            .count() as u32)
    }

    /// `net_close`.
    pub fn net_close(&self, handle: Handle) -> Outcome {
        self.need(Kind::Net)?;
        self.close(1, handle, &[Tag::Net])
    }

    fn network(&self) -> Outcome<&dyn Network> {
        let network = self.program().machine.network.as_deref();
        Ok(network.ok_or(Error::Unsupported)?)
    }

    fn socket_of(&self, argument: u32, handle: Handle) -> Outcome<(Rc<Entry>, Rc<Socket>)> {
        match self.find(argument, handle, Tag::Net)? {
            (named, Object::Socket(socket)) => Ok((named.entry, socket)),
            _ => Err(Failure::invalid(argument, handle.to_bits())),
        }
    }

    fn found(&self, handle: Handle) -> Outcome<Found> {
        let (entry, socket) = self.socket_of(1, handle)?;
        Ok(Found {
            handle,
            entry,
            socket,
        })
    }
}
