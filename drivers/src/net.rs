//! virtio-net (virtio 1.2 §5.1) as a smoltcp `phy::Device` of Ethernet frames. The network stack's Runner owns it
//! and drives it from its one task: it takes and makes frames through smoltcp's tokens, calls
//! `flush` at most once, at the end of a turn, and `poll_event` before it waits. Nothing here waits or
//! spins. Buffers are made as traffic asks for them, up to the configured number, and then reused.
//!
//! All buffers belong to the driver and are as many as [`NetConfig`] says. A received frame is
//! read where the device wrote it; a frame to be sent is written where the device reads it.
//! TCP and UDP checksums are settled here, in either direction, so the stack never computes one.
//!
//! ```no_run
//! # fn bring_up(transport: drivers::virtio::Transport, irq: reactor::irq::IrqEvent)
//! # -> Result<(), drivers::InitError> {
//! use drivers::net::{NetConfig, VirtioNet};
//! let device = VirtioNet::new(transport, irq, NetConfig::default())?;
//! let monitor = device.monitor(); // stays behind when the stack takes the device
//! log::info!("net: up={} mtu={}", monitor.is_up(), device.mtu());
//! # Ok(()) }
//! ```

mod checksum;
mod config;
mod counters;
mod header;
mod receive;
#[cfg(test)]
mod tests;
mod transmit;

use alloc::vec::Vec;
use core::task::{Context, Poll};

use log::{debug, warn};
use reactor::hardware::Hardware;
use reactor::irq::IrqEvent;
use smoltcp::phy::{self, Checksum, DeviceCapabilities};
use smoltcp::time::Instant;
use virtio_drivers::transport::mmio::MmioTransport;

use crate::InitError;
use crate::virtio::{
    Device, DeviceKind, Failure, Features, MAX_QUEUE_SIZE, MmioSlot, Registers, Transport,
};

pub use config::{MAX_MTU, MIN_BULK_BUFFERS, MIN_RX_BUFFERS, NetConfig};
pub use counters::{NetMonitor, NetStats};
pub use receive::RxToken;
pub use transmit::TxToken;

use config::DeviceConfig;
use receive::{Arrival, Receiver};
use transmit::Transmitter;

/// Number of the receive queue (§5.1.2), in the device and in [`Device`].
const RX: usize = 0;
/// Number of the transmit queue.
const TX: usize = 1;

/// Bytes of an Ethernet header, which the MTU does not count.
const ETHERNET_HEADER: usize = 14;

/// Bytes of the largest frame: IPv4 and IPv6 cannot say that a packet is longer (RFC 791 §3.1).
const MAX_FRAME: usize = ETHERNET_HEADER + u16::MAX as usize;

/// Bytes of a buffer for merged segments, in either direction: room for the largest frame and no more.
const BULK_BUFFER: usize = header::LEN + MAX_FRAME;

/// Bad packets dropped in one call of `receive` before it says that there is nothing. They are
/// looked at again in the next turn, so a device that sends only garbage starves nobody.
const MAX_DROPS_PER_CALL: usize = 64;

const WANTED: Features = Features::from_bits(
    Features::EVENT_IDX.bits()
        | Features::NET_CSUM.bits()
        | Features::NET_GUEST_CSUM.bits()
        | Features::NET_MTU.bits()
        | Features::NET_MAC.bits()
        | Features::NET_MRG_RXBUF.bits()
        | Features::NET_STATUS.bits(),
);

/// What segmentation offload needs is asked for only where the device can do the rest of it: it cuts
/// what has a partial checksum, and large packets come into ordinary buffers (§5.1.3.1).
fn wanted(offered: Features, bulk: bool) -> Features {
    let mut wanted = WANTED;
    if bulk && offered.contains(Features::NET_CSUM) {
        wanted = wanted | Features::NET_HOST_TSO4;
    }
    if bulk && offered.contains(Features::NET_GUEST_CSUM | Features::NET_MRG_RXBUF) {
        wanted = wanted | Features::NET_GUEST_TSO4 | Features::NET_GUEST_TSO6;
    }
    wanted
}

/// A network interface. See the module for who drives it and how.
///
/// A device that breaks the rules is given up with one line in the log: no frame moves in either
/// direction, `is_up` is false, and what the device holds is never reused. Dropping the interface
/// resets the device.
#[derive(Debug)]
pub struct VirtioNet<T: Registers = MmioTransport<'static>> {
    device: Device<T>,
    irq: IrqEvent,
    config_irq: Option<IrqEvent>,
    receiver: Receiver,
    transmitter: Transmitter,
    features: Features,
    mac: [u8; 6],
    mtu: usize,
    link_up: bool,
    /// The device was asked to interrupt, and will do so again and again. With `EVENT_IDX` it does once.
    armed: bool,
    /// An interrupt came that may have been about the configuration.
    link_in_doubt: bool,
    monitor: NetMonitor,
}

