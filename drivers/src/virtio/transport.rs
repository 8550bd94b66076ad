//! The registers of one device: virtio-drivers' MMIO transport behind a wrapper that takes every
//! step of the status register alone. Boot code opens it, a driver of this crate owns it; it is
//! used in task context only. The interrupt handler has the two addresses it needs from
//! [`Transport::interrupt_registers`].
//!
//! Firecracker accepts only 0 → 1 → 3 → 11 → 15 in the status register and ignores any other
//! write; virtio-drivers' own `begin_init` writes 3 at once. Firecracker also ignores queue
//! registers once DRIVER_OK is set, so a queue is never taken down: the device is reset instead.
#![allow(
    unsafe_code,
    reason = "register windows are given by address, and devices use memory by address"
)]

use core::fmt;
use core::ptr::NonNull;

use virtio_drivers::transport::mmio::{MmioError, MmioTransport, MmioVersion, VirtIOHeader};
use virtio_drivers::transport::{DeviceStatus, DeviceType, DeviceTypeError};

use super::{Features, MAX_QUEUE_SIZE, MmioSlot, Queue, Registers};
use crate::InitError;

/// Offset of the interrupt status register (virtio 1.2 §4.2.2).
const INTERRUPT_STATUS: u64 = 0x60;
/// Offset of the interrupt acknowledge register.
const INTERRUPT_ACK: u64 = 0x64;

/// Looks at the status register until a reset is done. Each look is a VM exit; both hypervisors
/// reset within the write.
const MAX_RESET_POLLS: u32 = 1000;
/// Tries to read a configuration that the device changes meanwhile.
const MAX_CONFIG_READS: u32 = 8;

/// What kind of device sits in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceKind {
    /// A network interface (`virtio 1.2` §5.1).
    Network,
    /// A disk (§5.2).
    Block,
    /// A source of entropy (§5.4).
    Entropy,
    /// A device for which this crate has no driver, by its number.
    Other(u32),
}

/// Why no transport could be made for a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// The window does not begin with the magic value; it shows this instead.
    NotVirtio(u32),
    /// A legacy device (QEMU without `-global virtio-mmio.force-legacy=false`).
    Legacy,
    /// A version of the transport that this driver does not know.
    UnknownVersion(u32),
    /// A device number that no specification gives.
    UnknownDevice(u32),
    /// The window is smaller than the registers.
    WindowTooSmall,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotVirtio(magic) => write!(f, "no virtio magic but {magic:#010x}"),
            Self::Legacy => f.write_str("legacy device, needs virtio-mmio.force-legacy=false"),
            Self::UnknownVersion(version) => write!(f, "unknown transport version {version}"),
            Self::UnknownDevice(id) => write!(f, "unknown device id {id}"),
            Self::WindowTooSmall => f.write_str("register window too small"),
        }
    }
}

impl core::error::Error for OpenError {}

/// Exclusive access to one device's registers.
///
/// `T` is virtio-drivers' transport: the real one in the kernel, a fake in tests. Dropping it
/// resets the device (virtio-drivers' MMIO transport does so by itself).
#[derive(Debug)]
pub struct Transport<T = MmioTransport<'static>> {
    inner: T,
    slot: MmioSlot,
    /// What the status register was last set to: reading it is a VM exit.
    status: DeviceStatus,
}

impl Transport {
    /// Looks into a slot. `Ok(None)`: there is no device in it.
    ///
    /// Reads three registers and writes none. For boot code.
    ///
    /// # Errors
    /// [`OpenError`] says what is in the window instead of a modern virtio device.
    ///
    /// # Safety
    /// - The window must be mapped at its physical address, uncached, for reading and writing,
    ///   for ever, and hold device registers (or nothing at all), not memory that something uses.
    /// - No other `Transport` may exist for the same window. [`probe`](super::probe()) gives each
    ///   window out once.
    /// - The global allocator's memory must be identity-mapped: the device finds it at the
    ///   address that the kernel uses for it.
    pub unsafe fn open(slot: MmioSlot) -> Result<Option<Transport>, OpenError> {
        let header = core::ptr::with_exposed_provenance_mut::<VirtIOHeader>(slot.base as usize);
        let header = NonNull::new(header).ok_or(OpenError::NotVirtio(0))?;
        // SAFETY: the caller promises a mapped register window; `probe` checked its alignment.
        match unsafe { MmioTransport::new(header, slot.size as usize) } {
            Ok(inner) if inner.version() == MmioVersion::Legacy => Err(OpenError::Legacy),
            // SAFETY: the caller promises identity-mapped memory.
            Ok(inner) => Ok(Some(unsafe { Transport::new(inner, slot) })),
            Err(error) => refused(&error).map_or(Ok(None), Err),
        }
    }
}

