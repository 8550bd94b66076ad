//! What a stack is told at its start: addresses, limits, timeouts.
//!
//! Plain data. Whoever builds the stack fills it in; nothing here touches a packet.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;

use crate::tcp::{SMALLEST_CONNECTION_BYTES, TIME_WAIT_BYTES};

/// Everything a stack needs to know before its first frame.
///
/// ```
/// use core::net::Ipv4Addr;
/// use netstack::{Config, Ipv4Config, StaticIpv4};
///
/// let mut config = Config::new([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
/// config.ipv4 = Ipv4Config::Static(StaticIpv4 {
///     address: Ipv4Addr::new(10, 0, 2, 15),
///     prefix: 24,
///     gateway: Some(Ipv4Addr::new(10, 0, 2, 2)),
///     dns: vec![Ipv4Addr::new(10, 0, 2, 3)],
/// });
/// assert!(config.validate().is_ok());
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    /// The Ethernet address of the device; unicast.
    pub mac: [u8; 6],
    /// Sent to the DHCP server where not empty; at most 63 bytes are used.
    pub hostname: String,
    /// How the IPv4 address is found. Default: DHCP.
    pub ipv4: Ipv4Config,
    /// How IPv6 addresses are found. Default: none.
    pub ipv6: Ipv6Config,
    /// Bounds on everything that grows.
    pub limits: Limits,
    /// How long connections may be silent.
    pub timeouts: Timeouts,
}

/// How the IPv4 address is found.
#[derive(Clone, Debug)]
pub enum Ipv4Config {
    /// No IPv4 beyond the loopback.
    None,
    /// Ask a DHCP server, and keep the lease renewed (RFC 2131).
    Dhcp,
    /// Use these.
    Static(StaticIpv4),
}

/// A fixed IPv4 address.
#[derive(Clone, Debug)]
pub struct StaticIpv4 {
    /// Our address; unicast.
    pub address: Ipv4Addr,
    /// Bits of the on-link prefix, 0 to 32. With 32 everything goes through the gateway.
    pub prefix: u8,
    /// The next hop for everything else. It may lie outside the prefix (169.254.1.1 with a /32).
    pub gateway: Option<Ipv4Addr>,
    /// DNS servers, asked in this order.
    pub dns: Vec<Ipv4Addr>,
}

/// How IPv6 addresses are found.
#[derive(Clone, Debug)]
pub enum Ipv6Config {
    /// No IPv6 beyond the loopback.
    None,
    /// A link-local address, and what routers advertise (RFC 4862).
    Slaac,
    /// A link-local address and this one.
    Static(StaticIpv6),
}

/// A fixed IPv6 address.
#[derive(Clone, Debug)]
pub struct StaticIpv6 {
    /// Our address; unicast.
    pub address: Ipv6Addr,
    /// Bits of the on-link prefix, 0 to 128.
    pub prefix: u8,
    /// The next hop for everything else, most often link-local.
    pub gateway: Option<Ipv6Addr>,
    /// DNS servers, asked in this order.
    pub dns: Vec<Ipv6Addr>,
}

/// Bounds on what peers and the workload can make the stack hold.
///
/// What happens at each bound is counted in [`Stats`](crate::Stats).
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections with buffers, in any state but TIME-WAIT. Beyond it SYNs are dropped and
    /// `connect` fails.
    pub connections: usize,
    /// Bytes that those connections may take together: their buffers and their places in the tables,
    /// about a kibibyte and a half for each. A new connection gets at most a 64th of what is left for
    /// its buffers, so they shrink as connections grow, but no less than 2 KiB each way (or what it
    /// asked for). Where that does not fit SYNs are dropped and `connect` fails.
    /// A few sockets of connections that are over lie within it, too, until others need the bytes.
    pub tcp_bytes: usize,
    /// Connections in TIME-WAIT, which hold no buffers. Beyond it the oldest is recycled.
    pub time_wait: usize,
    /// Connections whose stream was dropped and which still have to close. Beyond it, dropping
    /// a stream resets its connection.
    pub orphans: usize,
    /// UDP sockets.
    pub udp_sockets: usize,
    /// Bytes that the queues of UDP sockets may have together. Beyond it `bind` fails, and so does
    /// `resolve`, which needs a socket.
    pub udp_bytes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 16_384,
            tcp_bytes: 128 << 20,
            time_wait: 4_096,
            orphans: 1_024,
            udp_sockets: 256,
            udp_bytes: 8 << 20,
        }
    }
}

