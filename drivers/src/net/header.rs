//! The header in front of every packet (virtio 1.2 §5.1.6): twelve bytes for version 1 devices.

/// Bytes of the header.
pub(super) const LEN: usize = 12;

/// Flag: the checksum field holds a partial sum, to be completed from `csum_start` on.
pub(super) const NEEDS_CSUM: u8 = 1;
/// Flag: the device has verified the checksum.
pub(super) const DATA_VALID: u8 = 2;
/// `gso_type` of a packet that is one frame.
pub(super) const GSO_NONE: u8 = 0;
/// `gso_type` of TCP segments over IPv4 in one packet.
pub(super) const GSO_TCPV4: u8 = 1;
/// `gso_type` of TCP segments over IPv6 in one packet.
pub(super) const GSO_TCPV6: u8 = 4;

/// What a received packet's header says, unchecked but for its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Received {
    pub(super) flags: u8,
    /// Buffers that the packet spans; means something only with `MRG_RXBUF`.
    pub(super) buffers: u16,
    /// Which kind of segments were merged into the packet, if any.
    pub(super) gso_type: u8,
}

/// Reads the header at the front of a received buffer.
pub(super) fn read(bytes: &[u8; LEN]) -> Received {
    Received {
        flags: bytes[0],
        buffers: u16::from_le_bytes([bytes[10], bytes[11]]),
        gso_type: bytes[1],
    }
}

/// Writes the header of a packet to be sent, one frame. With `partial`, the device sums from the
/// first offset (in the frame) on and puts the result so many bytes behind it.
pub(super) fn write(bytes: &mut [u8; LEN], partial: Option<(u16, u16)>) {
    *bytes = [0; LEN];
    if let Some((start, offset)) = partial {
        bytes[0] = NEEDS_CSUM;
        bytes[6..8].copy_from_slice(&start.to_le_bytes());
        bytes[8..10].copy_from_slice(&offset.to_le_bytes());
    }
}

/// Has the device cut the packet, TCP over IPv4 with a partial checksum, into segments of `size` bytes
/// behind headers of `headers` bytes. After [`write()`].
pub(super) fn write_segmentation(bytes: &mut [u8; LEN], headers: u16, size: u16) {
    bytes[1] = GSO_TCPV4;
    bytes[2..4].copy_from_slice(&headers.to_le_bytes());
    bytes[4..6].copy_from_slice(&size.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lays_the_fields_out_as_the_specification_does() {
        let mut bytes = [0xff; LEN];
        write(&mut bytes, Some((34, 16)));
        assert_eq!(bytes, [1, 0, 0, 0, 0, 0, 34, 0, 16, 0, 0, 0]);
        write_segmentation(&mut bytes, 54, 1460);
        assert_eq!(bytes, [1, 1, 54, 0, 0xb4, 5, 34, 0, 16, 0, 0, 0]);
        write(&mut bytes, None);
        assert_eq!(bytes, [0; LEN]);
        let received = read(&[3, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 1]);
        assert_eq!(
            received,
            Received {
                flags: 3,
                buffers: 0x102,
                gso_type: GSO_TCPV4
            }
        );
    }
}