impl<T: Registers> VirtioNet<T> {
    /// Brings a network device up. `irq` is raised by the handler of the device's line. For task
    /// context; does not wait.
    ///
    /// # Errors
    /// [`InitError`]; the device is reset then.
    pub fn new(
        mut transport: Transport<T>,
        irq: IrqEvent,
        config: NetConfig,
    ) -> Result<Self, InitError> {
        let bulk = config.bulk_buffers >= MIN_BULK_BUFFERS;
        let choose = |offered| wanted(offered, bulk);
        let features = transport.negotiate_by(DeviceKind::Network, &choose)?;
        let found = DeviceConfig::read(&transport, features)?;
        let mtu = found.mtu.min(MAX_MTU);
        let mac = found
            .mac
            .unwrap_or_else(|| config.fallback_mac(transport.slot()));
        let rx_buffers = config.rx_buffers.clamp(MIN_RX_BUFFERS, MAX_QUEUE_SIZE);
        let tx_buffers = config.tx_buffers.clamp(1, MAX_QUEUE_SIZE);
        let rx = transport.add_queue(RX as u16, rx_buffers.next_power_of_two(), features)?;
        let tx = transport.add_queue(TX as u16, tx_buffers.next_power_of_two(), features)?;
        let monitor = NetMonitor::default();
        let rx_buffers = rx_buffers.min(rx.size());
        let bulk = config.bulk_buffers;
        let receiver = Receiver::new(features, found.mtu, rx_buffers, bulk, monitor.clone())?;
        let tx_buffers = tx_buffers.min(tx.size());
        let transmitter = Transmitter::new(features, mtu, tx_buffers, bulk / 4, monitor.clone())?;
        let mut net = VirtioNet {
            device: Device::new("net", transport, Vec::from([rx, tx])),
            irq,
            config_irq: config.config_irq,
            receiver,
            transmitter,
            features,
            mac,
            mtu,
            link_up: found.link_up,
            armed: false,
            link_in_doubt: false,
            monitor,
        };
        net.start()?;
        Ok(net)
    }

    /// Sets the device running. It has no buffers yet: the first `flush` makes them.
    fn start(&mut self) -> Result<(), InitError> {
        self.disarm();
        self.device.transport().start()?;
        self.monitor.set_up(self.link_up);
        let MmioSlot { base, irq, .. } = self.device.transport().slot();
        let (rx, tx) = (self.device.queue(RX).size(), self.transmitter.capacity());
        let features = self.features;
        debug!("net: started base={base:#x} irq={irq} features={features:?} rx={rx} tx={tx}");
        Ok(())
    }

    /// The interface's hardware address: the device's, or one from [`NetConfig`]. Always unicast.
    pub fn mac(&self) -> [u8; 6] {
        self.mac
    }

    /// Bytes of the largest IP packet, without the Ethernet header.
    pub fn mtu(&self) -> usize {
        self.mtu
    }

    /// The features that driver and device agreed on.
    pub fn features(&self) -> Features {
        self.features
    }

    /// The counters now.
    pub fn stats(&self) -> NetStats {
        self.monitor.stats()
    }

    /// A handle that sees counters and link after the stack took the device.
    pub fn monitor(&self) -> NetMonitor {
        self.monitor.clone()
    }

    /// Makes sure that a transmit buffer is at hand, or remembers that somebody waits for one.
    fn has_transmit_buffer(&mut self) -> bool {
        if self.device.failed() {
            return false;
        }
        if let Err(fault) = self.transmitter.make_room(self.device.queue_mut(TX)) {
            self.give_up(Failure::Fault(fault));
        }
        self.transmitter.has_room()
    }

    fn give_up(&mut self, failure: Failure) {
        self.device.fail(failure);
        self.monitor.set_up(false);
    }

    /// Takes note of interrupts. Returns whether the task will hear of the next one.
    fn poll_interrupts(&mut self, cx: &mut Context<'_>) -> bool {
        let (interrupts, registered) = drain(&self.irq, cx);
        self.monitor.count().interrupts.add(interrupts);
        let Some(config_irq) = &self.config_irq else {
            // Without a line of its own, a change of the configuration looks like any interrupt.
            self.link_in_doubt |= interrupts > 0;
            return registered;
        };
        let (changes, config_registered) = drain(config_irq, cx);
        self.link_in_doubt |= changes > 0;
        registered && config_registered
    }