impl Limits {
    /// Limits with which a stack takes about `bytes` of memory at most, however many peers there are
    /// and whatever they do: seven eighths for connections, a sixteenth each for TIME-WAIT and for UDP
    /// queues. Never more of anything than by default. Beyond it come packets that wait, and the
    /// neighbours: some 300 KiB at worst.
    ///
    /// ```
    /// use netstack::Limits;
    /// let small = Limits::within(1 << 20);
    /// assert!(small.connections > 100 && small.connections < Limits::default().connections);
    /// ```
    pub fn within(bytes: usize) -> Limits {
        let most = Limits::default();
        let tcp_bytes = (bytes - bytes / 8).min(most.tcp_bytes);
        let connections = (tcp_bytes / SMALLEST_CONNECTION_BYTES).min(most.connections);
        Limits {
            connections,
            tcp_bytes,
            time_wait: (bytes / 16 / TIME_WAIT_BYTES).min(most.time_wait),
            // A peer that just stays away keeps one for minutes, so most is left for others.
            orphans: (connections / 4).min(most.orphans),
            udp_sockets: most.udp_sockets,
            udp_bytes: (bytes / 16).min(most.udp_bytes),
        }
    }
}

/// How long connections may be silent before they are given up.
#[derive(Clone, Debug)]
pub struct Timeouts {
    /// From SYN to established, for `connect`.
    pub connect: Duration,
    /// From SYN to established, for a listener.
    pub half_open: Duration,
    /// With unacknowledged data, since the peer was last heard (RFC 5482's user timeout).
    pub unacknowledged: Duration,
    /// How long a dropped stream that has delivered everything waits for the peer to close. Before,
    /// `unacknowledged` holds, counted from the last progress; a peer that takes its data in drops is
    /// limited by [`Limits::orphans`] only.
    pub linger: Duration,
    /// How long a closed connection answers late segments (RFC 9293 §3.6.1; 2 MSL).
    pub time_wait: Duration,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts {
            connect: Duration::from_secs(30),
            half_open: Duration::from_secs(15),
            unacknowledged: Duration::from_secs(300),
            linger: Duration::from_secs(60),
            time_wait: Duration::from_secs(10),
        }
    }
}

/// The smallest MTU a stack works with.
pub(crate) const MIN_MTU: usize = 576;

/// Why a [`Config`] cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// The Ethernet address is a multicast or the zero address.
    Mac,
    /// This address cannot be a host's: unspecified, loopback, broadcast or multicast.
    Address(IpAddr),
    /// More bits of prefix than the address has.
    Prefix(u8),
    /// The gateway cannot be a host's address.
    Gateway(IpAddr),
    /// The device's frames are too small: its largest IP packet has this many bytes, and the stack
    /// needs 576 (RFC 1122 §3.3.2).
    Mtu(usize),
}

impl core::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            ConfigError::Mac => write!(f, "the Ethernet address is not unicast"),
            ConfigError::Address(address) => write!(f, "{address} cannot be a host's address"),
            ConfigError::Prefix(bits) => write!(f, "a prefix cannot have {bits} bits"),
            ConfigError::Mtu(bytes) => write!(f, "packets of {bytes} bytes are too small"),
            ConfigError::Gateway(address) => write!(f, "{address} cannot be a gateway"),
        }
    }
}

impl core::error::Error for ConfigError {}

