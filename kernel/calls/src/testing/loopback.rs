//! A network of one machine that is in memory: what a program sends comes back to it. For tests of calls without a stack.
//!
//! It has `127.0.0.1` and `::1`, no others can be reached and no name is known but `localhost`. Every buffer is bounded.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::rc::{Rc, Weak};
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;

use abi::Error;
use reactor::readiness::{Interest, Pollable, Readiness};
use reactor::sync::{Event, Wakers};

use crate::backend::{Datagram, Listener, Network, Port, Stream, StreamOptions, Waiting};

/// Datagrams that wait at one socket; beyond, they are lost.
const MAX_WAITING: usize = 16;
/// The longest datagram.
const MAX_DATAGRAM: usize = 1400;
/// Bytes on their way, at most, whatever a program wants its buffers to be.
const MAX_PIPE: usize = 64 << 10;
/// The first port that is given to who does not choose.
const FIRST_FREE: u16 = 50_000;

/// The network. Clones are the same one.
#[derive(Clone, Default)]
pub struct Loopback(Rc<Ports>);

/// Who has which port. A place whose owner is gone is free.
#[derive(Default)]
struct Ports {
    told: RefCell<Vec<Told>>,
    /// `None`: it has its address.
    late: RefCell<Option<Rc<Event>>>,
    streams: RefCell<BTreeMap<u16, Weak<Taken>>>,
    datagrams: RefCell<BTreeMap<u16, Weak<Mailbox>>>,
}

fn free<T>(ports: &BTreeMap<u16, Weak<T>>, wanted: SocketAddr) -> Result<u16, Error> {
    let own = wanted.ip().is_loopback() || wanted.ip().is_unspecified();
    let is_free = |port: &u16| {
        ports
            .get(port)
            .is_none_or(|owner| owner.strong_count() == 0)
    };
    match wanted.port() {
        _ if !own => Err(Error::Invalid),
        0 => (FIRST_FREE..=u16::MAX).find(is_free).ok_or(Error::NoMemory),
        port => is_free(&port).then_some(port).ok_or(Error::Busy),
    }
}

/// Where a packet to `remote` ends, and where it seems to come from.
fn route(local: SocketAddr, remote: SocketAddr) -> Result<SocketAddr, Error> {
    match remote.ip() {
        ip if remote.port() == 0 || ip.is_unspecified() || ip.is_multicast() => Err(Error::Invalid),
        ip if !ip.is_loopback() => Err(Error::Io),
        ip => Ok(SocketAddr::new(ip, local.port())),
    }
}

/// What a stream was told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// [`Stream::set_nodelay`].
    Nodelay(bool),
    /// [`Stream::set_keep_alive`].
    KeepAlive(Option<Duration>),
    /// [`Stream::set_timeout`].
    Timeout(Duration),
}

impl Loopback {
    /// A network that has no address until the event.
    pub fn late(address: &Rc<Event>) -> Loopback {
        let network = Loopback::default();
        *network.0.late.borrow_mut() = Some(Rc::clone(address));
        network
    }

    /// What its streams were told since the last question, in order.
    pub fn told(&self) -> Vec<Told> {
        self.0.told.take()
    }
}

impl Network for Loopback {
    fn ready(&self) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        let late = self.0.late.borrow().clone();
        Box::pin(async move {
            if let Some(address) = late {
                address.wait().await;
            }
        })
    }

    fn reserve(&self, local: SocketAddr) -> Result<Rc<dyn Port>, Error> {
        let mut ports = self.0.streams.borrow_mut();
        let port = free(&ports, local)?;
        let taken = Rc::new(Taken {
            network: self.clone(),
            local: SocketAddr::new(local.ip(), port),
            queue: RefCell::default(),
        });
        ports.insert(port, Rc::downgrade(&taken));
        Ok(Rc::new(Reserved(taken)))
    }

    fn connect(&self, remote: SocketAddr, options: StreamOptions) -> Result<Rc<dyn Stream>, Error> {
        let any = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 0);
        self.reserve(any)?.connect(remote, options)
    }

    fn bind(&self, local: SocketAddr) -> Result<Rc<dyn Datagram>, Error> {
        let mut ports = self.0.datagrams.borrow_mut();
        let port = free(&ports, local)?;
        let mailbox = Rc::new(Mailbox {
            network: self.clone(),
            local: SocketAddr::new(local.ip(), port),
            peer: Cell::new(None),
            waiting: RefCell::default(),
            readers: RefCell::default(),
        });
        ports.insert(port, Rc::downgrade(&mailbox));
        Ok(Rc::new(Bound(mailbox)))
    }

    fn resolve<'a>(&'a self, name: &'a str) -> Waiting<'a, Vec<IpAddr>> {
        let found = match name {
            "localhost" => Ok([Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()].into()),
            _ => Err(Error::NoEntry),
        };
        Box::pin(core::future::ready(found))
    }
}

/// A port of streams.
struct Taken {
    network: Loopback,
    local: SocketAddr,
    /// `None` until somebody listens.
    queue: RefCell<Option<Queue>>,
}

