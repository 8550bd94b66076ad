//! What the handler of a serial port does: takes what came in, and leaves no enabled cause behind. The
//! controller sees only edges, and would not hear of the port again.
//!
//! Called by the interrupt handler, through `arch::serial`, which has the registers.

use crate::input_ring::{CAPACITY, InputRing};

/// Causes looked at in one interrupt. Each takes a byte at least, or is the transmitter's: so more than
/// these come only from a port that lies, whose input then waits until a task has looked.
const MAX_CAUSES: usize = CAPACITY + 16;

/// Why a port interrupts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Bytes came in, or something about them.
    Receiver,
    /// Bytes can go out.
    Transmitter,
}

/// A serial port, and who is told about it.
pub trait Port {
    /// The most urgent of the causes that are enabled and there.
    fn cause(&self) -> Option<Cause>;
    /// Takes the next byte that came in.
    fn next_byte(&self) -> Option<u8>;
    /// Tells those who wait for this cause.
    fn tell(&self, cause: Cause);
    /// Disables a cause, until a task enables it again. False if it was disabled already.
    fn silence(&self, cause: Cause) -> bool;
}

/// Takes what came in, as far as there is room, and answers each cause.
pub fn handle(port: &impl Port, ring: &InputRing) {
    for _ in 0..MAX_CAUSES {
        match port.cause() {
            None => return,
            Some(Cause::Transmitter) => {
                port.silence(Cause::Transmitter);
                port.tell(Cause::Transmitter);
            }
            Some(Cause::Receiver) => {}
        }
        if !receive_all(port, ring) {
            stall(port);
        }
    }
    stall(port);
}

/// Lets input wait in the port. It may wait already, while the transmitter interrupts.
fn stall(port: &impl Port) {
    if port.silence(Cause::Receiver) {
        port.tell(Cause::Receiver);
    }
}

/// Takes all bytes that the port has. False if there is no room for more.
fn receive_all(port: &impl Port, ring: &InputRing) -> bool {
    while ring.has_room() {
        let Some(byte) = port.next_byte() else {
            return true;
        };
        ring.push(byte);
        port.tell(Cause::Receiver);
    }
    false
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::cell::{Cell, RefCell};
    use std::vec::Vec;

    /// A port into which the next byte comes when somebody looks for a cause: as slowly as the handler
    /// is fast.
    struct Trickle {
        coming: Cell<usize>,
        ready: Cell<usize>,
        sending: Cell<bool>,
        /// Whether it says that something came when nothing did.
        lies: bool,
        receiving: Cell<bool>,
        told: RefCell<Vec<Cause>>,
    }

    fn trickle(bytes: usize) -> Trickle {
        Trickle {
            coming: Cell::new(bytes),
            ready: Cell::new(0),
            sending: Cell::new(false),
            lies: false,
            receiving: Cell::new(true),
            told: RefCell::default(),
        }
    }

    impl Port for Trickle {
        fn cause(&self) -> Option<Cause> {
            if self.coming.get() > 0 {
                self.coming.set(self.coming.get() - 1);
                self.ready.set(self.ready.get() + 1);
            }
            if self.receiving.get() && (self.lies || self.ready.get() > 0) {
                Some(Cause::Receiver)
            } else {
                self.sending.get().then_some(Cause::Transmitter)
            }
        }

        fn next_byte(&self) -> Option<u8> {
            let left = self.ready.get().checked_sub(1)?;
            self.ready.set(left);
            Some(7)
        }

        fn tell(&self, cause: Cause) {
            self.told.borrow_mut().push(cause);
        }

        fn silence(&self, cause: Cause) -> bool {
            match cause {
                Cause::Receiver => self.receiving.replace(false),
                Cause::Transmitter => self.sending.replace(false),
            }
        }
    }

    fn taken(ring: &InputRing) -> usize {
        ring.pop(&mut [0; CAPACITY + 1])
    }

    #[test]
    fn bytes_that_trickle_in_are_all_taken() {
        for bytes in [1, 16, 17, CAPACITY - 1] {
            let (port, ring) = (trickle(bytes), InputRing::new());
            handle(&port, &ring);
            assert_eq!(taken(&ring), bytes);
            assert!(port.receiving.get(), "there is room, after {bytes} bytes");
            assert_eq!(port.told.take(), [Cause::Receiver].repeat(bytes));
        }
    }

    #[test]
    fn what_does_not_fit_stays_in_the_port_which_is_silenced() {
        let (port, ring) = (trickle(CAPACITY + 5), InputRing::new());
        handle(&port, &ring);
        assert!(!port.receiving.get());
        assert_eq!(port.cause(), None, "no cause is left behind");
        let told = port.told.take();
        assert_eq!(told, [Cause::Receiver].repeat(CAPACITY + 1));
        port.sending.set(true);
        handle(&port, &ring);
        assert_eq!(
            port.told.take(),
            [Cause::Transmitter],
            "no news of what waits"
        );
        assert_eq!(taken(&ring), CAPACITY);
        assert!(port.ready.get() > 0);
    }

    #[test]
    fn a_port_that_lies_is_silenced() {
        let port = Trickle {
            lies: true,
            ..trickle(0)
        };
        handle(&port, &InputRing::new());
        assert!(!port.receiving.get());
        assert_eq!(port.told.take(), [Cause::Receiver], "somebody must look");
    }

    #[test]
    fn the_transmitter_is_told_of_once() {
        let port = trickle(2);
        port.sending.set(true);
        handle(&port, &InputRing::new());
        assert!(!port.sending.get() && port.receiving.get());
        let expected = [Cause::Receiver, Cause::Receiver, Cause::Transmitter];
        assert_eq!(port.told.take(), expected);
    }
}
