//! What Firecracker's virtio-mmio transport accepts, as a model: its rules are stricter than QEMU's, and a
//! driver that breaks them is left standing without a word (Firecracker's
//! `devices/virtio/transport/mmio.rs`).

/// Register offsets (virtio 1.2, section 4.2.2).
const DRIVER_FEATURES: u64 = 0x20;
const DRIVER_FEATURES_SEL: u64 = 0x24;
const QUEUE_SEL: u64 = 0x30;
const QUEUE_NUM: u64 = 0x38;
const QUEUE_READY: u64 = 0x44;
const QUEUE_NOTIFY: u64 = 0x50;
const INTERRUPT_ACK: u64 = 0x64;
const STATUS: u64 = 0x70;
const QUEUE_ADDRESSES: std::ops::RangeInclusive<u64> = 0x80..=0xa4;
const CONFIG: u64 = 0x100;

/// Status bits (virtio 1.2, section 2.1).
const ACKNOWLEDGE: u64 = 1;
const DRIVER: u64 = 2;
const DRIVER_OK: u64 = 4;
const FEATURES_OK: u64 = 8;
const FAILED: u64 = 128;

/// The steps that the status may go, one bit at a time.
const STEPS: [(u64, u64); 4] = [
    (0, ACKNOWLEDGE),
    (ACKNOWLEDGE, ACKNOWLEDGE | DRIVER),
    (ACKNOWLEDGE | DRIVER, ACKNOWLEDGE | DRIVER | FEATURES_OK),
    (
        ACKNOWLEDGE | DRIVER | FEATURES_OK,
        ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK,
    ),
];

/// One device as Firecracker would see it.
#[derive(Debug, Default)]
pub struct Transport {
    status: u64,
    feature_page: u64,
    has_version_1: bool,
}

impl Transport {
    /// Takes one write to a register.
    ///
    /// # Errors
    /// Firecracker would ignore or refuse it; the error says why.
    pub fn write(&mut self, offset: u64, value: u64) -> Result<(), String> {
        let verdict = match offset {
            STATUS => self.set_status(value),
            DRIVER_FEATURES_SEL => {
                self.feature_page = value;
                Ok(())
            }
            DRIVER_FEATURES => self.acknowledge_features(value),
            QUEUE_SEL => Ok(()),
            QUEUE_NUM | QUEUE_READY => self.set_up_queue(),
            _ if QUEUE_ADDRESSES.contains(&offset) => self.set_up_queue(),
            QUEUE_NOTIFY | INTERRUPT_ACK if self.is_running() => Ok(()),
            QUEUE_NOTIFY | INTERRUPT_ACK => Err("the device does not run yet"),
            CONFIG.. => Ok(()),
            _ => Err("no such register"),
        };
        let status = self.status;
        verdict.map_err(|why| format!("{offset:#x} <- {value:#x} at status {status:#x}: {why}"))
    }

    /// Whether the driver has brought the device to life.
    pub fn is_running(&self) -> bool {
        self.status & DRIVER_OK != 0
    }

    fn set_status(&mut self, value: u64) -> Result<(), &'static str> {
        if value == 0 {
            *self = Transport::default();
            return Ok(());
        }
        if value & FAILED == 0 && !STEPS.contains(&(self.status, value)) {
            return Err("not a single step forward");
        }
        if value & FEATURES_OK != 0 && !self.has_version_1 {
            return Err("VIRTIO_F_VERSION_1 was not acknowledged");
        }
        self.status = value;
        Ok(())
    }

    fn acknowledge_features(&mut self, value: u64) -> Result<(), &'static str> {
        if self.status != ACKNOWLEDGE | DRIVER {
            return Err("features are negotiated between DRIVER and FEATURES_OK");
        }
        if self.feature_page == 1 {
            self.has_version_1 = value & 1 != 0;
        }
        Ok(())
    }

    fn set_up_queue(&self) -> Result<(), &'static str> {
        match self.status & (FEATURES_OK | DRIVER_OK) {
            FEATURES_OK => Ok(()),
            _ => Err("queues are set up between FEATURES_OK and DRIVER_OK"),
        }
    }
}

/// The register writes in QEMU's log of the event `virtio_mmio_write_offset`.
pub fn writes_in_trace(log: &str) -> impl Iterator<Item = (u64, u64)> + '_ {
    log.lines().filter_map(|line| {
        let (_, numbers) = line.split_once("virtio_mmio_write offset 0x")?;
        let (offset, value) = numbers.split_once(" value 0x")?;
        let hexadecimal = |text| u64::from_str_radix(text, 16).ok();
        Some((hexadecimal(offset)?, hexadecimal(value.trim_end())?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A driver by the book.
    const GOOD: [(u64, u64); 12] = [
        (STATUS, 0),
        (STATUS, 1),
        (STATUS, 3),
        (DRIVER_FEATURES_SEL, 1),
        (DRIVER_FEATURES, 1),
        (STATUS, 11),
        (QUEUE_SEL, 0),
        (QUEUE_NUM, 16),
        (0x80, 0x1000),
        (QUEUE_READY, 1),
        (STATUS, 15),
        (QUEUE_NOTIFY, 0),
    ];

    fn run(writes: &[(u64, u64)]) -> Result<Transport, String> {
        let mut transport = Transport::default();
        for (offset, value) in writes {
            transport.write(*offset, *value)?;
        }
        Ok(transport)
    }

    #[test]
    fn a_driver_by_the_book_is_accepted_and_may_start_again() {
        assert!(run(&GOOD).unwrap().is_running());
        assert!(run(&[GOOD, GOOD].concat()).unwrap().is_running());
    }

    #[test]
    fn two_steps_at_once_are_not() {
        assert!(run(&[(STATUS, 0), (STATUS, 3)]).is_err());
        assert!(run(&[&GOOD[..5], &[(STATUS, 15)]].concat()).is_err());
        assert!(
            run(&[&GOOD[..], &[(STATUS, 3)]].concat()).is_err(),
            "a bit was cleared"
        );
    }

    #[test]
    fn each_step_that_is_left_out_is_noticed() {
        // Not the selection of queue 0 and the first reset, which change nothing.
        for left_out in [1, 2, 3, 4, 5, 10] {
            let mut writes = GOOD.to_vec();
            writes.remove(left_out);
            assert!(run(&writes).is_err(), "without {:?}", GOOD[left_out]);
        }
    }

    #[test]
    fn a_trace_is_read() {
        let log = "1@2.3:virtio_mmio_write_offset virtio_mmio_write offset 0x70 value 0xb\nother\n";
        assert_eq!(writes_in_trace(log).collect::<Vec<_>>(), [(STATUS, 11)]);
    }
}