impl Config {
    /// A stack that asks DHCP for IPv4 and speaks no IPv6.
    pub fn new(mac: [u8; 6]) -> Config {
        Config {
            mac,
            hostname: String::new(),
            ipv4: Ipv4Config::Dhcp,
            ipv6: Ipv6Config::None,
            limits: Limits::default(),
            timeouts: Timeouts::default(),
        }
    }

    /// Checks what would otherwise be a panic or a silent stack later.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if self.mac[0] & 1 != 0 || self.mac == [0; 6] {
            return Err(ConfigError::Mac);
        }
        if let Ipv4Config::Static(ipv4) = &self.ipv4 {
            check(ipv4.address.into(), ipv4.prefix, 32)?;
            check_gateway(ipv4.gateway.map(IpAddr::V4))?;
        }
        if let Ipv6Config::Static(ipv6) = &self.ipv6 {
            check(ipv6.address.into(), ipv6.prefix, 128)?;
            check_gateway(ipv6.gateway.map(IpAddr::V6))?;
        }
        Ok(())
    }
}

fn check(address: IpAddr, prefix: u8, bits: u8) -> Result<(), ConfigError> {
    if prefix > bits {
        return Err(ConfigError::Prefix(prefix));
    }
    if is_host(address) {
        Ok(())
    } else {
        Err(ConfigError::Address(address))
    }
}

fn check_gateway(gateway: Option<IpAddr>) -> Result<(), ConfigError> {
    match gateway {
        Some(address) if !is_host(address) => Err(ConfigError::Gateway(address)),
        _ => Ok(()),
    }
}

/// Whether one host on the link can have this address.
pub(crate) fn is_host(address: IpAddr) -> bool {
    let broadcast = address == IpAddr::V4(Ipv4Addr::BROADCAST);
    !(broadcast || address.is_unspecified() || address.is_multicast() || address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

    fn static_ipv4(address: [u8; 4], prefix: u8, gateway: Option<[u8; 4]>) -> Config {
        let mut config = Config::new(MAC);
        config.ipv4 = Ipv4Config::Static(StaticIpv4 {
            address: address.into(),
            prefix,
            gateway: gateway.map(Into::into),
            dns: Vec::new(),
        });
        config
    }

    #[test]
    fn a_host_address_with_a_gateway_outside_its_prefix_is_fine() {
        let config = static_ipv4([10, 1, 2, 3], 32, Some([169, 254, 1, 1]));
        assert_eq!(config.validate(), Ok(()));
    }

    #[test]
    fn addresses_that_no_host_can_have_are_refused() {
        for address in [
            [0, 0, 0, 0],
            [127, 0, 0, 1],
            [224, 0, 0, 1],
            [255, 255, 255, 255],
        ] {
            let error = ConfigError::Address(IpAddr::V4(address.into()));
            assert_eq!(static_ipv4(address, 24, None).validate(), Err(error));
        }
    }

    #[test]
    fn limits_keep_within_their_bytes_and_the_default() {
        let most = Limits::default();
        for bytes in [0, 100_000, 1 << 20, 1 << 24, 1 << 33] {
            let limits = Limits::within(bytes);
            let all = limits.tcp_bytes + limits.udp_bytes + limits.time_wait * TIME_WAIT_BYTES;
            assert!(all <= bytes, "{limits:?}");
            assert!(limits.connections <= most.connections && limits.orphans <= most.orphans);
            assert!(limits.time_wait <= most.time_wait && limits.udp_bytes <= most.udp_bytes);
        }
        assert_eq!(Limits::within(1 << 33).connections, most.connections);
    }

    #[test]
    fn prefix_gateway_and_mac_are_checked() {
        assert_eq!(
            static_ipv4([10, 0, 0, 1], 33, None).validate(),
            Err(ConfigError::Prefix(33))
        );
        let multicast = static_ipv4([10, 0, 0, 1], 24, Some([224, 0, 0, 1]));
        assert!(matches!(multicast.validate(), Err(ConfigError::Gateway(_))));
        assert_eq!(
            Config::new([1, 0, 0, 0, 0, 0]).validate(),
            Err(ConfigError::Mac)
        );
    }
}
