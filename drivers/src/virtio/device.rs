//! A running device: its registers and its queues in one owner, because the memory of a queue may
//! be freed only after the device let go of it. The device drivers of this crate hold one each.

use alloc::vec::Vec;
use core::fmt;
use core::mem;

use log::error;

use super::{Fault, Queue, Registers, Transport};

/// Registers and queues of a running device.
///
/// Dropping it resets the device. If the device does not confirm the reset (Firecracker before
/// 1.16 has none), the memory of its queues is kept for ever: the device may still write it.
#[derive(Debug)]
pub(crate) struct Device<T: Registers> {
    name: &'static str,
    transport: Transport<T>,
    queues: Vec<Queue>,
    failed: bool,
}

impl<T: Registers> Device<T> {
    /// Takes over a transport whose queues are set up and that is about to start or runs already.
    /// `name` stands at the front of its log lines.
    pub(crate) fn new(name: &'static str, transport: Transport<T>, queues: Vec<Queue>) -> Self {
        Device {
            name,
            transport,
            queues,
            failed: false,
        }
    }

    pub(crate) fn transport(&mut self) -> &mut Transport<T> {
        &mut self.transport
    }

    pub(crate) fn queue(&self, index: usize) -> &Queue {
        &self.queues[index]
    }

    pub(crate) fn queue_mut(&mut self, index: usize) -> &mut Queue {
        &mut self.queues[index]
    }

    /// Two queues at once, for a driver whose tokens borrow both.
    pub(crate) fn queues(&mut self) -> [&mut Queue; 2] {
        let [first, second, ..] = &mut self.queues[..] else {
            unreachable!("only a driver that made two queues asks for both")
        };
        [first, second]
    }

    /// Tells the device about what was submitted to each queue since the last call: at most one
    /// register write for each queue. Returns how many.
    pub(crate) fn notify(&mut self) -> u64 {
        let mut count = 0;
        for queue in &mut self.queues {
            if queue.needs_notification() && !self.failed {
                self.transport.notify(queue.index());
                count += 1;
            }
        }
        count
    }

    /// Whether the device was given up.
    pub(crate) fn failed(&self) -> bool {
        self.failed
    }

    /// Gives the device up, with one line in the log the first time.
    pub(crate) fn fail(&mut self, reason: Failure) {
        if mem::replace(&mut self.failed, true) {
            return;
        }
        let base = self.transport.slot().base;
        error!(
            "{}: device failed base={base:#x} reason=\"{reason}\"",
            self.name
        );
        self.transport.fail();
    }
}

impl<T: Registers> Drop for Device<T> {
    fn drop(&mut self) {
        let queues = mem::take(&mut self.queues);
        if self.transport.reset() {
            drop(queues);
        } else {
            mem::forget(queues);
        }
    }
}

/// Why a device was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It broke the rules of a queue.
    Fault(Fault),
    /// It left a request unanswered for too long.
    Stuck,
    /// It completed a request without giving anything.
    Empty,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fault(fault) => fault.fmt(f),
            Self::Stuck => f.write_str("no answer in time"),
            Self::Empty => f.write_str("empty answer"),
        }
    }
}
