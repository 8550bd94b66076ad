//! A TCP port that is taken before it is known what for: to listen on it, or to connect from it.
//!
//! In the table it is a listener that has no backlog, so nobody else can bind the port and no SYN finds it.

use core::net::SocketAddr;

use super::listener::{ListenOptions, TcpListener};
use super::stream::TcpStream;
use crate::address::BindAddress;
use crate::error::{BindError, ConnectError};
use crate::stack::Stack;
use policy::network::{Access, Protocol};

/// A bound TCP socket that neither listens nor connects yet. Dropping it frees the port.
///
/// ```
/// # use netstack::testing::{Conditions, Wire, random};
/// # use reactor::{Reactor, testing::VirtualClock};
/// use netstack::{BindError, Config, ListenOptions, TcpListener, TcpSocket};
/// # let reactor = Reactor::new(VirtualClock::new());
/// # let clock = reactor.clock();
/// # let (_wire, device, _) = Wire::new(&clock, 1, Conditions::default());
/// # let (stack, _runner) = netstack::new(device, Config::new([2, 0, 0, 0, 0, 1]), clock, random(1)).unwrap();
/// let socket = TcpSocket::bind(&stack, 80)?;
/// let taken = TcpListener::bind(&stack, 80, ListenOptions::default());
/// assert_eq!(taken.err(), Some(BindError::InUse));
/// let listener = socket.listen(ListenOptions::default()).map_err(|(_, error)| error)?;
/// assert_eq!(listener.local_addr().port(), 80);
/// # Ok::<(), BindError>(())
/// ```
pub struct TcpSocket {
    reserved: TcpListener,
    /// The policy lets it listen; else it is for connecting only.
    listens: bool,
}

impl TcpSocket {
    /// Takes a port, or an address and a port, as [`TcpListener::bind`] does.
    ///
    /// # Errors
    /// [`BindError`]. Where the policy does not let anybody listen on the port, it may still be any free one for
    /// connecting.
    pub fn bind(stack: &Stack, address: impl Into<BindAddress>) -> Result<TcpSocket, BindError> {
        let address = address.into();
        let listens = stack.allows(Access::Listen(Protocol::Tcp, address.port));
        let connects = address.port == 0 && stack.allows(Access::ConnectSomewhere(Protocol::Tcp));
        if !listens && !connects {
            return Err(BindError::Forbidden);
        }
        let reserved = TcpListener::reserve(stack, address)?;
        Ok(TcpSocket { reserved, listens })
    }

    /// Accepts connections from now on.
    ///
    /// # Errors
    /// The socket as it was, and [`BindError::Forbidden`].
    pub fn listen(self, options: ListenOptions) -> Result<TcpListener, (TcpSocket, BindError)> {
        if !self.listens {
            return Err((self, BindError::Forbidden));
        }
        self.reserved.open(options);
        Ok(self.reserved)
    }

    /// Begins to connect from here, as [`TcpStream::begin_connect`] does. The port is taken only as long as the socket is
    /// kept.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub fn begin_connect(
        &self,
        peer: SocketAddr,
        options: ListenOptions,
    ) -> Result<TcpStream, ConnectError> {
        TcpStream::begin_connect_from(self.reserved.stack(), self.local_addr(), peer, options)
    }

    /// The address bound to; unspecified where it is every address.
    pub fn local_addr(&self) -> SocketAddr {
        self.reserved.local_addr()
    }
}
