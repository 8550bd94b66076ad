//! What a socket is bound to.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What stands for every IPv4 address.
pub(crate) const EVERY_IPV4: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// A port, and an address or all of them.
///
/// ```
/// use netstack::BindAddress;
/// let everywhere = BindAddress::from(8080);
/// let unspecified = BindAddress::from("0.0.0.0:8080".parse::<core::net::SocketAddr>().unwrap());
/// assert_eq!(everywhere, unspecified);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BindAddress {
    /// `None`: every address of ours, of both families. `0.0.0.0`: every IPv4 address.
    pub address: Option<IpAddr>,
    /// 0: a free ephemeral one.
    pub port: u16,
}

impl BindAddress {
    /// A port on every IPv4 address, and on no other; a [`SocketAddr`] cannot say that.
    pub fn ipv4(port: u16) -> BindAddress {
        BindAddress {
            address: Some(EVERY_IPV4),
            port,
        }
    }

    /// The one address that it is about, if it is.
    pub(crate) fn single(&self) -> Option<IpAddr> {
        self.address.filter(|address| *address != EVERY_IPV4)
    }

    /// As a socket address with this port; every address is written `[::]`.
    pub(crate) fn unspecified(&self, port: u16) -> SocketAddr {
        let any = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        SocketAddr::new(self.address.unwrap_or(any), port)
    }
}

impl From<u16> for BindAddress {
    fn from(port: u16) -> BindAddress {
        BindAddress {
            address: None,
            port,
        }
    }
}

impl From<SocketAddr> for BindAddress {
    fn from(address: SocketAddr) -> BindAddress {
        let ip = address.ip();
        BindAddress {
            address: (!ip.is_unspecified()).then_some(ip),
            port: address.port(),
        }
    }
}

impl From<(IpAddr, u16)> for BindAddress {
    fn from((ip, port): (IpAddr, u16)) -> BindAddress {
        SocketAddr::new(ip, port).into()
    }
}
