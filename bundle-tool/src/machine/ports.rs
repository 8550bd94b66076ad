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

use std::collections::HashSet;
use std::io;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};

use super::config::{Forward, Protocol, VmConfig};
use super::error::StartError;

/// A port that nobody has bound just now.
pub fn free(protocol: Protocol) -> io::Result<u16> {
    bind(protocol, 0)
}

/// Whether nobody has bound `port` just now.
pub fn is_free(protocol: Protocol, port: u16) -> bool {
    try_bind(protocol, port).is_ok()
}

/// Binds `port` for a moment; fails if somebody has it, or this user may not.
fn try_bind(protocol: Protocol, port: u16) -> io::Result<()> {
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

/// Gives each forward with host port 0 a free one; refuses taken ones.
pub(super) fn choose(config: &mut VmConfig) -> Result<(), StartError> {
    let mut chosen = HashSet::new();
    for forward in config.forwards_mut() {
        let Forward {
            protocol,
            host_port,
            ..
        } = *forward;
        if host_port == 0 {
            forward.host_port = free(protocol).map_err(StartError::host("find a free port"))?;
        }
        let port = forward.host_port;
        // The system may offer the same free port twice, as nobody binds it in between.
        if !chosen.insert((protocol, port)) {
            return Err(StartError::PortTaken { protocol, port });
        }
        try_bind(protocol, port).map_err(|error| unusable(protocol, port, &error))?;
    }
    Ok(())
}

/// Why a port that cannot be bound cannot.
fn unusable(protocol: Protocol, port: u16, error: &io::Error) -> StartError {
    match error.kind() {
        io::ErrorKind::PermissionDenied => StartError::PortForbidden { protocol, port },
        _ => StartError::PortTaken { protocol, port },
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::Nic;
    use super::*;

    #[test]
    fn a_taken_port_is_an_error_before_anything_starts() {
        let holder = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = holder.local_addr().unwrap().port();
        let mut config = VmConfig::new("k").nic(Nic::user([Forward::tcp(port, 80)]));
        let error = choose(&mut config).unwrap_err();
        assert!(
            matches!(error, StartError::PortTaken { protocol: Protocol::Tcp, port: p } if p == port)
        );
    }

    #[test]
    fn free_ports_are_chosen_for_zero() {
        let nic = Nic::user([Forward::tcp(0, 80), Forward::udp(0, 7)]);
        let mut config = VmConfig::new("k").nic(nic);
        choose(&mut config).unwrap();
        assert!(config.forwards().all(|forward| forward.host_port != 0));
    }

    #[test]
    fn one_port_cannot_lead_to_two_places() {
        let port = free(Protocol::Tcp).unwrap();
        let nic = Nic::user([Forward::tcp(port, 80), Forward::tcp(port, 81)]);
        assert!(choose(&mut VmConfig::new("k").nic(nic)).is_err());
    }

    #[test]
    fn a_port_that_this_user_may_not_have_is_not_called_taken() {
        let forbidden = unusable(Protocol::Tcp, 80, &io::ErrorKind::PermissionDenied.into());
        assert_eq!(
            forbidden.to_string(),
            "this user may not listen on tcp port 80"
        );
        let taken = unusable(Protocol::Tcp, 80, &io::ErrorKind::AddrInUse.into());
        assert!(matches!(taken, StartError::PortTaken { .. }), "{taken}");
    }
}
