//! The rules of Firecracker's virtio-mmio registers as a model: which writes it takes and which it
//! ignores with no more than a warning on the host. QEMU takes nearly everything, so a driver that
//! works there can still be dead on Firecracker.
//!
//! The facts were read in Firecracker's `devices/virtio/transport/mmio.rs` and `queue.rs`.

use core::fmt;
use std::string::String;
use std::vec::Vec;

use crate::virtio::Features;

const DEVICE_FEATURES_SEL: u64 = 0x14;
const DRIVER_FEATURES: u64 = 0x20;
const DRIVER_FEATURES_SEL: u64 = 0x24;
const QUEUE_SEL: u64 = 0x30;
const QUEUE_NUM: u64 = 0x38;
const QUEUE_READY: u64 = 0x44;
const QUEUE_NOTIFY: u64 = 0x50;
const INTERRUPT_ACK: u64 = 0x64;
const STATUS: u64 = 0x70;
const CONFIG: u64 = 0x100;

const ACKNOWLEDGE: u32 = 1;
const DRIVER: u32 = 2;
const DRIVER_OK: u32 = 4;
const FEATURES_OK: u32 = 8;
const NEEDS_RESET: u32 = 64;
const FAILED: u32 = 128;

/// Why the model did not take a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Offset of the register.
    pub offset: u64,
    /// What was written.
    pub value: u32,
    /// The rule that it broke.
    pub reason: String,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "offset {:#x} value {:#x}: {}",
            self.offset, self.value, self.reason
        )
    }
}

/// What the driver wrote into the registers of one queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueRegisters {
    /// Number of entries.
    pub size: u32,
    /// Whether the driver said that the queue is complete.
    pub ready: bool,
    /// Device addresses of descriptor table, available ring and used ring.
    pub addresses: [u64; 3],
}

/// The registers of one device, from reset on.
#[derive(Clone, Debug)]
pub struct RegisterModel {
    /// What the device offers; `None` takes every feature, for traces of other devices.
    offered: Option<Features>,
    max_queue_size: u32,
    status: u32,
    driver_features: u64,
    driver_features_sel: u32,
    queue_sel: u32,
    queues: Vec<QueueRegisters>,
    rejections: Vec<Rejection>,
    writes: usize,
}

impl RegisterModel {
    /// A device in its initial state, with so many queues.
    pub fn new(offered: Option<Features>, queues: usize, max_queue_size: u32) -> RegisterModel {
        RegisterModel {
            offered,
            max_queue_size,
            status: 0,
            driver_features: 0,
            driver_features_sel: 0,
            queue_sel: 0,
            queues: std::vec![QueueRegisters::default(); queues],
            rejections: Vec::new(),
            writes: 0,
        }
    }

    /// Takes a write of 32 bits, or notes why not.
    pub fn write(&mut self, offset: u64, value: u32) {
        self.writes += 1;
        if let Err(reason) = self.try_write(offset, value) {
            let reason = String::from(reason);
            self.rejections.push(Rejection {
                offset,
                value,
                reason,
            });
        }
    }

    /// The status register.
    pub fn status(&self) -> u32 {
        self.status
    }

    /// Whether the device runs.
    pub fn running(&self) -> bool {
        self.has(DRIVER_OK, NEEDS_RESET | FAILED)
    }

    /// The features that the driver accepted.
    pub fn driver_features(&self) -> Features {
        Features::from_bits(self.driver_features)
    }

    /// The registers of one queue.
    pub fn queue(&self, index: usize) -> Option<QueueRegisters> {
        self.queues.get(index).copied()
    }

    /// Every write that was not taken, in order.
    pub fn rejections(&self) -> &[Rejection] {
        &self.rejections
    }

    /// Number of all writes.
    pub fn writes(&self) -> usize {
        self.writes
    }