/// The reason behind virtio-drivers' error; `None` for an empty slot.
fn refused(error: &MmioError) -> Option<OpenError> {
    match *error {
        MmioError::BadMagic(magic) => Some(OpenError::NotVirtio(magic)),
        MmioError::UnsupportedVersion(version) => Some(OpenError::UnknownVersion(version)),
        MmioError::MmioRegionTooSmall => Some(OpenError::WindowTooSmall),
        MmioError::InvalidDeviceID(DeviceTypeError::InvalidDeviceType(0)) => None,
        MmioError::InvalidDeviceID(DeviceTypeError::InvalidDeviceType(id)) => {
            Some(OpenError::UnknownDevice(id))
        }
    }
}

impl<T: Registers> Transport<T> {
    /// Wraps a transport that exists already. Touches no register.
    ///
    /// # Safety
    /// The global allocator's memory must be identity-mapped for the device behind `inner`: it
    /// finds memory at the address that this program uses for it.
    pub unsafe fn new(inner: T, slot: MmioSlot) -> Transport<T> {
        Transport {
            inner,
            slot,
            status: DeviceStatus::empty(),
        }
    }

    /// What kind of device this is.
    pub fn kind(&self) -> DeviceKind {
        match self.inner.device_type() {
            DeviceType::Network => DeviceKind::Network,
            DeviceType::Block => DeviceKind::Block,
            DeviceType::EntropySource => DeviceKind::Entropy,
            // virtio-drivers takes device 5 (§5.5), which is every balloon that there is, for 13.
            DeviceType::MemoryBalloon => DeviceKind::Other(DeviceType::MemoryBallooning as u32),
            other => DeviceKind::Other(other as u32),
        }
    }

    /// The window and line of the device.
    pub fn slot(&self) -> MmioSlot {
        self.slot
    }

    /// Physical addresses of the interrupt status register and of the acknowledge register, both
    /// 32 bits wide. The interrupt handler reads the first and, if any is set, writes the bits to the
    /// second; bit 0 means that a queue moved, bit 1 that the configuration changed.
    pub fn interrupt_registers(&self) -> (u64, u64) {
        (
            self.slot.base + INTERRUPT_STATUS,
            self.slot.base + INTERRUPT_ACK,
        )
    }

    /// Takes the device from any state to the point where queues can be set up (virtio 1.2
    /// §3.1.1, steps 1 to 6) and returns the features that both sides have of `wanted`.
    ///
    /// # Errors
    /// The device is not of this `kind`, cannot be reset, is not a version 1 device, or refuses.
    pub fn negotiate(&mut self, kind: DeviceKind, wanted: Features) -> Result<Features, InitError> {
        self.negotiate_by(kind, &|_| wanted)
    }

    /// As [`Transport::negotiate`], where what is wanted depends on what is offered.
    pub(crate) fn negotiate_by(
        &mut self,
        kind: DeviceKind,
        wanted: &dyn Fn(Features) -> Features,
    ) -> Result<Features, InitError> {
        if self.kind() != kind {
            return Err(InitError::WrongKind(self.kind()));
        }
        if !self.reset() {
            return Err(InitError::ResetRefused);
        }
        self.add_status(DeviceStatus::ACKNOWLEDGE);
        self.add_status(DeviceStatus::DRIVER);
        let offered = Features::from_bits(self.inner.read_device_features());
        if !offered.contains(Features::VERSION_1) {
            self.fail();
            return Err(InitError::NotVersion1);
        }
        let features = offered.and(wanted(offered) | Features::VERSION_1);
        self.inner.write_driver_features(features.bits());
        self.add_status(DeviceStatus::FEATURES_OK);
        // §3.1.1 step 6: a device that cannot live with the set takes the bit back.
        if !self.inner.get_status().contains(DeviceStatus::FEATURES_OK) {
            self.fail();
            return Err(InitError::FeaturesRefused);
        }
        Ok(features)
    }