/// Connections that nobody has accepted.
struct Queue {
    options: StreamOptions,
    ready: VecDeque<Rc<dyn Stream>>,
    acceptors: Wakers,
}

struct Reserved(Rc<Taken>);

impl Port for Reserved {
    fn local(&self) -> SocketAddr {
        self.0.local
    }

    fn listen(&self, options: StreamOptions) -> Result<Rc<dyn Listener>, Error> {
        *self.0.queue.borrow_mut() = Some(Queue {
            options,
            ready: VecDeque::new(),
            acceptors: Wakers::new(),
        });
        Ok(Rc::new(Listening(Rc::clone(&self.0))))
    }

    fn connect(&self, remote: SocketAddr, options: StreamOptions) -> Result<Rc<dyn Stream>, Error> {
        let local = route(self.0.local, remote)?;
        let known = self.0.network.0.streams.borrow();
        let there = known.get(&remote.port()).and_then(Weak::upgrade);
        let room = |queue: &Queue| queue.ready.len() < queue.options.backlog;
        let mut queue = there.as_ref().map(|there| there.queue.borrow_mut());
        let queue = queue.as_mut().and_then(|queue| queue.as_mut());
        let Some(queue) = queue.filter(|queue| room(queue)) else {
            return Ok(Rc::new(End::refused(&self.0.network, (local, remote))));
        };
        let to = Pipe::new(options.send_buffer.min(queue.options.receive_buffer));
        let back = Pipe::new(queue.options.send_buffer.min(options.receive_buffer));
        let network = &self.0.network;
        let near = End::new(network, (local, remote), [&back, &to]);
        let far = End::new(network, (remote, local), [&to, &back]);
        far.begun.set(true);
        queue.ready.push_back(Rc::new(far));
        queue.acceptors.wake_all();
        Ok(Rc::new(near))
    }
}

struct Listening(Rc<Taken>);

impl Listener for Listening {
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<Result<Rc<dyn Stream>, Error>> {
        let mut queue = self.0.queue.borrow_mut();
        let queue = queue.as_mut().ok_or(Error::Invalid)?;
        match queue.ready.pop_front() {
            Some(stream) => Poll::Ready(Ok(stream)),
            None => {
                queue.acceptors.register(cx.waker());
                Poll::Pending
            }
        }
    }

    fn local(&self) -> SocketAddr {
        self.0.local
    }
}

impl Pollable for Listening {
    fn poll_readiness(&self, _: Interest, cx: &mut Context<'_>) -> Readiness {
        match &mut *self.0.queue.borrow_mut() {
            Some(queue) if queue.ready.is_empty() => {
                queue.acceptors.register(cx.waker());
                Readiness::EMPTY
            }
            _ => Readiness::READABLE,
        }
    }
}

/// Bytes on their way from one end to the other.
struct Pipe {
    bytes: RefCell<VecDeque<u8>>,
    room: usize,
    ended: Cell<bool>,
    wakers: RefCell<Wakers>,
}

impl Pipe {
    fn new(room: usize) -> Rc<Pipe> {
        Rc::new(Pipe {
            bytes: RefCell::default(),
            room: room.min(MAX_PIPE),
            ended: Cell::new(false),
            wakers: RefCell::default(),
        })
    }

    fn end(&self) {
        self.ended.set(true);
        self.changed();
    }

    fn changed(&self) {
        self.wakers.borrow_mut().wake_all();
    }

    fn wait<T>(&self, cx: &Context<'_>) -> Poll<T> {
        self.wakers.borrow_mut().register(cx.waker());
        Poll::Pending
    }

    fn is_readable(&self) -> bool {
        !self.bytes.borrow().is_empty() || self.ended.get()
    }

    fn is_writable(&self) -> bool {
        self.bytes.borrow().len() < self.room || self.ended.get()
    }
}

/// One end of a connection.
struct End {
    network: Loopback,
    local: SocketAddr,
    remote: SocketAddr,
    incoming: Rc<Pipe>,
    outgoing: Rc<Pipe>,
    refused: bool,
    /// Somebody has asked before whether it is connected: the first time it is not yet.
    begun: Cell<bool>,
}

impl End {
    fn new(
        network: &Loopback,
        (local, remote): (SocketAddr, SocketAddr),
        [incoming, outgoing]: [&Rc<Pipe>; 2],
    ) -> End {
        End {
            network: network.clone(),
            local,
            remote,
            incoming: Rc::clone(incoming),
            outgoing: Rc::clone(outgoing),
            refused: false,
            begun: Cell::new(false),
        }
    }

    fn tell(&self, what: Told) {
        self.network.0.told.borrow_mut().push(what);
    }

    fn refused(network: &Loopback, ends: (SocketAddr, SocketAddr)) -> End {
        let pipe = Pipe::new(0);
        let mut end = End::new(network, ends, [&pipe, &pipe]);
        end.refused = true;
        end
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.incoming.end();
        self.outgoing.end();
    }
}

impl Stream for End {
    fn poll_connected(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if !self.begun.replace(true) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(if self.refused { Err(Error::Io) } else { Ok(()) })
    }

