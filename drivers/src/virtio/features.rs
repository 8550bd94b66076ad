//! Feature bits that driver and device negotiate (virtio 1.2 §2.2, §5.1.3, §5.2.3, §6).

use core::fmt;
use core::ops::BitOr;

/// A set of feature bits, each numbered as in the specification.
///
/// ```
/// use drivers::virtio::Features;
/// let offered = Features::VERSION_1 | Features::EVENT_IDX;
/// assert!(offered.contains(Features::VERSION_1));
/// assert_eq!(offered.and(Features::EVENT_IDX), Features::EVENT_IDX);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Features(u64);

impl Features {
    /// No feature.
    pub const NONE: Features = Features(0);

    /// A request may point at a table of descriptors instead of using several (§2.7.5.3).
    pub const INDIRECT: Features = Features::bit(28);
    /// Both sides name the index at which they want to be told (§2.7.7, §2.7.10).
    pub const EVENT_IDX: Features = Features::bit(29);
    /// The device follows version 1 of the specification. Required.
    pub const VERSION_1: Features = Features::bit(32);

    /// Network: the device completes a partial checksum of what the driver sends.
    pub const NET_CSUM: Features = Features::bit(0);
    /// Network: the driver takes packets whose checksum is partial or was verified already.
    pub const NET_GUEST_CSUM: Features = Features::bit(1);
    /// Network: the device tells the largest packet.
    pub const NET_MTU: Features = Features::bit(3);
    /// Network: the device has an address of its own.
    pub const NET_MAC: Features = Features::bit(5);
    /// Network: the driver takes TCP segments over IPv4 that were merged into one packet.
    pub const NET_GUEST_TSO4: Features = Features::bit(7);
    /// Network: the same over IPv6.
    pub const NET_GUEST_TSO6: Features = Features::bit(8);
    /// Network: the device cuts large TCP packets over IPv4 into segments.
    pub const NET_HOST_TSO4: Features = Features::bit(11);
    /// Network: a received packet may span several buffers.
    pub const NET_MRG_RXBUF: Features = Features::bit(15);
    /// Network: the device tells whether the link is up.
    pub const NET_STATUS: Features = Features::bit(16);

    /// Block: the device limits the length of one segment.
    pub const BLOCK_SIZE_MAX: Features = Features::bit(1);
    /// Block: the device limits the number of data segments of one request.
    pub const BLOCK_SEG_MAX: Features = Features::bit(2);
    /// Block: the device refuses writes.
    pub const BLOCK_RO: Features = Features::bit(5);
    /// Block: the device tells the size of its blocks.
    pub const BLOCK_BLK_SIZE: Features = Features::bit(6);
    /// Block: the device caches writes and has a command that makes them durable.
    pub const BLOCK_FLUSH: Features = Features::bit(9);

    const fn bit(number: u32) -> Features {
        Features(1 << number)
    }

    /// The set with exactly these bits.
    pub const fn from_bits(bits: u64) -> Features {
        Features(bits)
    }

    /// The bits as they stand in the device's two feature words.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Whether every bit of `other` is in this set.
    pub const fn contains(self, other: Features) -> bool {
        self.0 & other.0 == other.0
    }

    /// The bits that are in both sets.
    pub const fn and(self, other: Features) -> Features {
        Features(self.0 & other.0)
    }

    /// This set without the bits of `other`.
    pub const fn without(self, other: Features) -> Features {
        Features(self.0 & !other.0)
    }
}

impl BitOr for Features {
    type Output = Features;

    fn bitor(self, other: Features) -> Features {
        Features(self.0 | other.0)
    }
}

impl fmt::Debug for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}
