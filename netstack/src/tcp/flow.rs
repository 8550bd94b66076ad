//! What names a TCP connection: its two ends.

use core::hash::{Hash, Hasher};
use core::net::{IpAddr, SocketAddr, SocketAddrV4};

use crate::packet::IpHead;

/// The local and the remote end of a connection.
#[derive(Clone, Copy, Debug, Eq)]
pub(crate) struct Flow {
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
}

impl Flow {
    /// The flow as numbers: both addresses, then the ports.
    pub(crate) fn words(&self) -> [u64; 5] {
        let [local, remote] = [self.local.ip(), self.remote.ip()].map(bits);
        let halves = |bits: u128| ((bits >> 64) as u64, bits as u64);
        let ((local_high, local), (remote_high, remote)) = (halves(local), halves(remote));
        [local_high, local, remote_high, remote, self.ports()]
    }

    fn ports(&self) -> u64 {
        u64::from(self.local.port()) << 16 | u64::from(self.remote.port())
    }

    /// The ends of a packet that came in. `None`: it is too short to have ports.
    pub(super) fn of(head: &IpHead<'_>) -> Option<Flow> {
        let (source, destination) = head.ports()?;
        Some(Flow {
            local: SocketAddr::new(head.destination, destination),
            remote: SocketAddr::new(head.source, source),
        })
    }
}

impl PartialEq for Flow {
    /// The same as the derived one, for IPv4 in a few comparisons of whole words: it runs for every
    /// segment.
    fn eq(&self, other: &Flow) -> bool {
        match (self, other) {
            (
                Flow {
                    local: SocketAddr::V4(local),
                    remote: SocketAddr::V4(remote),
                },
                Flow {
                    local: SocketAddr::V4(other_local),
                    remote: SocketAddr::V4(other_remote),
                },
            ) => {
                let same = |one: &SocketAddrV4, other: &SocketAddrV4| {
                    (one.ip().to_bits() ^ other.ip().to_bits())
                        | u32::from(one.port() ^ other.port())
                        == 0
                };
                same(remote, other_remote) && same(local, other_local)
            }
            _ => (self.local, self.remote) == (other.local, other.remote),
        }
    }
}

impl Hash for Flow {
    /// One or two wide writes instead of a dozen narrow ones: it runs for every segment.
    fn hash<H: Hasher>(&self, state: &mut H) {
        match (self.local.ip(), self.remote.ip()) {
            (IpAddr::V4(local), IpAddr::V4(remote)) => {
                let remote = u64::from(remote.to_bits());
                state.write_u64(u64::from(local.to_bits()) << 32 | remote);
            }
            (local, remote) => {
                state.write_u128(bits(local));
                state.write_u128(bits(remote));
            }
        }
        state.write_u64(self.ports());
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}