    /// Makes queue `index` with as many entries as the device allows, at most `wanted` (both
    /// rounded down to a power of two), and tells the device where it is. Between
    /// [`Transport::negotiate`] and [`Transport::start`].
    ///
    /// # Errors
    /// The device lacks the queue, or memory is short.
    pub fn add_queue(
        &mut self,
        index: u16,
        wanted: u16,
        features: Features,
    ) -> Result<Queue, InitError> {
        let max = self
            .inner
            .max_queue_size(index)
            .min(u32::from(wanted.min(MAX_QUEUE_SIZE)));
        let size = max
            .checked_ilog2()
            .map(|log| 1_u16 << log)
            .ok_or(InitError::QueueMissing(index))?;
        let event_idx = features.contains(Features::EVENT_IDX);
        let indirect = features.contains(Features::INDIRECT);
        let queue = Queue::new(index, size, event_idx, indirect).ok_or(InitError::OutOfMemory)?;
        let [descriptors, available, used] = queue.addresses();
        self.inner
            .queue_set(index, size.into(), descriptors, available, used);
        Ok(queue)
    }

    /// Sets the device running (step 8). From here on it may use the memory of its queues.
    ///
    /// # Errors
    /// The status register does not show a running device.
    pub fn start(&mut self) -> Result<(), InitError> {
        self.add_status(DeviceStatus::DRIVER_OK);
        let status = self.inner.get_status();
        let bad = DeviceStatus::FAILED | DeviceStatus::DEVICE_NEEDS_RESET;
        if !status.contains(DeviceStatus::DRIVER_OK) || status.intersects(bad) {
            return Err(InitError::StartRefused(status.bits()));
        }
        Ok(())
    }

    /// Tells the device that queue `index` has new requests. One register write.
    pub fn notify(&mut self, index: u16) {
        self.inner.notify(index);
    }

    /// Tells the device that the driver has given it up (§2.1).
    pub fn fail(&mut self) {
        self.add_status(DeviceStatus::FAILED);
    }

    /// Puts the device into its initial state. Returns whether it went there: only then does it
    /// leave the memory of its queues alone (§2.4).
    pub fn reset(&mut self) -> bool {
        self.status = DeviceStatus::empty();
        self.inner.set_status(self.status);
        (0..MAX_RESET_POLLS).any(|_| self.inner.get_status().is_empty())
    }

    /// The configuration as it is, for a single field: those of up to 32 bits are read whole.
    pub fn config(&self) -> Config<'_, T> {
        Config { inner: &self.inner }
    }

    /// Reads several fields of the configuration, again if the device changed it meanwhile
    /// (§2.5.1).
    ///
    /// # Errors
    /// The window ends too early, or the configuration never held still.
    pub fn read_config<V>(
        &self,
        read: impl Fn(&Config<'_, T>) -> Result<V, InitError>,
    ) -> Result<V, InitError> {
        for _ in 0..MAX_CONFIG_READS {
            let before = self.inner.read_config_generation();
            let value = read(&self.config())?;
            if self.inner.read_config_generation() == before {
                return Ok(value);
            }
        }
        Err(InitError::ConfigUnstable)
    }

    /// Sets one more bit of the status register, leaving the others as they are.
    fn add_status(&mut self, bit: DeviceStatus) {
        self.status |= bit;
        self.inner.set_status(self.status);
    }
}

/// A device's configuration while it is being read.
#[derive(Debug)]
pub struct Config<'a, T> {
    inner: &'a T,
}

impl<T: Registers> Config<'_, T> {
    /// The 16 bits at `offset`, which must be even.
    ///
    /// # Errors
    /// The window ends before them.
    pub fn u16(&self, offset: usize) -> Result<u16, InitError> {
        self.inner
            .read_config_space(offset)
            .map_err(|_| InitError::ConfigMissing)
    }

    /// The 32 bits at `offset`, which must be a multiple of four.
    ///
    /// # Errors
    /// The window ends before them.
    pub fn u32(&self, offset: usize) -> Result<u32, InitError> {
        self.inner
            .read_config_space(offset)
            .map_err(|_| InitError::ConfigMissing)
    }

    /// The 64 bits at `offset`, which must be a multiple of four.
    ///
    /// # Errors
    /// The window ends before them.
    pub fn u64(&self, offset: usize) -> Result<u64, InitError> {
        Ok(u64::from(self.u32(offset)?) | u64::from(self.u32(offset + 4)?) << 32)
    }
}
