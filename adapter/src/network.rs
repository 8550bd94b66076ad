//! The network of a process: sockets of Linux, none of which ever blocks, under the policy of the environment.
//!
//! Where Linux does not do what the interface says, it is made so here: a port that is taken stays taken although
//! nobody listens there yet, and one whose last connections are not quite over can be listened on all the same.

mod datagram;
mod listener;
pub(crate) mod resolve;
mod stream;

use std::future::{Future, ready};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::rc::Rc;

use abi::Error;
use calls::backend::{
    DEFAULT_BUFFER, Datagram, Listener, Network, Port, Stream, StreamOptions, Waiting,
};
use policy::NetworkAccess;
use policy::network::{Access, Protocol};
use rustix::io::{self, Errno};
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind, getpeername, getsockname, ipproto, listen,
    socket_with, sockopt,
};

use crate::descriptors::Descriptors;
use crate::files::error;
use crate::settings::Settings;
use datagram::Mailbox;
use listener::Listening;
use stream::Connection;

/// The sockets that a program may make.
pub(crate) struct Sockets {
    shared: Rc<Shared>,
}

/// What every socket needs to know.
pub(crate) struct Shared {
    descriptors: Rc<Descriptors>,
    access: NetworkAccess,
}

impl Shared {
    /// Whether the program may do that.
    fn allows(&self, access: Access) -> bool {
        match &self.access {
            NetworkAccess::None => false,
            NetworkAccess::Some(policy) => policy.allows(access),
            NetworkAccess::All => true,
        }
    }

    /// Whether it may have that port, and whether to listen there; else only to connect from it.
    fn may_have(&self, protocol: Protocol, port: u16) -> Result<bool, Error> {
        let listens = self.allows(Access::Listen(protocol, port));
        let connects = port == 0 && self.allows(Access::ConnectSomewhere(protocol));
        match listens || connects {
            true => Ok(listens),
            false => Err(Error::Permission),
        }
    }
}

impl Sockets {
    /// The network, if the policy has any.
    pub(crate) fn open(
        descriptors: &Rc<Descriptors>,
        settings: &'static Settings,
    ) -> Option<Rc<dyn Network>> {
        let access = settings.policy.network();
        if access == NetworkAccess::None {
            return None;
        }
        let descriptors = Rc::clone(descriptors);
        Some(Rc::new(Sockets {
            shared: Rc::new(Shared {
                descriptors,
                access,
            }),
        }))
    }
}

impl Network for Sockets {
    fn ready(&self) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        Box::pin(ready(())) // whatever addresses the host has, it has them without us
    }

    fn reserve(&self, local: SocketAddr) -> Result<Rc<dyn Port>, Error> {
        let listens = self.shared.may_have(Protocol::Tcp, local.port())?;
        let fd = new_socket(local, SocketType::STREAM)?;
        take_port(&fd, local)?;
        Ok(Rc::new(BoundPort {
            local: local_address(&fd)?,
            listens,
            socket: fd.into(),
            shared: Rc::clone(&self.shared),
        }))
    }

    fn connect(&self, remote: SocketAddr, options: StreamOptions) -> Result<Rc<dyn Stream>, Error> {
        if !self.shared.allows(Access::Connect(Protocol::Tcp, remote)) {
            return Err(Error::Permission);
        }
        let fd = new_socket(remote, SocketType::STREAM)?;
        set_buffers(&fd, options)?;
        Connection::begin(&self.shared, fd, remote, false)
    }

    fn bind(&self, local: SocketAddr) -> Result<Rc<dyn Datagram>, Error> {
        let listens = self.shared.may_have(Protocol::Udp, local.port())?;
        let fd = new_socket(local, SocketType::DGRAM)?;
        bind(&fd, &local).map_err(bind_error)?;
        Ok(Rc::new(Mailbox::new(&self.shared, fd, listens)?))
    }

    fn resolve<'a>(&'a self, name: &'a str) -> Waiting<'a, Vec<IpAddr>> {
        Box::pin(async move {
            if !self.shared.allows(Access::Resolve) {
                return Err(Error::Permission);
            }
            resolve::resolve(name).await
        })
    }
}

/// A port taken for a stream: a socket that is bound.
struct BoundPort {
    local: SocketAddr,
    /// Whether the policy lets somebody listen there.
    listens: bool,
    /// Gone once somebody listens or connects with it.
    socket: Taken,
    shared: Rc<Shared>,
}

/// A socket until somebody takes it.
struct Taken(std::cell::RefCell<Option<OwnedFd>>);

impl From<OwnedFd> for Taken {
    fn from(fd: OwnedFd) -> Taken {
        Taken(Some(fd).into())
    }
}

