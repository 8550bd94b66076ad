//! What names a TCP connection: its two ends.

use core::hash::{Hash, Hasher};
use core::net::{IpAddr, SocketAddr};

/// The local and the remote end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flow {
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
}

impl Hash for Flow {
    /// One or two wide writes instead of a dozen narrow ones: it runs for every segment.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let ports = u64::from(self.local.port()) << 16 | u64::from(self.remote.port());
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
        state.write_u64(ports);
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}
