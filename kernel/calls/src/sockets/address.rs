//! Addresses as programs have them: three forms, told apart by their length.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use abi::layout::{NetAddressV4, NetAddressV4Packed, NetAddressV6};

use crate::failure::{Failure, Outcome};
use crate::user::{AddressSpace, Alleged, Place, UserOut};

const V4: u64 = size_of::<NetAddressV4>() as u64;
const PACKED: u64 = size_of::<NetAddressV4Packed>() as u64;
const V6: u64 = size_of::<NetAddressV6>() as u64;

/// The family of a socket's addresses. An IPv6 socket also talks IPv4, to peers that are `::ffff:a.b.c.d` to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Domain {
    V4,
    V6,
}

impl Domain {
    /// Every address, and any free port.
    pub(crate) fn any(self) -> SocketAddr {
        match self {
            Domain::V4 => (Ipv4Addr::UNSPECIFIED, 0).into(),
            Domain::V6 => (Ipv6Addr::UNSPECIFIED, 0).into(),
        }
    }

    /// How many bytes an address takes that a call writes.
    pub(crate) fn size(self) -> u32 {
        match self {
            Domain::V4 => V4 as u32,
            Domain::V6 => V6 as u32,
        }
    }

    /// Reads an address of this family. Its last argument is the one behind it.
    pub(crate) fn read(self, space: &dyn AddressSpace, alleged: &Alleged) -> Outcome<SocketAddr> {
        match (self, alleged.len()) {
            (Domain::V4, V4) => {
                let address: NetAddressV4 = alleged.value(space)?;
                Ok((Ipv4Addr::from_bits(address.ip4), address.port).into())
            }
            (Domain::V4, PACKED) => {
                let address: NetAddressV4Packed = alleged.value(space)?;
                Ok((Ipv4Addr::from(address.ip), u16::from_be_bytes(address.port)).into())
            }
            (Domain::V6, V6) => {
                let address: NetAddressV6 = alleged.value(space)?;
                if address.scope != 0 {
                    return Err(alleged.failure(abi::Error::Invalid));
                }
                let ip = Ipv6Addr::from(address.ip).to_canonical();
                Ok((ip, address.port).into())
            }
            (_, len) => Err(Failure::invalid(alleged.argument + 1, len)),
        }
    }

    /// An address as a program with such a socket sees it.
    pub(crate) fn seen(self, address: SocketAddr) -> SocketAddr {
        match (self, address.ip()) {
            (Domain::V6, IpAddr::V4(ip)) => (ip.to_ipv6_mapped(), address.port()).into(),
            _ => address,
        }
    }
}

/// An address in the long form; an IPv4 one as `::ffff:a.b.c.d`.
pub(crate) fn long_form(address: IpAddr, port: u16) -> NetAddressV6 {
    let ip = match address {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    NetAddressV6 {
        ip: ip.octets(),
        port,
        reserved: 0,
        scope: 0,
    }
}

/// Writes an address in the form of its family, and its length. The room is as long as [`Domain::size`] says.
pub(crate) fn write_address(address: SocketAddr, room: &UserOut, len: &Place<u32>) {
    let mut bytes = [0; V6 as usize];
    let used = match address.ip() {
        IpAddr::V4(ip) => {
            bytes[..4].copy_from_slice(&ip.to_bits().to_ne_bytes());
            bytes[4..6].copy_from_slice(&address.port().to_ne_bytes());
            V4 as usize
        }
        IpAddr::V6(ip) => {
            bytes[..16].copy_from_slice(&ip.octets());
            bytes[16..18].copy_from_slice(&address.port().to_ne_bytes());
            V6 as usize
        }
    };
    room.first(used)
        .with(|room| room.copy_from_slice(&bytes[..room.len()]));
    len.put(used as u32);
}
