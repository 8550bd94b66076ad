//! Judges the register writes that QEMU recorded (`-trace enable=virtio_mmio_write_offset`) by
//! Firecracker's rules, so that a machine without Firecracker can still test for it.

use std::vec::Vec;

use super::{RegisterModel, Rejection};

/// What stands in front of a write in QEMU's log.
const EVENT: &str = "virtio_mmio_write offset ";

/// More queues than a device of ours has; the trace does not tell how many there are.
const QUEUES: usize = 2;
/// Largest queue that Firecracker offers.
const MAX_QUEUE_SIZE: u32 = 256;

/// What a trace shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceReport {
    /// Writes in the trace.
    pub writes: usize,
    /// The status register that each device was brought to, in the order in which they were. A
    /// device that is reset when it is no longer needed does not count again.
    pub statuses: Vec<u32>,
    /// Writes that Firecracker would have ignored.
    pub rejected: Vec<Rejection>,
}

impl TraceReport {
    /// Whether there was a device, all of them run, and no write was ignored.
    pub fn is_clean(&self) -> bool {
        let running = self.statuses.iter().all(|status| *status == 0xf);
        running && !self.statuses.is_empty() && self.rejected.is_empty()
    }
}

/// Replays a QEMU log against [`RegisterModel`]. Lines of other events are skipped.
///
/// The trace does not tell devices apart. They are brought up one after the other, and each begins
/// with a reset, so that is where the next one starts; notifications and acknowledgements may
/// belong to any device that runs.
pub fn check_trace(log: &str) -> TraceReport {
    let mut devices: Vec<Traced> = Vec::new();
    let mut report = TraceReport::default();
    for (offset, value) in log.lines().filter_map(parse) {
        report.writes += 1;
        if (offset, value) == (0x70, 0) || devices.is_empty() {
            devices.push(Traced::default());
        }
        let for_any = matches!(offset, 0x50 | 0x64);
        if for_any && devices.iter().any(|device| device.status() == 0xf) {
            continue;
        }
        if let Some(device) = devices.last_mut() {
            device.writes.push((offset, value));
        }
    }
    for device in devices.iter().filter(|device| !device.is_farewell()) {
        let model = device.replay();
        report.statuses.push(model.status());
        report.rejected.extend_from_slice(model.rejections());
    }
    report
}

/// The writes to one device.
#[derive(Default)]
struct Traced {
    writes: Vec<(u64, u32)>,
}

impl Traced {
    fn status(&self) -> u32 {
        self.replay().status()
    }

    /// Whether this is no bring-up but the end of a device that ran before.
    fn is_farewell(&self) -> bool {
        self.writes == [(0x70, 0)]
    }

    fn replay(&self) -> RegisterModel {
        // As many queues as the driver says are ready, for the model expects all of them to be.
        let ready = self
            .writes
            .iter()
            .filter(|&&write| write == (0x44, 1))
            .count();
        let mut model = RegisterModel::new(None, ready.min(QUEUES), MAX_QUEUE_SIZE);
        self.writes
            .iter()
            .for_each(|&(offset, value)| model.write(offset, value));
        model
    }
}

/// Reads `... virtio_mmio_write offset 0x70 value 0x1`.
fn parse(line: &str) -> Option<(u64, u32)> {
    let (_, rest) = line.split_once(EVENT)?;
    let (offset, value) = rest.trim().split_once(" value ")?;
    let offset = u64::from_str_radix(offset.strip_prefix("0x")?, 16).ok()?;
    let value = u64::from_str_radix(value.strip_prefix("0x")?, 16).ok()?;
    Some((offset, u32::try_from(value).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write;
    use std::string::String;

    fn log(writes: &[(u64, u32)]) -> String {
        let mut log = String::from("virtio_set_status vdev 0x1 val 1\n");
        for (offset, value) in writes {
            let event = "123@4.5:virtio_mmio_write_offset virtio_mmio_write offset";
            writeln!(log, "{event} {offset:#x} value {value:#x}").unwrap();
        }
        log
    }

    const BRING_UP: [(u64, u32); 10] = [
        (0x70, 0),
        (0x70, 1),
        (0x70, 3),
        (0x24, 1),
        (0x20, 1),
        (0x70, 11),
        (0x30, 0),
        (0x38, 64),
        (0x44, 1),
        (0x70, 15),
    ];

    #[test]
    fn passes_devices_that_are_brought_up_one_after_the_other() {
        let mut writes = BRING_UP.to_vec();
        writes.push((0x50, 0));
        writes.extend_from_slice(&BRING_UP[..4]);
        writes.push((0x64, 1)); // the first device's, in the midst of the second's
        writes.extend_from_slice(&BRING_UP[4..]);
        let report = check_trace(&log(&writes));
        assert_eq!(
            (report.writes, report.statuses.as_slice()),
            (22, &[0xf, 0xf][..])
        );
        assert!(report.is_clean(), "{:?}", report.rejected);
    }

    #[test]
    fn a_device_may_be_reset_when_it_is_done() {
        let mut writes = BRING_UP.to_vec();
        writes.extend([(0x70, 0), (0x70, 0), (0x50, 0)]);
        let report = check_trace(&log(&writes));
        assert_eq!(report.statuses, [0xf]);
        assert!(report.is_clean(), "{:?}", report.rejected);
    }

    #[test]
    fn finds_what_firecracker_would_ignore() {
        let writes = BRING_UP.iter().copied().filter(|&write| write != (0x70, 1));
        let report = check_trace(&log(&writes.collect::<Vec<_>>()));
        assert!(!report.is_clean());
        assert_eq!(
            (report.rejected[0].offset, report.rejected[0].value),
            (0x70, 3)
        );
        assert_eq!(report.statuses, [0]);
    }

    #[test]
    fn an_empty_trace_is_not_clean() {
        assert!(!check_trace("nothing of interest").is_clean());
    }
}
