//! An address and how much of it counts.

use core::fmt;
use core::net::IpAddr;

/// An address, and how many of its leading bits are a network's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressPrefix {
    /// The address.
    pub address: IpAddr,
    /// Bits of the network; 32 or 128 means that only the address itself is meant.
    pub prefix: u8,
}

impl fmt::Display for AddressPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl AddressPrefix {
    /// Whether an address is in the network.
    pub fn contains(&self, other: IpAddr) -> bool {
        match (self.address, other) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let distinct = own.to_bits() ^ other.to_bits();
                distinct.leading_zeros() >= u32::from(self.prefix)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let distinct = own.to_bits() ^ other.to_bits();
                distinct.leading_zeros() >= u32::from(self.prefix)
            }
            _ => false,
        }
    }
}
