//! What the holder of a network may do with it.
//!
//! A policy is a list of what is allowed; what no rule allows is forbidden. It stands in the handle of the network, so that
//! whoever is given a restricted one cannot reach past it, and it is asked where ports are bound, connections begun,
//! datagrams sent and names resolved, and nowhere else: what came into being stays usable.
//!
//! ```
//! use policy::network::{Access, Policy, PortRange, Protocol, Rule};
//! let web = Rule::Listen { protocol: Some(Protocol::Tcp), ports: PortRange { first: 80, last: 90 } };
//! let policy = Policy::new([web]);
//! assert!(policy.allows(Access::Listen(Protocol::Tcp, 85)));
//! assert!(!policy.allows(Access::Listen(Protocol::Tcp, 22)));
//! assert!(!policy.allows(Access::Resolve));
//! ```

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use crate::AddressPrefix;

/// What ports belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// Ports, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    /// The lowest.
    pub first: u16,
    /// The highest.
    pub last: u16,
}

impl PortRange {
    /// Every port, and 0, which stands for any free one.
    pub const ALL: PortRange = PortRange {
        first: 0,
        last: u16::MAX,
    };

    fn contains(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }
}

/// Something that is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// To listen on ports of ours, or to talk with anybody from a UDP port. Port 0 is the wish for any free one.
    Listen {
        /// Of what; `None`: both.
        protocol: Option<Protocol>,
        /// The ports asked for.
        ports: PortRange,
    },
    /// To connect to peers, or to send them datagrams, from a port that is any free one.
    Connect {
        /// By what; `None`: both.
        protocol: Option<Protocol>,
        /// The peers' addresses; `None`: all.
        to: Option<AddressPrefix>,
        /// The peers' ports.
        ports: PortRange,
    },
    /// To ask for the addresses of names.
    Resolve,
}

/// Something that somebody is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To listen on a port, or to talk with anybody from it.
    Listen(Protocol, u16),
    /// To connect to a peer, or send to it.
    Connect(Protocol, SocketAddr),
    /// To take any free port for connecting to somebody.
    ConnectSomewhere(Protocol),
    /// To ask for a name.
    Resolve,
}

/// A list of what is allowed. The default one is empty: it allows nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    rules: Vec<Rule>,
}

impl Policy {
    /// The policy of these rules. Each question looks at all of them, so there should be few.
    pub fn new(rules: impl IntoIterator<Item = Rule>) -> Policy {
        Policy {
            rules: rules.into_iter().collect(),
        }
    }

    /// Whether any rule allows something.
    pub fn allows(&self, access: Access) -> bool {
        self.rules.iter().any(|rule| rule.allows(access))
    }
}

impl Rule {
    fn allows(&self, access: Access) -> bool {
        let is = |protocol: Option<Protocol>, wanted| protocol.is_none_or(|one| one == wanted);
        match (*self, access) {
            (Rule::Listen { protocol, ports }, Access::Listen(wanted, port)) => {
                is(protocol, wanted) && ports.contains(port)
            }
            (
                Rule::Connect {
                    protocol,
                    to,
                    ports,
                },
                Access::Connect(wanted, peer),
            ) => is(protocol, wanted) && ports.contains(peer.port()) && includes(to, peer.ip()),
            (Rule::Connect { protocol, .. }, Access::ConnectSomewhere(wanted)) => {
                is(protocol, wanted)
            }
            (Rule::Resolve, Access::Resolve) => true,
            _ => false,
        }
    }
}

fn includes(prefix: Option<AddressPrefix>, address: IpAddr) -> bool {
    prefix.is_none_or(|prefix| prefix.contains(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connect(to: &str, prefix: u8) -> Policy {
        Policy::new([Rule::Connect {
            protocol: Some(Protocol::Tcp),
            to: Some(AddressPrefix {
                address: to.parse().unwrap(),
                prefix,
            }),
            ports: PortRange {
                first: 443,
                last: 443,
            },
        }])
    }

    fn to(peer: &str) -> Access {
        Access::Connect(Protocol::Tcp, peer.parse().unwrap())
    }

    #[test]
    fn peers_are_told_apart_by_prefix_port_and_protocol() {
        let policy = connect("10.0.0.0", 8);
        assert!(policy.allows(to("10.255.1.2:443")));
        for other in ["11.0.0.0:443", "10.0.0.1:444", "[::ffff:10.0.0.1]:443"] {
            assert!(!policy.allows(to(other)), "{other}");
        }
        let udp = Access::Connect(Protocol::Udp, "10.0.0.1:443".parse().unwrap());
        assert!(!policy.allows(udp));
        assert!(connect("fd00::", 8).allows(to("[fdff::1]:443")));
        assert!(!connect("fd00::", 8).allows(to("[fe00::1]:443")));
        assert!(connect("0.0.0.0", 0).allows(to("1.2.3.4:443")));
        assert!(!connect("0.0.0.0", 0).allows(to("[::1]:443")));
    }

    #[test]
    fn an_empty_policy_allows_nothing() {
        let udp = Protocol::Udp;
        for access in [
            Access::Listen(udp, 0),
            to("10.0.0.1:443"),
            Access::ConnectSomewhere(udp),
            Access::Resolve,
        ] {
            assert!(!Policy::default().allows(access));
        }
    }

    #[test]
    fn who_may_connect_to_one_may_take_a_port_for_it_but_not_listen() {
        let policy = connect("10.0.0.0", 8);
        assert!(policy.allows(Access::ConnectSomewhere(Protocol::Tcp)));
        assert!(!policy.allows(Access::ConnectSomewhere(Protocol::Udp)));
        assert!(!policy.allows(Access::Listen(Protocol::Tcp, 0)));
    }
}
