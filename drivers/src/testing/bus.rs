//! What a fake device hangs on: registers that the driver sees as virtio-drivers' transport, and
//! the other end of them, which the test holds.
//!
//! The driver's calls become the same register writes, in the same order, that virtio-drivers'
//! MMIO transport makes for a modern device, and go through [`RegisterModel`], so that every test
//! of a driver is also one of Firecracker's rules.
#![allow(
    unsafe_code,
    reason = "vouches for the driver's memory towards the fakes, and the reverse"
)]

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::vec::Vec;

use reactor::platform::Platform;
use virtio_drivers::transport::{
    DeviceStatus, DeviceType, InterruptStatus, Transport as Registers,
};
use virtio_drivers::{Error, PhysAddr};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::{DeviceQueue, RegisterModel};
use crate::virtio::{Features, MmioSlot, Transport};

/// The registers of a fake device as a driver sees them.
#[derive(Debug)]
pub struct FakeRegisters(Rc<RefCell<State>>);

/// The other end of the registers: the device's view, for the fake behind it and for tests.
#[derive(Clone, Debug)]
pub struct FakeBus(Rc<RefCell<State>>);

#[derive(Debug)]
struct State {
    kind: DeviceType,
    offered: Features,
    max_queue_size: u32,
    config: Vec<u8>,
    generation: u32,
    model: RegisterModel,
    /// Queues that the driver notified and the device has not looked at.
    notified: Vec<u16>,
    notifications: u64,
    waker: Option<Waker>,
    line: Line,
    interrupts: u64,
    resets_refused: bool,
    starts_refused: bool,
    muted: bool,
}

/// Where the device's interrupts go.
struct Line {
    platform: Arc<dyn Platform>,
    number: u8,
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

impl FakeBus {
    /// A device of a kind, with these features, queues and configuration, that raises `line`.
    pub fn new(
        kind: DeviceType,
        offered: Features,
        queues: usize,
        config: Vec<u8>,
        platform: Arc<dyn Platform>,
        line: u8,
    ) -> FakeBus {
        let max_queue_size = 256;
        FakeBus(Rc::new(RefCell::new(State {
            kind,
            offered,
            max_queue_size,
            config,
            generation: 0,
            model: RegisterModel::new(Some(offered), queues, max_queue_size),
            notified: Vec::new(),
            notifications: 0,
            waker: None,
            line: Line {
                platform,
                number: line,
            },
            interrupts: 0,
            resets_refused: false,
            starts_refused: false,
            muted: false,
        })))
    }

    /// The transport to give to a driver.
    pub fn transport(&self) -> Transport<FakeRegisters> {
        let irq = u32::from(self.0.borrow().line.number);
        let slot = MmioSlot {
            base: 0xc000_1000,
            size: 4096,
            irq,
        };
        // SAFETY: the fakes reach host memory at the address that the driver knows it by.
        unsafe { Transport::new(FakeRegisters(Rc::clone(&self.0)), slot) }
    }

    /// The device's side of a queue that the driver has set up.
    ///
    /// # Panics
    /// If the device does not run.
    pub fn queue(&self, index: usize) -> DeviceQueue {
        let state = self.0.borrow();
        assert!(
            state.model.running(),
            "the driver has not started the device"
        );
        let registers = state.model.queue(index).expect("the device has this queue");
        let event_idx = state.model.driver_features().contains(Features::EVENT_IDX);
        // SAFETY: a driver of this crate keeps its queues until it is dropped, and tests use a
        // device's side only while they hold the driver.
        unsafe { DeviceQueue::new(registers, event_idx) }
    }

    /// The model behind the registers, as it is now.
    pub fn model(&self) -> RegisterModel {
        self.0.borrow().model.clone()
    }

    /// Raises the device's line, as its interrupt does.
    pub fn interrupt(&self) {
        let mut state = self.0.borrow_mut();
        state.interrupts += 1;
        if !state.muted {
            state.line.platform.irq_lines().raise(state.line.number);
            state.line.platform.unpark();
        }
    }

    /// Interrupts raised so far, lost ones included.
    pub fn interrupts(&self) -> u64 {
        self.0.borrow().interrupts
    }

    /// From now on interrupts are lost, or not.
    pub fn mute(&self, muted: bool) {
        self.0.borrow_mut().muted = muted;
    }

    /// From now on the device ignores resets, as Firecracker's did for long.
    pub fn refuse_resets(&self) {
        self.0.borrow_mut().resets_refused = true;
    }

