//! A device with a ring, and a host that has more for it than fits.

use crate::pair::{SERVER, SERVER_MAC, config};
use core::task::{Context, Poll};
use netstack::testing::random;
use reactor::Reactor;
use reactor::hardware::Hardware;
use reactor::testing::VirtualClock;
use reactor::time::Duration;
use smoltcp::phy::{Device, DeviceCapabilities, RxToken, TxToken};

/// A device whose host fills the ring when it is told that there is room, and not before.
struct Ring {
    filled: usize,
    waiting: usize,
}

/// A frame of a [`Ring`]'s: for somebody else, so that it costs a stack nothing more.
struct Foreign;

struct Sink;

impl RxToken for Foreign {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&[2; 60])
    }
}

impl TxToken for Sink {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, write: F) -> R {
        write(&mut vec![0; len])
    }
}

impl Device for Ring {
    type RxToken<'a> = Foreign;
    type TxToken<'a> = Sink;

    fn receive(&mut self, _: smoltcp::time::Instant) -> Option<(Foreign, Sink)> {
        self.filled = self.filled.checked_sub(1)?;
        Some((Foreign, Sink))
    }

    fn transmit(&mut self, _: smoltcp::time::Instant) -> Option<Sink> {
        Some(Sink)
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.max_transmission_unit = 1514;
        capabilities
    }
}

impl Hardware for Ring {
    fn flush(&mut self) {
        let more = self.waiting.min(256 - self.filled);
        self.filled += more;
        self.waiting -= more;
    }

    fn poll_event(&mut self, _: &mut Context<'_>) -> Poll<()> {
        match self.filled {
            0 => Poll::Pending,
            _ => Poll::Ready(()),
        }
    }

    fn is_up(&self) -> bool {
        true
    }
}

#[test]
fn a_host_with_frames_for_many_rings_fills_one_for_each_turn() {
    let reactor = Reactor::new(VirtualClock::new());
    let (clock, spawner) = (reactor.clock(), reactor.spawner());
    let ring = Ring {
        filled: 256,
        waiting: 256 * 9,
    };
    let config = config(SERVER_MAC, SERVER);
    let (stack, runner) = netstack::new(ring, config, clock.clone(), random(1)).unwrap();
    spawner.task("network").spawn(runner.run()).detach();
    reactor.block_on(clock.sleep(Duration::from_millis(1)));
    let stats = stack.stats();
    assert_eq!(stats.frames_received, 2560);
    assert!(stats.turns <= 12, "{} turns", stats.turns);
}
