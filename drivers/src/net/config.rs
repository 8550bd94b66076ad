//! What the kernel decides about a network device, and what the device says about itself.

use reactor::irq::IrqEvent;

use super::warn_about_address;
use crate::InitError;
use crate::virtio::{Features, MmioSlot, Registers, Transport};

/// Fewest receive buffers, whatever the configuration says. Firecracker reads from its tap only
/// while the guest offers it 65,562 bytes (the largest packet it can meet), so 33 buffers of 2 KiB
/// stay with it at all times; the rest is what may be in flight.
pub const MIN_RX_BUFFERS: u16 = 40;

/// Largest MTU that is used, however much the device allows: transmit buffers have this size.
pub const MAX_MTU: usize = 9000;

/// Fewest buffers for merged segments: with fewer, none are used.
pub const MIN_BULK_BUFFERS: u16 = 16;

/// MTU of a device that does not tell one.
const DEFAULT_MTU: usize = 1500;
/// Smallest MTU that a device may tell: what IPv4 asks of a link (RFC 791).
const MIN_MTU: usize = 68;

/// Offsets in the configuration (virtio 1.2 §5.1.4).
const MAC: usize = 0;
const STATUS: usize = 6;
const MTU: usize = 10;
/// Bit of the status field: the link is up.
const LINK_UP: u16 = 1;

/// How a network device is brought up.
///
/// ```
/// use drivers::net::NetConfig;
/// let small = NetConfig { rx_buffers: 40, tx_buffers: 8, ..NetConfig::default() };
/// assert!(small.mac.is_none());
/// ```
#[derive(Debug)]
pub struct NetConfig {
    /// Buffers of 2 KiB for frames that arrive; at least [`MIN_RX_BUFFERS`] are used, at most as
    /// many as the device's queue has entries. Powers of two waste no ring.
    pub rx_buffers: u16,
    /// Buffers of one frame each for frames on their way out, at least one.
    pub tx_buffers: u16,
    /// Buffers of 64 KiB for merged TCP segments that arrive, and a quarter as many for those on their
    /// way out, out of the buffers above. They are made when such segments come, in the place of
    /// small ones. Below [`MIN_BULK_BUFFERS`], segments are neither merged nor cut by the device.
    pub bulk_buffers: u16,
    /// Hardware address for a device that has none. Should be random; must be unicast.
    pub mac: Option<[u8; 6]>,
    /// Raised when the device's configuration changed, where the interrupt handler can tell (bit
    /// 1 of the interrupt status). Without it, each interrupt of a device that reports its link
    /// costs one read of the link's state before the stack goes to sleep.
    pub config_irq: Option<IrqEvent>,
}

impl Default for NetConfig {
    /// 128 receive and 64 transmit buffers: 350 KiB once all of them are made. No segmentation offload.
    fn default() -> NetConfig {
        NetConfig {
            rx_buffers: 128,
            tx_buffers: 64,
            bulk_buffers: 0,
            mac: None,
            config_irq: None,
        }
    }
}

impl NetConfig {
    /// The address of a device that has none.
    pub(super) fn fallback_mac(&self, slot: MmioSlot) -> [u8; 6] {
        if let Some(mac) = self.mac.filter(is_unicast) {
            return mac;
        }
        // Locally administered, and different for each device of this machine.
        let [a, b, c, d, ..] = slot.base.to_le_bytes();
        let mac = [2, 0, d, c, b, a];
        warn_about_address(mac);
        mac
    }
}

/// What a device tells about itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct DeviceConfig {
    pub(super) mac: Option<[u8; 6]>,
    pub(super) mtu: usize,
    pub(super) link_up: bool,
}

impl DeviceConfig {
    /// Reads and checks the configuration as far as the negotiated features say that it is there.
    pub(super) fn read<T: Registers>(
        transport: &Transport<T>,
        features: Features,
    ) -> Result<DeviceConfig, InitError> {
        let has = |feature| features.contains(feature);
        let config = transport.read_config(|config| {
            let mac = if has(Features::NET_MAC) {
                let [a, b, c, d] = config.u32(MAC)?.to_le_bytes();
                let [e, f] = config.u16(MAC + 4)?.to_le_bytes();
                Some([a, b, c, d, e, f])
            } else {
                None
            };
            let mtu = if has(Features::NET_MTU) {
                config.u16(MTU)?.into()
            } else {
                DEFAULT_MTU
            };
            let link_up = !has(Features::NET_STATUS) || config.u16(STATUS)? & LINK_UP != 0;
            Ok(DeviceConfig { mac, mtu, link_up })
        })?;
        // The stack panics on an address that is not unicast.
        if config.mac.is_some_and(|mac| !is_unicast(&mac)) {
            return Err(InitError::ConfigInvalid("hardware address is not unicast"));
        }
        if config.mtu < MIN_MTU {
            return Err(InitError::ConfigInvalid("mtu below 68"));
        }
        Ok(config)
    }
}

/// Reads whether the link is up, from a device with the status feature.
pub(super) fn read_link<T: Registers>(transport: &Transport<T>) -> Result<bool, InitError> {
    Ok(transport.config().u16(STATUS)? & LINK_UP != 0)
}

fn is_unicast(mac: &[u8; 6]) -> bool {
    mac[0] & 1 == 0 && *mac != [0; 6]
}