impl Taken {
    /// Calls `f` with the socket, which is taken if that works out.
    fn take<R>(&self, f: impl FnOnce(&OwnedFd) -> Result<R, Error>) -> Result<(OwnedFd, R), Error> {
        let mut slot = self.0.borrow_mut();
        let result = f(slot.as_ref().ok_or(Error::Invalid)?)?;
        let fd = slot.take().ok_or(Error::Invalid)?;
        Ok((fd, result))
    }
}

impl Port for BoundPort {
    fn local(&self) -> SocketAddr {
        self.local
    }

    fn listen(&self, options: StreamOptions) -> Result<Rc<dyn Listener>, Error> {
        if !self.listens {
            return Err(Error::Permission);
        }
        let (fd, ()) = self.socket.take(|fd| {
            set_buffers(fd, options)?;
            // What it accepts may linger without keeping the port from the next one who listens (`take_port`).
            sockopt::set_socket_reuseaddr(fd, true).map_err(error)?;
            listen(fd, i32::try_from(options.backlog).unwrap_or(i32::MAX)).map_err(bind_error)
        })?;
        Ok(Rc::new(Listening::new(&self.shared, fd, self.local)))
    }

    fn connect(&self, remote: SocketAddr, options: StreamOptions) -> Result<Rc<dyn Stream>, Error> {
        if !self.shared.allows(Access::Connect(Protocol::Tcp, remote)) {
            return Err(Error::Permission);
        }
        let (fd, ()) = self.socket.take(|fd| set_buffers(fd, options))?;
        Connection::begin(&self.shared, fd, remote, true)
    }
}

/// A socket of an address's family that never waits. One of IPv6 also talks IPv4.
fn new_socket(address: SocketAddr, kind: SocketType) -> Result<OwnedFd, Error> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let protocol = match kind {
        SocketType::STREAM => ipproto::TCP,
        _ => ipproto::UDP,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let fd = socket_with(family, kind, flags, Some(protocol)).map_err(error)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&fd, false).map_err(error)?;
    }
    if kind == SocketType::STREAM {
        sockopt::set_tcp_nodelay(&fd, true).map_err(error)?; // as the interface begins
    }
    Ok(fd)
}

/// Binds a stream. With `SO_REUSEADDR` from the start two might have one port, as long as neither listens; without it
/// nobody gets a port whose last connections are in TIME_WAIT. Those let it go if they had the option themselves.
fn take_port(fd: &OwnedFd, local: SocketAddr) -> Result<(), Error> {
    let mut taken = bind(fd, &local);
    if taken == Err(Errno::ADDRINUSE) && local.port() != 0 {
        sockopt::set_socket_reuseaddr(fd, true).map_err(error)?;
        taken = bind(fd, &local);
        sockopt::set_socket_reuseaddr(fd, false).map_err(error)?;
    }
    taken.map_err(bind_error)
}

/// What a program did not choose is left to Linux, which lets buffers grow as they are needed.
fn set_buffers(fd: &OwnedFd, options: StreamOptions) -> Result<(), Error> {
    // Linux doubles both for its own records.
    if options.receive_buffer != DEFAULT_BUFFER {
        sockopt::set_socket_recv_buffer_size(fd, options.receive_buffer / 2).map_err(error)?;
    }
    if options.send_buffer != DEFAULT_BUFFER {
        sockopt::set_socket_send_buffer_size(fd, options.send_buffer / 2).map_err(error)?;
    }
    Ok(())
}

fn bind_error(errno: Errno) -> Error {
    match errno {
        Errno::ADDRNOTAVAIL => Error::Invalid,
        errno => error(errno),
    }
}

fn local_address(fd: impl std::os::fd::AsFd) -> Result<SocketAddr, Error> {
    let address = getsockname(fd).and_then(SocketAddr::try_from);
    address.map(plain).map_err(error)
}

fn peer_address(fd: impl std::os::fd::AsFd) -> io::Result<SocketAddr> {
    let address = getpeername(fd)?.ok_or(Errno::NOTCONN)?;
    SocketAddr::try_from(address).map(plain)
}

/// An address as the calls have it: IPv4 ones are never given as IPv6 ones.
fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// An address as a socket whose own is `local` wants it.
fn for_socket(local: SocketAddr, address: SocketAddr) -> SocketAddr {
    match (local, address.ip()) {
        (SocketAddr::V6(_), IpAddr::V4(ip)) => {
            let ip: Ipv6Addr = ip.to_ipv6_mapped();
            SocketAddr::new(ip.into(), address.port())
        }
        _ => address,
    }
}
