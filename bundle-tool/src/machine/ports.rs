//! Ports of this host's loopback address: finds free ones and says which are taken. Called while a
//! machine is started.
//!
//! Between the look and the VMM's own bind another process may take the port. That race cannot be
//! closed from here, so [`Launch`](super::Launch) tries again with other ports when it is lost.
//!
//! ```
//! use bundle_tool::machine::{ports, Protocol};
//! let port = ports::free(Protocol::Tcp)?;
//! assert!(ports::is_free(Protocol::Tcp, port));
//! let holder = std::net::TcpListener::bind(("127.0.0.1", port))?;
//! assert!(!ports::is_free(Protocol::Tcp, port));
//! # Ok::<(), std::io::Error>(())
//! ```

use std::io;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};

use super::config::Protocol;

/// A port that nobody has bound just now.
pub fn free(protocol: Protocol) -> io::Result<u16> {
    bind(protocol, 0)
}

/// Whether nobody has bound `port` just now.
pub fn is_free(protocol: Protocol, port: u16) -> bool {
    try_bind(protocol, port).is_ok()
}

/// Binds `port` for a moment.
///
/// # Errors
/// Somebody has it, or this user may not.
pub fn try_bind(protocol: Protocol, port: u16) -> io::Result<()> {
    bind(protocol, port).map(drop)
}

fn bind(protocol: Protocol, port: u16) -> io::Result<u16> {
    let address = (Ipv4Addr::LOCALHOST, port);
    let bound = match protocol {
        Protocol::Tcp => TcpListener::bind(address)?.local_addr()?,
        Protocol::Udp => UdpSocket::bind(address)?.local_addr()?,
    };
    Ok(bound.port())
}
