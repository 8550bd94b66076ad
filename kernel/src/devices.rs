//! From the announcements on the command line to running drivers: the glue between `drivers` and
//! the machine. Called once by `runtime`, before the first task runs.
//!
//! A device that cannot be used is a line in the log and nothing worse.
#![allow(
    unsafe_code,
    reason = "opens the register windows that the command line announces"
)]

use alloc::vec::Vec;
use core::fmt;

use drivers::InitError;
use drivers::block::{self, Disk, DiskConfig, DiskRunner};
use drivers::net::{NetConfig, VirtioNet};
use drivers::rng::{self, Entropy, EntropyRunner};
use drivers::virtio::{DeviceKind, MmioSlot, OpenError, Transport, probe};
use rand_core::Rng;
use reactor::Reactor;
use reactor::irq::IrqEvent;

use crate::arch::devices::{AttachError, attach};
use crate::memory::{DeviceError, map_device};
use crate::random::Random;

/// RAM that is free at boot for which an interface has one receive buffer of 2 KiB, so that they take
/// a 64th of it, and half as many transmit buffers.
const RAM_PER_RX_BUFFER: u64 = 128 * 1024;
/// Most receive buffers of an interface, however much RAM there is: what both hypervisors' queues
/// hold.
const MAX_RX_BUFFERS: u64 = 256;
/// The same for buffers of 64 KiB, which are made for bulk transfers only: a 32nd of the RAM for what
/// arrives, a quarter of that for what leaves. Below some 32 MiB there are too few to be of use.
const RAM_PER_BULK_BUFFER: u64 = 2 * 1024 * 1024;
/// Most of them: eight windows of 512 KiB.
const MAX_BULK_BUFFERS: u64 = 64;

/// The devices whose drivers came up, each kind in the order of the announcements.
#[derive(Default)]
pub(crate) struct Devices {
    pub(crate) networks: Vec<VirtioNet>,
    pub(crate) disks: Vec<(Disk, DiskRunner)>,
    pub(crate) entropy: Vec<(Entropy, EntropyRunner)>,
}

/// What bringing a device up takes.
pub(crate) struct Bringer<'a> {
    pub(crate) reactor: &'a Reactor,
    pub(crate) random: &'a Random,
    /// RAM that is free at boot.
    pub(crate) free_bytes: u64,
}

impl Bringer<'_> {
    /// Brings up what `command_line` announces.
    pub(crate) fn bring_up(&self, command_line: &str) -> Devices {
        let mut devices = Devices::default();
        for slot in probe(command_line) {
            if let Err(problem) = self.bring_up_one(slot, &mut devices) {
                let MmioSlot { base, irq, .. } = slot;
                log::warn!("virtio: device ignored base={base:#x} irq={irq} problem=\"{problem}\"");
            }
        }
        devices
    }

    fn bring_up_one(&self, slot: MmioSlot, devices: &mut Devices) -> Result<(), Problem> {
        map_device(slot.base, slot.size)?;
        // SAFETY: `map_device` has mapped the window past the caches where it is, refusing RAM;
        // `probe` gives each window out once; and memory is identity-mapped (`memory`).
        let Some(transport) = unsafe { Transport::open(slot) }? else {
            log::debug!("virtio: nothing there base={:#x}", slot.base);
            return Ok(());
        };
        match transport.kind() {
            DeviceKind::Network => devices.networks.push(self.network(transport)?),
            DeviceKind::Block => devices.disks.push(self.disk(transport)?),
            DeviceKind::Entropy => devices.entropy.push(self.entropy(transport)?),
            kind => log::info!("virtio: no driver base={:#x} kind={kind:?}", slot.base),
        }
        Ok(())
    }

    fn network(&self, transport: Transport) -> Result<VirtioNet, Problem> {
        let irq = self.interrupts(&transport)?;
        Ok(VirtioNet::new(transport, irq, self.net_config())?)
    }

    fn disk(&self, transport: Transport) -> Result<(Disk, DiskRunner), Problem> {
        let irq = self.interrupts(&transport)?;
        Ok(block::new(
            transport,
            irq,
            self.reactor.clock(),
            DiskConfig::default(),
        )?)
    }

    fn entropy(&self, transport: Transport) -> Result<(Entropy, EntropyRunner), Problem> {
        let irq = self.interrupts(&transport)?;
        Ok(rng::new(transport, irq, self.reactor.clock())?)
    }

    /// Lets the device's interrupts through to the event that its driver awaits.
    fn interrupts(&self, transport: &Transport) -> Result<IrqEvent, Problem> {
        let irq = transport.slot().irq;
        let line = u8::try_from(irq).map_err(|_| AttachError::NoSuchLine)?;
        let (status, acknowledge) = transport.interrupt_registers();
        // SAFETY: `bring_up_one` has mapped the registers for good, and those of a virtio device do
        // just this (virtio 1.2, section 4.2.2).
        unsafe { attach(line, status, acknowledge) }?;
        Ok(self.reactor.irq_event(line))
    }

    /// Fewer buffers where there is little RAM; the driver knows how few are too few.
    fn net_config(&self) -> NetConfig {
        let rx_buffers = (self.free_bytes / RAM_PER_RX_BUFFER).min(MAX_RX_BUFFERS) as u16;
        // For a device without an address of its own: random, unicast, locally administered.
        let [a, b, c, d, e, ..] = self.random.clone().next_u64().to_le_bytes();
        NetConfig {
            rx_buffers,
            tx_buffers: rx_buffers / 2,
            bulk_buffers: (self.free_bytes / RAM_PER_BULK_BUFFER).min(MAX_BULK_BUFFERS) as u16,
            mac: Some([2, a, b, c, d, e]),
            config_irq: None,
        }
    }
}

/// Why a device is not used.
enum Problem {
    Map(DeviceError),
    Open(OpenError),
    Attach(AttachError),
    Init(InitError),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Map(error) => write!(f, "registers not mapped: {error:?}"),
            Problem::Open(error) => write!(f, "{error}"),
            Problem::Attach(error) => write!(f, "interrupt not available: {error:?}"),
            Problem::Init(error) => write!(f, "{error}"),
        }
    }
}

impl From<DeviceError> for Problem {
    fn from(error: DeviceError) -> Self {
        Problem::Map(error)
    }
}

impl From<OpenError> for Problem {
    fn from(error: OpenError) -> Self {
        Problem::Open(error)
    }
}

impl From<AttachError> for Problem {
    fn from(error: AttachError) -> Self {
        Problem::Attach(error)
    }
}

impl From<InitError> for Problem {
    fn from(error: InitError) -> Self {
        Problem::Init(error)
    }
}