    /// From now on the device breaks down when it is to run.
    pub fn refuse_starts(&self) {
        self.0.borrow_mut().starts_refused = true;
    }

    /// Changes the configuration and says so by its generation and an interrupt.
    pub fn set_config(&self, offset: usize, bytes: &[u8]) {
        {
            let mut state = self.0.borrow_mut();
            state.config[offset..offset + bytes.len()].copy_from_slice(bytes);
            state.generation += 1;
        }
        self.interrupt();
    }

    /// Writes of the notify register so far.
    pub fn notifications(&self) -> u64 {
        self.0.borrow().notifications
    }

    /// Waits for the driver to notify a queue; ready with all that were.
    pub fn poll_notified(&self, cx: &mut Context<'_>) -> Poll<Vec<u16>> {
        let mut state = self.0.borrow_mut();
        if state.notified.is_empty() {
            state.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(core::mem::take(&mut state.notified))
    }
}

impl FakeRegisters {
    fn write(&self, offset: u64, value: u32) {
        self.0.borrow_mut().model.write(offset, value);
    }
}

impl Registers for FakeRegisters {
    fn device_type(&self) -> DeviceType {
        self.0.borrow().kind
    }

    fn read_device_features(&mut self) -> u64 {
        self.write(0x14, 0);
        self.write(0x14, 1);
        self.0.borrow().offered.bits()
    }

    fn write_driver_features(&mut self, features: u64) {
        self.write(0x24, 0);
        self.write(0x20, features as u32);
        self.write(0x24, 1);
        self.write(0x20, (features >> 32) as u32);
    }

    fn max_queue_size(&mut self, queue: u16) -> u32 {
        self.write(0x30, queue.into());
        let state = self.0.borrow();
        if state.model.queue(queue.into()).is_some() {
            state.max_queue_size
        } else {
            0
        }
    }

    fn notify(&mut self, queue: u16) {
        self.write(0x50, queue.into());
        let mut state = self.0.borrow_mut();
        state.notifications += 1;
        state.notified.push(queue);
        if let Some(waker) = state.waker.take() {
            drop(state);
            waker.wake();
        }
    }

    fn get_status(&self) -> DeviceStatus {
        let state = self.0.borrow();
        let status = DeviceStatus::from_bits_retain(state.model.status());
        if state.starts_refused && status.contains(DeviceStatus::DRIVER_OK) {
            return status | DeviceStatus::DEVICE_NEEDS_RESET;
        }
        status
    }

    fn set_status(&mut self, status: DeviceStatus) {
        let refused = self.0.borrow().resets_refused;
        if !(refused && status.is_empty()) {
            self.write(0x70, status.bits());
        }
    }

    fn set_guest_page_size(&mut self, _size: u32) {}

    fn requires_legacy_layout(&self) -> bool {
        false
    }

    fn queue_set(
        &mut self,
        queue: u16,
        size: u32,
        descriptors: PhysAddr,
        driver_area: PhysAddr,
        device_area: PhysAddr,
    ) {
        self.write(0x30, queue.into());
        self.write(0x38, size);
        for (offset, address) in [
            (0x80, descriptors),
            (0x90, driver_area),
            (0xa0, device_area),
        ] {
            self.write(offset, address as u32);
            self.write(offset + 4, (address >> 32) as u32);
        }
        self.write(0x44, 1);
    }

    fn queue_unset(&mut self, queue: u16) {
        self.write(0x30, queue.into());
        self.write(0x44, 0);
    }

    fn queue_used(&mut self, queue: u16) -> bool {
        self.0
            .borrow()
            .model
            .queue(queue.into())
            .is_some_and(|queue| queue.ready)
    }

    fn ack_interrupt(&mut self) -> InterruptStatus {
        InterruptStatus::empty() // the kernel's handler does this, never a driver
    }

    fn read_config_generation(&self) -> u32 {
        self.0.borrow().generation
    }

    fn read_config_space<T: FromBytes + IntoBytes>(&self, offset: usize) -> Result<T, Error> {
        let state = self.0.borrow();
        let bytes = state
            .config
            .get(offset..)
            .ok_or(Error::ConfigSpaceTooSmall)?;
        T::read_from_prefix(bytes)
            .map(|(value, _)| value)
            .map_err(|_| Error::ConfigSpaceTooSmall)
    }

    fn write_config_space<T: IntoBytes + Immutable>(
        &mut self,
        offset: usize,
        _value: T,
    ) -> Result<(), Error> {
        self.write(0x100 + offset as u64, 0);
        Ok(())
    }
}