    fn try_write(&mut self, offset: u64, value: u32) -> Result<(), &'static str> {
        match offset {
            DEVICE_FEATURES_SEL => Ok(()),
            DRIVER_FEATURES_SEL => {
                self.driver_features_sel = value;
                Ok(())
            }
            DRIVER_FEATURES => self.accept_features(value),
            QUEUE_SEL => {
                self.queue_sel = value;
                Ok(())
            }
            QUEUE_NUM | QUEUE_READY | 0x80 | 0x84 | 0x90 | 0x94 | 0xa0 | 0xa4 => {
                self.write_queue(offset, value)
            }
            // An event file descriptor that matches the queue's index. What comes before the
            // device runs is lost.
            QUEUE_NOTIFY if !self.running() => Err("notify while the device does not run"),
            QUEUE_NOTIFY if value as usize >= self.queues.len() => Err("notify of no queue"),
            QUEUE_NOTIFY => Ok(()),
            INTERRUPT_ACK if !self.has(DRIVER_OK, 0) => Err("interrupt ack before DRIVER_OK"),
            INTERRUPT_ACK => Ok(()),
            STATUS => self.write_status(value),
            CONFIG.. => Err("the configuration of these devices is read-only"),
            _ => Err("unknown register"),
        }
    }

    fn has(&self, set: u32, clear: u32) -> bool {
        self.status & (set | clear) == set
    }

    fn accept_features(&mut self, value: u32) -> Result<(), &'static str> {
        if !self.has(DRIVER, FEATURES_OK | FAILED | NEEDS_RESET) {
            return Err("features written outside of negotiation");
        }
        let word = match self.driver_features_sel {
            0 => u64::from(value),
            1 => u64::from(value) << 32,
            _ => return Err("features beyond the second word"),
        };
        if self
            .offered
            .is_some_and(|offered| word & !offered.bits() != 0)
        {
            return Err("feature that was not offered");
        }
        self.driver_features |= word;
        Ok(())
    }

    fn write_queue(&mut self, offset: u64, value: u32) -> Result<(), &'static str> {
        if !self.has(FEATURES_OK, DRIVER_OK | FAILED) {
            return Err("queue register outside of set-up");
        }
        let queue = self
            .queues
            .get_mut(self.queue_sel as usize)
            .ok_or("no such queue")?;
        let low = |old: u64| old & !0xffff_ffff | u64::from(value);
        let high = |old: u64| old & 0xffff_ffff | u64::from(value) << 32;
        let [descriptors, available, used] = &mut queue.addresses;
        match offset {
            QUEUE_NUM => queue.size = value & 0xffff,
            QUEUE_READY => queue.ready = value == 1,
            0x80 => *descriptors = low(*descriptors),
            0x84 => *descriptors = high(*descriptors),
            0x90 => *available = low(*available),
            0x94 => *available = high(*available),
            0xa0 => *used = low(*used),
            _ => *used = high(*used),
        }
        Ok(())
    }

    fn write_status(&mut self, value: u32) -> Result<(), &'static str> {
        const DRIVING: u32 = ACKNOWLEDGE | DRIVER;
        const AGREED: u32 = DRIVING | FEATURES_OK;
        const RUNNING: u32 = AGREED | DRIVER_OK;
        if value & FAILED != 0 {
            self.status |= FAILED;
            return Ok(());
        }
        match (self.status, value) {
            (_, 0) => self.reset(),
            (0, ACKNOWLEDGE) | (ACKNOWLEDGE, DRIVING) | (DRIVING, AGREED) => self.status = value,
            (AGREED, RUNNING) => {
                self.status = value;
                if let Err(reason) = self.activate() {
                    self.status |= NEEDS_RESET;
                    return Err(reason);
                }
            }
            _ => return Err("status step that Firecracker ignores"),
        }
        Ok(())
    }

    fn reset(&mut self) {
        let (rejections, writes) = (core::mem::take(&mut self.rejections), self.writes);
        *self = RegisterModel::new(self.offered, self.queues.len(), self.max_queue_size);
        (self.rejections, self.writes) = (rejections, writes);
    }

    /// What the device checks when it is set running.
    fn activate(&self) -> Result<(), &'static str> {
        if !self.driver_features().contains(Features::VERSION_1) {
            return Err("VERSION_1 not accepted");
        }
        for queue in &self.queues {
            let [descriptors, available, used] = queue.addresses;
            if !queue.ready {
                return Err("queue not ready");
            }
            if !queue.size.is_power_of_two() || queue.size > self.max_queue_size {
                return Err("queue size impossible");
            }
            if descriptors % 16 != 0 || available % 2 != 0 || used % 4 != 0 {
                return Err("queue not aligned");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> RegisterModel {
        RegisterModel::new(Some(Features::VERSION_1 | Features::EVENT_IDX), 1, 256)
    }

    /// The steps of a driver that does everything right, up to `count` of them.
    fn drive(model: &mut RegisterModel, count: usize) {
        let steps = [
            (0x70, 0),
            (0x70, 1),
            (0x70, 3),
            (0x24, 1),
            (0x20, 1),
            (0x70, 11),
            (0x30, 0),
            (0x38, 64),
            (0x80, 0x1000),
            (0x90, 0x2000),
            (0xa0, 0x3000),
            (0x44, 1),
            (0x70, 15),
            (0x50, 0),
            (0x64, 1),
        ];
        for (offset, value) in &steps[..count.min(steps.len())] {
            model.write(*offset, *value);
        }
    }

    fn last_reason(model: &RegisterModel) -> &str {
        &model
            .rejections()
            .last()
            .expect("a write was rejected")
            .reason
    }

    #[test]
    fn takes_single_steps() {
        let mut model = model();
        drive(&mut model, usize::MAX);
        assert_eq!(model.rejections(), []);
        assert!(model.running());
        assert_eq!(model.queue(0).unwrap().addresses, [0x1000, 0x2000, 0x3000]);
    }

    #[test]
    fn ignores_two_bits_at_once_and_steps_back() {
        let mut model = model();
        model.write(0x70, 3);
        assert_eq!((model.status(), model.rejections().len()), (0, 1));
        drive(&mut model, 5);
        model.write(0x70, 1);
        assert_eq!((model.status(), model.rejections().len()), (3, 2));
    }

    #[test]
    fn closes_the_queue_registers_when_the_device_runs() {
        let mut model = model();
        drive(&mut model, 13);
        model.write(0x44, 0);
        assert_eq!(last_reason(&model), "queue register outside of set-up");
        assert!(
            model.queue(0).unwrap().ready,
            "so a driver that waits for 0 hangs"
        );
    }

    #[test]
    fn refuses_to_run_what_is_not_set_up() {
        let mut early = model();
        drive(&mut early, 6);
        early.write(0x70, 15);
        assert_eq!(last_reason(&early), "queue not ready");
        assert_eq!(early.status() & NEEDS_RESET, NEEDS_RESET);

        let mut old = model();
        for value in [1, 3, 11, 15] {
            old.write(0x70, value);
        }
        assert_eq!(last_reason(&old), "VERSION_1 not accepted");
    }

    #[test]
    fn names_what_else_is_ignored() {
        let mut model = model();
        for (offset, value) in [
            (0x50, 0),
            (0x64, 1),
            (0x20, 1),
            (0x44, 1),
            (0x28, 0),
            (0x100, 0),
        ] {
            model.write(offset, value);
        }
        assert_eq!(model.rejections().len(), 6);
        drive(&mut model, 3);
        model.write(0x24, 0);
        model.write(0x20, 1 << 5);
        assert_eq!(last_reason(&model), "feature that was not offered");
    }
}