    fn poll_read(&self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<Result<usize, Error>> {
        if self.refused {
            return Poll::Ready(Err(Error::Io));
        }
        if !into.is_empty() && !self.incoming.is_readable() {
            return self.incoming.wait(cx);
        }
        let mut bytes = self.incoming.bytes.borrow_mut();
        let count = bytes.len().min(into.len());
        for (place, byte) in into.iter_mut().zip(bytes.drain(..count)) {
            *place = byte;
        }
        drop(bytes);
        self.incoming.changed();
        Poll::Ready(Ok(count))
    }

    fn poll_write(&self, cx: &mut Context<'_>, from: &[u8]) -> Poll<Result<usize, Error>> {
        if self.refused {
            return Poll::Ready(Err(Error::Io));
        }
        if self.outgoing.ended.get() {
            return Poll::Ready(Err(Error::Closed));
        }
        let mut bytes = self.outgoing.bytes.borrow_mut();
        let count = from.len().min(self.outgoing.room - bytes.len());
        bytes.extend(&from[..count]);
        drop(bytes);
        if count == 0 && !from.is_empty() {
            return self.outgoing.wait(cx);
        }
        self.outgoing.changed();
        Poll::Ready(Ok(count))
    }

    fn shutdown_write(&self) -> Result<(), Error> {
        self.outgoing.end();
        Ok(())
    }

    fn local(&self) -> SocketAddr {
        self.local
    }

    fn remote(&self) -> SocketAddr {
        self.remote
    }

    fn set_nodelay(&self, nodelay: bool) {
        self.tell(Told::Nodelay(nodelay));
    }

    fn set_keep_alive(&self, interval: Option<Duration>) {
        self.tell(Told::KeepAlive(interval));
    }

    fn set_timeout(&self, limit: Duration) {
        self.tell(Told::Timeout(limit));
    }

    fn error(&self) -> Option<Error> {
        (self.refused && self.begun.get()).then_some(Error::Io)
    }
}

impl Pollable for End {
    fn poll_readiness(&self, interest: Interest, cx: &mut Context<'_>) -> Readiness {
        let mut ready = Readiness::EMPTY;
        if self.incoming.is_readable() {
            ready |= Readiness::READABLE;
        }
        if self.outgoing.is_writable() {
            ready |= Readiness::WRITABLE;
        }
        if self.incoming.ended.get() && self.outgoing.ended.get() {
            ready |= Readiness::HANGUP;
        }
        if !ready.answers(interest) {
            let _: [Poll<()>; 2] = [self.incoming.wait(cx), self.outgoing.wait(cx)];
        }
        ready
    }
}

/// Where datagrams come in.
struct Mailbox {
    network: Loopback,
    local: SocketAddr,
    peer: Cell<Option<SocketAddr>>,
    waiting: RefCell<VecDeque<(SocketAddr, Vec<u8>)>>,
    readers: RefCell<Wakers>,
}

struct Bound(Rc<Mailbox>);

impl Datagram for Bound {
    fn connect(&self, peer: SocketAddr) -> Result<(), Error> {
        route(self.0.local, peer)?;
        self.0.peer.set(Some(peer));
        self.0
            .waiting
            .borrow_mut()
            .retain(|(from, _)| *from == peer);
        Ok(())
    }

    fn poll_send_to(
        &self,
        _: &mut Context<'_>,
        bytes: &[u8],
        to: SocketAddr,
    ) -> Poll<Result<(), Error>> {
        let from = route(self.0.local, to)?;
        if bytes.len() > MAX_DATAGRAM {
            return Poll::Ready(Err(Error::Invalid));
        }
        let known = self.0.network.0.datagrams.borrow();
        let there = known.get(&to.port()).and_then(Weak::upgrade);
        if let Some(there) = there
            && there.peer.get().is_none_or(|peer| peer == from)
            && there.waiting.borrow().len() < MAX_WAITING
        {
            there.waiting.borrow_mut().push_back((from, bytes.into()));
            there.readers.borrow_mut().wake_all();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<Result<(usize, SocketAddr), Error>> {
        let Some((from, bytes)) = self.0.waiting.borrow_mut().pop_front() else {
            self.0.readers.borrow_mut().register(cx.waker());
            return Poll::Pending;
        };
        let count = bytes.len().min(into.len());
        into[..count].copy_from_slice(&bytes[..count]);
        Poll::Ready(Ok((count, from)))
    }

    fn local(&self) -> SocketAddr {
        self.0.local
    }
}

impl Pollable for Bound {
    fn poll_readiness(&self, interest: Interest, cx: &mut Context<'_>) -> Readiness {
        let mut ready = Readiness::WRITABLE;
        if !self.0.waiting.borrow().is_empty() {
            ready |= Readiness::READABLE;
        }
        if !ready.answers(interest) {
            self.0.readers.borrow_mut().register(cx.waker());
        }
        ready
    }
}

impl core::fmt::Debug for Loopback {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Loopback").finish_non_exhaustive()
    }
}
