//! The entropy device against a fake that gives too little, too much, or nothing.

use std::sync::Arc;
use std::vec::Vec;

use reactor::Reactor;
use reactor::task::yield_now;
use reactor::testing::VirtualClock;
use virtio_drivers::transport::DeviceType;

use super::*;
use crate::testing::{DeviceQueue, FakeBus};

const LINE: u8 = 9;

struct Bench {
    clock: Arc<VirtualClock>,
    reactor: Reactor,
    bus: FakeBus,
    queue: DeviceQueue,
    entropy: Entropy,
}

fn bench() -> Bench {
    let clock = VirtualClock::new();
    let reactor = Reactor::new(clock.clone());
    let features = Features::VERSION_1 | Features::EVENT_IDX;
    let config = Vec::new();
    let bus = FakeBus::new(
        DeviceType::EntropySource,
        features,
        1,
        config,
        clock.clone(),
        LINE,
    );
    let irq = reactor.irq_event(LINE);
    let (entropy, runner) = new(bus.transport(), irq, reactor.clock()).unwrap();
    let queue = bus.queue(0);
    reactor.spawner().spawn(runner.run()).detach();
    Bench {
        clock,
        reactor,
        bus,
        queue,
        entropy,
    }
}

impl Bench {
    fn ask(&self, len: usize) -> reactor::task::JoinHandle<Result<Vec<u8>, EntropyFailed>> {
        let entropy = self.entropy.clone();
        self.reactor.spawner().spawn(async move {
            let mut bytes = vec![0; len];
            entropy.fill(&mut bytes).await.map(|()| bytes)
        })
    }

    fn settle(&self) {
        self.reactor.block_on(async {
            for _ in 0..4 {
                yield_now().await;
            }
        });
    }

    /// The device answers its one request with up to `count` bytes of value `byte`.
    fn give(&mut self, byte: u8, count: usize) {
        self.settle();
        let request = self.queue.pop().expect("the driver asks");
        assert!(self.queue.pop().is_none(), "one request at a time");
        let written = request.write(&vec![byte; count]);
        self.queue.push(request.head, written);
        self.signal();
    }

    fn signal(&mut self) {
        if self.queue.needs_interrupt() {
            self.bus.interrupt();
        }
        self.settle();
    }

    fn wait<T: 'static>(&self, handle: reactor::task::JoinHandle<T>) -> T {
        self.reactor.block_on(handle).unwrap()
    }
}

/// Its queue's memory is freed only after it let go of it.
#[test]
fn a_device_that_does_not_start_is_reset() {
    let clock = VirtualClock::new();
    let reactor = Reactor::new(clock.clone());
    let kind = DeviceType::EntropySource;
    let bus = FakeBus::new(kind, Features::VERSION_1, 1, Vec::new(), clock, LINE);
    bus.refuse_starts();
    let refused = new(bus.transport(), reactor.irq_event(LINE), reactor.clock());
    assert!(matches!(refused, Err(InitError::StartRefused(_))));
    assert_eq!(bus.model().status(), 0);
}

#[test]
fn fills_from_several_answers_in_order() {
    let mut bench = bench();
    let first = bench.ask(MAX_REQUEST + 10);
    let second = bench.ask(3);
    bench.give(1, 200); // less than asked for
    bench.give(2, MAX_REQUEST); // the other caller's turn
    bench.give(3, MAX_REQUEST);
    let bytes = bench.wait(first).unwrap();
    assert_eq!(
        bytes,
        [vec![1; 200], vec![3; MAX_REQUEST + 10 - 200]].concat()
    );
    assert_eq!(bench.wait(second), Ok(vec![2; 3]));
    assert_eq!(bench.bus.model().rejections(), []);
    assert_eq!(bench.wait(bench.ask(0)), Ok(Vec::new()));
}

#[test]
fn a_dropped_request_is_nobodys() {
    let mut bench = bench();
    let dropped = bench.ask(8);
    let waiting = bench.ask(8);
    let kept = bench.ask(8);
    bench.settle();
    dropped.cancel();
    waiting.cancel();
    bench.settle();
    bench.give(1, 8); // into the driver's own memory
    bench.give(2, 8);
    assert_eq!(bench.wait(kept), Ok(vec![2; 8]));
}

#[test]
fn fails_for_good_when_the_device_lies_or_sleeps() {
    let lies: [fn(&mut Bench); 4] = [
        |bench| bench.give(0, 0),
        |bench| bench.queue.push_raw(7, 1),
        |bench| bench.queue.push_raw(0, 9),
        |_| {},
    ];
    for (index, lie) in lies.into_iter().enumerate() {
        let mut bench = bench();
        let first = bench.ask(8);
        let second = bench.ask(8);
        bench.settle();
        lie(&mut bench);
        bench.signal();
        assert_eq!(bench.wait(first), Err(EntropyFailed));
        assert_eq!(bench.wait(second), Err(EntropyFailed));
        assert_eq!(bench.wait(bench.ask(1)), Err(EntropyFailed));
        let waited = bench.clock.now() >= reactor::time::Instant::ZERO + REQUEST_TIMEOUT;
        assert_eq!(waited, index == 3, "only silence takes time");
    }
}
