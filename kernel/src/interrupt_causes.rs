//! Acknowledging the devices that share an interrupt line, so that the line drops. The controllers hear
//! of edges only: a line that stays up is deaf for good.
//!
//! Called by the interrupt handler, through `arch::devices`, which has the registers.
//!
//! ```
//! use core::cell::Cell;
//! use ukernel::interrupt_causes::{Causes, acknowledge};
//!
//! struct Device(Cell<u32>);
//! impl Causes for Device {
//!     fn pending(&self) -> u32 {
//!         self.0.get()
//!     }
//!     fn clear(&self, causes: u32) {
//!         self.0.set(self.0.get() & !causes);
//!     }
//! }
//! let devices = [Device(Cell::new(1)), Device(Cell::new(0))];
//! acknowledge(&devices);
//! assert_eq!(devices[0].pending(), 0);
//! ```

/// How often the devices of a line are looked at in one interrupt. A device that asserts the line in between
/// would not make an edge; one that does so for ever must not hang the machine.
pub const MAX_ROUNDS: usize = 4;
/// Both causes that a virtio device has (virtio 1.2 §4.2.2). They are acknowledged together: one that
/// came after the status was read would hold the line up, and the controller would see no edge again.
/// Nothing is lost, as the drivers look at the ring and at the configuration after every interrupt.
/// Acknowledging what a device did not raise changes nothing.
const ALL_CAUSES: u32 = 0b11;

/// A device's interrupt status. While any bit of it is set, the device holds the line up.
pub trait Causes {
    /// The bits that are set.
    fn pending(&self) -> u32;
    /// Clears bits.
    fn clear(&self, causes: u32);
}

/// Acknowledges everything that the devices of a line have to say. The line is down at some moment of
/// this, unless a device asserts it for ever.
pub fn acknowledge(devices: &[impl Causes]) {
    // A device that has the line for itself lets go of it when it is acknowledged, and makes an edge the
    // next time. Reading which cause it had would be an exit more to learn nothing.
    if let [device] = devices {
        return device.clear(ALL_CAUSES);
    }
    for _ in 0..MAX_ROUNDS {
        let mut quiet = true;
        for device in devices {
            quiet &= acknowledge_one(device);
        }
        if quiet {
            return;
        }
    }
}

/// True if the device had nothing to say.
fn acknowledge_one(device: &impl Causes) -> bool {
    let causes = device.pending();
    if causes != 0 {
        device.clear(causes | ALL_CAUSES);
    }
    causes == 0
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::cell::Cell;
    use std::vec::Vec;

    /// A line, and what becomes pending behind which register access.
    struct Line {
        pending: [Cell<u32>; 2],
        accesses: Cell<usize>,
        /// Access, device and causes.
        script: Vec<(usize, usize, u32)>,
        was_down: Cell<bool>,
    }

    struct Device<'a> {
        line: &'a Line,
        index: usize,
    }

    impl Line {
        fn new(first: [u32; 2], script: &[(usize, usize, u32)]) -> Line {
            Line {
                pending: first.map(Cell::new),
                accesses: Cell::new(0),
                script: script.into(),
                was_down: Cell::new(false),
            }
        }

        /// Has the devices acknowledged; whether the line was down at some moment.
        fn drops(&self, devices: usize) -> bool {
            let devices: Vec<_> = (0..devices)
                .map(|index| Device { line: self, index })
                .collect();
            acknowledge(&devices);
            self.was_down.get()
        }

        fn accessed(&self) {
            let down = self.pending.iter().all(|causes| causes.get() == 0);
            self.was_down.set(self.was_down.get() | down);
            let now = self.accesses.get();
            for &(_, device, causes) in self.script.iter().filter(|(access, ..)| *access == now) {
                self.pending[device].set(self.pending[device].get() | causes);
            }
            self.accesses.set(now + 1);
        }
    }

    impl Causes for Device<'_> {
        fn pending(&self) -> u32 {
            let causes = self.line.pending[self.index].get();
            self.line.accessed();
            causes
        }

        fn clear(&self, causes: u32) {
            let pending = &self.line.pending[self.index];
            pending.set(pending.get() & !causes);
            self.line.accessed();
        }
    }

    /// The second cause of a device comes at any moment of the first one's handling.
    #[test]
    fn a_cause_between_the_look_and_the_acknowledgement_does_not_hold_the_line() {
        for (first, second) in [(1, 2), (2, 1), (1, 1), (3, 3)] {
            for access in 0..4 {
                let line = Line::new([first, 0], &[(access, 0, second)]);
                assert!(line.drops(1), "{first} then {second} at access {access}");
            }
        }
    }

    #[test]
    fn neighbours_on_a_line_do_not_hold_it_for_each_other() {
        let moments = || (0..9).flat_map(|access| (0..2).map(move |device| (access, device)));
        for (access, device) in moments() {
            for (later, other) in moments() {
                let script = [(access, device, 2), (later, other, 1)];
                assert!(Line::new([1, 0], &script).drops(2), "{script:?}");
                assert!(Line::new([1, 1], &script).drops(2), "{script:?}");
            }
        }
    }

    #[test]
    fn a_line_that_never_drops_is_given_up() {
        let script: Vec<_> = (0..100).map(|access| (access, access % 2, 1)).collect();
        let line = Line::new([1, 1], &script);
        assert!(!line.drops(2));
        assert_eq!(line.accesses.get(), MAX_ROUNDS * 4);
    }
}