    /// Reads the link's state if it may have changed. Returns whether it has.
    fn check_link(&mut self) -> bool {
        let in_doubt = core::mem::take(&mut self.link_in_doubt);
        if !in_doubt || !self.features.contains(Features::NET_STATUS) {
            return false;
        }
        let Ok(up) = config::read_link(self.device.transport()) else {
            return false; // the window was long enough when the device came up
        };
        let changed = up != self.link_up;
        if changed {
            debug!("net: link {}", if up { "up" } else { "down" });
            self.link_up = up;
            self.monitor.set_up(up);
            self.monitor.count().link_changes.add(1);
        }
        changed
    }

    /// Whether a ring holds what the stack could go on with.
    ///
    /// A stack that was refused a transmit buffer gets nothing received either, so it is not
    /// woken for that: it would spin.
    fn has_work(&mut self) -> bool {
        if self.transmitter.waiting() {
            let had_room = self.device.queue(TX).has_used();
            return had_room && self.has_transmit_buffer();
        }
        self.device.queue(RX).has_used()
    }

    /// Asks for the interrupt that the stack waits for. Returns whether what it would announce is
    /// there already.
    fn arm(&mut self) -> bool {
        self.armed = !self.features.contains(Features::EVENT_IDX);
        if self.transmitter.waiting() {
            // One interrupt when half of the buffers are back, rather than one for each.
            let queue = self.device.queue_mut(TX);
            return queue.enable_interrupts_after(queue.outstanding().saturating_sub(1) / 2);
        }
        self.device.queue_mut(RX).enable_interrupts()
    }

    /// The Runner is awake, and looks at the rings by itself.
    fn disarm(&mut self) {
        self.armed = false;
        self.device.queue_mut(RX).disable_interrupts();
        self.device.queue_mut(TX).disable_interrupts();
    }
}

impl<T: Registers> phy::Device for VirtioNet<T> {
    type RxToken<'a>
        = RxToken<'a>
    where
        T: 'a;
    type TxToken<'a>
        = TxToken<'a>
    where
        T: 'a;

    fn receive(&mut self, _timestamp: Instant) -> Option<(RxToken<'_>, TxToken<'_>)> {
        if !self.device.queue(RX).has_used() || !self.has_transmit_buffer() {
            return None;
        }
        if self.armed {
            self.disarm();
        }
        for _ in 0..MAX_DROPS_PER_CALL {
            match self.receiver.next(self.device.queue_mut(RX)) {
                Ok(Arrival::Frame(frame)) => {
                    let [rx, tx] = self.device.queues();
                    return Some((self.receiver.token(rx, frame), self.transmitter.token(tx)));
                }
                Ok(Arrival::Dropped) => {}
                Ok(Arrival::Nothing) => return None,
                Err(fault) => {
                    self.give_up(Failure::Fault(fault));
                    return None;
                }
            }
        }
        None
    }

    fn transmit(&mut self, _timestamp: Instant) -> Option<TxToken<'_>> {
        if !self.has_transmit_buffer() {
            return None;
        }
        Some(self.transmitter.token(self.device.queue_mut(TX)))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.max_transmission_unit = self.mtu + ETHERNET_HEADER;
        // Settled here, in both directions.
        capabilities.checksum.tcp = Checksum::None;
        capabilities.checksum.udp = Checksum::None;
        capabilities.segmentation.tcpv4 = self.transmitter.largest_segmented();
        capabilities
    }
}

impl<T: Registers> Hardware for VirtioNet<T> {
    fn flush(&mut self) {
        if self.device.failed() {
            return;
        }
        self.receiver.grow(self.device.queue_mut(RX));
        let count = self.device.notify();
        if count > 0 {
            self.monitor.count().notifications.add(count);
        }
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let registered = self.poll_interrupts(cx);
        if self.device.failed() {
            return Poll::Pending; // nothing will ever come
        }
        if !registered || self.has_work() || self.arm() || self.check_link() {
            self.disarm();
            return Poll::Ready(());
        }
        Poll::Pending
    }

    fn is_up(&self) -> bool {
        self.link_up && !self.device.failed()
    }

    fn dropped(&self) -> u64 {
        self.monitor.dropped()
    }
}

/// Consumes what a line has announced. Returns how often it was raised, and whether the task is
/// registered for the next time.
fn drain(irq: &IrqEvent, cx: &mut Context<'_>) -> (u64, bool) {
    // A line that was raised does not keep the waker, so it is asked again. Should it be raised
    // again already, the caller must not go to sleep.
    if irq.poll_raised(cx).is_pending() {
        return (0, true);
    }
    (1, irq.poll_raised(cx).is_pending())
}

/// Says in the log that a device without an address got one that is unique in this machine only.
fn warn_about_address(mac: [u8; 6]) {
    let [a, b, c, d, e, f] = mac;
    warn!("net: device has no address, using mac={a:02x}-{b:02x}-{c:02x}-{d:02x}-{e:02x}-{f:02x}");
}
