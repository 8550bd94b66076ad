//! Ethernet frames (IEEE 802.3): addresses, and the header in front of each packet.
//!
//! The link reads and writes every frame by it. It is our own, as ARP and neighbour discovery are, so
//! that smoltcp is built without its link layer.

use core::fmt;

/// What a frame carries, as in the header's last field.
pub(crate) mod ethertype {
    pub(crate) const IPV4: u16 = 0x0800;
    pub(crate) const ARP: u16 = 0x0806;
    pub(crate) const IPV6: u16 = 0x86dd;
}

/// Bytes of a header.
pub(crate) const HEADER_LEN: usize = 14;

/// An Ethernet address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EthernetAddress(pub(crate) [u8; 6]);

impl EthernetAddress {
    pub(crate) const BROADCAST: EthernetAddress = EthernetAddress([0xff; 6]);

    /// One host, rather than a group or everybody.
    pub(crate) fn is_unicast(&self) -> bool {
        self.0[0] & 1 == 0
    }
}

impl fmt::Display for EthernetAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "-" };
            write!(f, "{separator}{byte:02x}")?;
        }
        Ok(())
    }
}

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) destination: EthernetAddress,
    pub(crate) source: EthernetAddress,
    pub(crate) ethertype: u16,
}

impl Header {
    /// The header, and what is behind it. `None`: the frame is shorter than that.
    #[inline]
    pub(crate) fn parse(frame: &[u8]) -> Option<(Header, &[u8])> {
        let (bytes, payload) = frame.split_first_chunk::<HEADER_LEN>()?;
        let [a, b, c, d, e, f, g, h, i, j, k, l, high, low] = *bytes;
        let header = Header {
            destination: EthernetAddress([a, b, c, d, e, f]),
            source: EthernetAddress([g, h, i, j, k, l]),
            ethertype: u16::from_be_bytes([high, low]),
        };
        Some((header, payload))
    }

    /// Writes the header to the beginning of a frame.
    ///
    /// # Panics
    /// Where the frame is shorter than a header.
    #[inline]
    pub(crate) fn write(&self, frame: &mut [u8]) {
        let frame = &mut frame[..HEADER_LEN];
        frame[..6].copy_from_slice(&self.destination.0);
        frame[6..12].copy_from_slice(&self.source.0);
        frame[12..].copy_from_slice(&self.ethertype.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use smoltcp::wire::EthernetFrame;

    const HEADER: Header = Header {
        destination: EthernetAddress([1, 2, 3, 4, 5, 6]),
        source: EthernetAddress([0xa, 0xb, 0xc, 0xd, 0xe, 0xf]),
        ethertype: ethertype::IPV6,
    };

    #[test]
    fn what_is_written_is_read_here_and_elsewhere() {
        let mut frame = [0; HEADER_LEN + 1];
        HEADER.write(&mut frame);
        assert_eq!(Header::parse(&frame), Some((HEADER, &[0][..])));
        let other = EthernetFrame::new_checked(&frame[..]).unwrap();
        assert_eq!(other.dst_addr().0, HEADER.destination.0);
        assert_eq!(other.src_addr().0, HEADER.source.0);
        assert_eq!(u16::from(other.ethertype()), HEADER.ethertype);
        assert_eq!(Header::parse(&frame[..HEADER_LEN - 1]), None);
    }

    #[test]
    fn a_group_is_no_host() {
        assert!(HEADER.source.is_unicast());
        assert!(!HEADER.destination.is_unicast());
        assert!(!EthernetAddress::BROADCAST.is_unicast());
        assert_eq!(HEADER.source.to_string(), "0a-0b-0c-0d-0e-0f");
    }
}
