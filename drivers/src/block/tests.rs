//! The disk against a fake device: shapes of requests, order, errors, dropped futures, lies.

use std::boxed::Box;
use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::vec;
use std::vec::Vec;

use proptest::prelude::*;
use reactor::Reactor;
use reactor::task::{JoinHandle, yield_now};
use reactor::testing::VirtualClock;

use super::*;
use crate::testing::FakeBlock;

const LINE: u8 = 5;

const QEMU: Features = Features::from_bits(
    Features::VERSION_1.bits()
        | Features::EVENT_IDX.bits()
        | Features::INDIRECT.bits()
        | Features::BLOCK_SEG_MAX.bits()
        | Features::BLOCK_FLUSH.bits(),
);
const FIRECRACKER: Features =
    Features::from_bits(Features::VERSION_1.bits() | Features::EVENT_IDX.bits());

/// A disk, its device and a reactor in virtual time. The runner is spawned; the device does
/// nothing by itself.
struct Bench {
    clock: Arc<VirtualClock>,
    reactor: Reactor,
    device: Rc<RefCell<FakeBlock>>,
    disk: Disk,
    runner: JoinHandle<()>,
}

fn bench(features: Features, sectors: usize) -> Bench {
    bench_with(features, sectors, DiskConfig::default())
}

fn bench_with(features: Features, sectors: usize, config: DiskConfig) -> Bench {
    let clock = VirtualClock::new();
    let reactor = Reactor::new(clock.clone());
    let contents = contents(sectors);
    let device = FakeBlock::new(clock.clone(), LINE, features, contents);
    let irq = reactor.irq_event(LINE);
    let transport = device.bus().transport();
    let (disk, runner) = new(transport, irq, reactor.clock(), config).unwrap();
    let runner = reactor.spawner().spawn(runner.run());
    Bench {
        clock,
        reactor,
        device: Rc::new(RefCell::new(device)),
        disk,
        runner,
    }
}

/// A fresh disk: in each sector the bytes count upwards, from another one in each. Copied in
/// stretches, which Miri takes much better than single bytes.
fn contents(sectors: usize) -> Vec<u8> {
    let cycle: Vec<u8> = (0..768).map(|byte| byte as u8).collect();
    let sector = |index| &cycle[index * 7 % 256..][..512];
    (0..sectors).map(sector).collect::<Vec<_>>().concat()
}

fn expected(offset: usize, len: usize) -> Vec<u8> {
    contents((offset + len).div_ceil(512))[offset..offset + len].to_vec()
}

impl Bench {
    /// Runs a future while the device serves whatever it is notified of.
    fn served<F: Future>(&self, future: F) -> F::Output {
        let serve = self
            .reactor
            .spawner()
            .spawn(FakeBlock::serve_all(self.device.clone()));
        let output = self.reactor.block_on(future);
        serve.cancel();
        output
    }

    fn spawn<F: Future + 'static>(&self, f: impl FnOnce(Disk) -> F) -> JoinHandle<F::Output> {
        self.reactor.spawner().spawn(f(self.disk.clone()))
    }

    /// Lets every task go as far as it can without the device.
    fn settle(&self) {
        self.reactor.block_on(settle());
    }

    fn wait<T: 'static>(&self, handle: JoinHandle<T>) -> T {
        self.reactor.block_on(handle).unwrap()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let rejections = self.device.borrow().bus().model().rejections().to_vec();
        assert_eq!(rejections, [], "Firecracker would have ignored these");
    }
}

/// Its queue's memory is freed only after it let go of it.
#[test]
fn a_device_that_does_not_start_is_reset() {
    let clock = VirtualClock::new();
    let reactor = Reactor::new(clock.clone());
    let device = FakeBlock::new(clock, LINE, FIRECRACKER, contents(1));
    device.bus().refuse_starts();
    let (transport, irq) = (device.bus().transport(), reactor.irq_event(LINE));
    let refused = new(transport, irq, reactor.clock(), DiskConfig::default());
    assert!(matches!(refused, Err(InitError::StartRefused(_))));
    assert_eq!(device.bus().model().status(), 0);
}

/// Its clones as well; the handle that it was made from writes on.
#[test]
fn a_read_only_view_writes_nothing() {
    let bench = bench(FIRECRACKER, 2);
    bench.served(async {
        let view = bench.disk.read_only_view();
        assert!(view.read_only() && !bench.disk.read_only());
        let written = view.clone().write_at(0, &[9; 512]).await;
        assert_eq!(written, Err(DiskError::ReadOnly));
        assert_eq!(view.read(0, 512).await.unwrap(), expected(0, 512));
        assert_eq!(bench.disk.write_at(0, &[9; 512]).await, Ok(()));
        assert_eq!(view.read(0, 512).await.unwrap(), [9; 512]);
    });
}

async fn settle() {
    for _ in 0..4 {
        yield_now().await;
    }
}

#[test]
fn reads_and_writes_whole_blocks() {
    let bench = bench(FIRECRACKER, 16);
    bench.served(async {
        let disk = &bench.disk;
        assert_eq!(
            (disk.len_bytes(), disk.block_size(), disk.read_only()),
            (8192, 512, false)
        );
        assert_eq!(disk.read(1024, 512).await.unwrap(), expected(1024, 512));
        assert_eq!(disk.read(0, 8192).await.unwrap(), expected(0, 8192));
        assert_eq!(disk.read(8192, 0).await.unwrap(), []);
        let (result, bytes) = disk.write(512, vec![9; 1024]).await;
        assert_eq!((result, bytes.as_slice()), (Ok(()), &[9; 1024][..]));
        disk.write_at(2048, &[8; 512]).await.unwrap();
        assert_eq!(disk.read_into(512, bytes).await, (Ok(()), vec![9; 1024]));
        assert_eq!(disk.read(2048, 512).await.unwrap(), [8; 512]);
    });
    assert_eq!(bench.device.borrow().bytes[512..1536], [9; 1024]);
    let stats = bench.disk.stats();
    assert_eq!(
        (stats.reads, stats.read_bytes),
        (4, 512 + 8192 + 1024 + 512)
    );
    assert_eq!(
        (stats.writes, stats.written_bytes, stats.errors),
        (2, 1536, 0)
    );
    assert_eq!((stats.queued, stats.in_flight), (0, 0));
}

#[test]
fn reads_any_bytes() {
    let bench = bench(FIRECRACKER, 8);
    bench.served(async {
        for (offset, len) in [(0, 1), (511, 2), (1, 511), (700, 3000), (4095, 1), (5, 0)] {
            let mut bytes = vec![0; len];
            bench.disk.read_at(offset as u64, &mut bytes).await.unwrap();
            assert_eq!(bytes, expected(offset, len), "{offset}+{len}");
            assert_eq!(bench.disk.read(offset as u64, len).await.unwrap(), bytes);
        }
    });
}

#[test]
fn cuts_long_requests() {
    let sectors = if cfg!(miri) { 260 } else { 5000 };
    let bench = bench(FIRECRACKER | Features::BLOCK_SIZE_MAX, sectors); // 64 KiB
    let (len, written) = (sectors * 512 - 600, vec![3; (sectors - 2) * 512]);
    bench.served(async {
        assert!(bench.disk.read(300, len).await.unwrap() == expected(300, len));
        bench.disk.write_at(512, &written).await.unwrap();
    });
    let stats = bench.disk.stats();
    assert_eq!(stats.reads as usize, (sectors * 512).div_ceil(1 << 16));
    assert_eq!(stats.writes as usize, written.len().div_ceil(1 << 16));
    assert!(bench.device.borrow().bytes[512..][..written.len()] == written);
}

#[test]
fn respects_the_devices_blocks() {
    let bench = bench(FIRECRACKER | Features::BLOCK_BLK_SIZE, 19); // blocks of 4 KiB
    assert_eq!(
        (bench.disk.block_size(), bench.disk.len_bytes()),
        (4096, 8192)
    );
    bench.served(async {
        assert_eq!(
            bench.disk.read(100, 5000).await.unwrap(),
            expected(100, 5000)
        );
        assert_eq!(
            bench.disk.write_at(512, &[0; 512]).await,
            Err(DiskError::Misaligned)
        );
        assert_eq!(bench.disk.read(8192, 1).await, Err(DiskError::OutOfRange));
    });
}

#[test]
fn refuses_before_the_device_sees_it() {
    let bench = bench(FIRECRACKER, 4);
    let read_only = self::bench(FIRECRACKER | Features::BLOCK_RO, 4);
    let disk = &bench.disk;
    bench.reactor.block_on(async {
        for (offset, len) in [(2048, 1), (2047, 2), (u64::MAX, 1), (u64::MAX - 511, 512)] {
            assert_eq!(disk.read(offset, len).await, Err(DiskError::OutOfRange));
            assert_eq!(
                disk.write_at(offset, &vec![0; len]).await,
                Err(DiskError::OutOfRange)
            );
            let (result, bytes) = disk.read_into(offset, vec![1; len]).await;
            assert_eq!((result, bytes.len()), (Err(DiskError::OutOfRange), len));
            let (result, list) = disk.read_vectored(offset, vec![vec![1; len]]).await;
            assert_eq!((result, list.len()), (Err(DiskError::OutOfRange), 1));
        }
        assert_eq!(disk.read(0, usize::MAX).await, Err(DiskError::OutOfRange));
        for (offset, len) in [(1, 512), (0, 511), (512, 1)] {
            assert_eq!(
                disk.write_at(offset, &vec![0; len]).await,
                Err(DiskError::Misaligned)
            );
            assert_eq!(
                disk.write(offset, vec![0; len]).await.0,
                Err(DiskError::Misaligned)
            );
        }
    });
    read_only.reactor.block_on(async {
        assert!(read_only.disk.read_only());
        assert_eq!(
            read_only.disk.write_at(0, &[0; 512]).await,
            Err(DiskError::ReadOnly)
        );
        assert_eq!(
            read_only.disk.write(0, vec![0; 512]).await.0,
            Err(DiskError::ReadOnly)
        );
        let list = vec![vec![0; 512]];
        assert_eq!(
            read_only.disk.write_vectored(0, list).await.0,
            Err(DiskError::ReadOnly)
        );
    });
    for bench in [bench, read_only] {
        bench.settle();
        assert!(bench.device.borrow_mut().take().is_empty());
        assert_eq!(bench.device.borrow().bus().notifications(), 0);
    }
}

#[test]
fn flushes_where_there_is_a_cache() {
    let cached = bench(QEMU, 1);
    cached.served(cached.disk.flush()).unwrap();
    assert_eq!(
        (cached.device.borrow().flushes, cached.disk.stats().flushes),
        (1, 1)
    );
    let direct = bench(FIRECRACKER, 1);
    direct.reactor.block_on(direct.disk.flush()).unwrap();
    assert_eq!(direct.device.borrow().bus().notifications(), 0);
}

#[test]
fn scatters_and_gathers() {
    for (features, requests) in [(QEMU, 1), (FIRECRACKER, 3)] {
        let bench = bench(features, 8);
        let list = vec![vec![0; 100], vec![0; 412], vec![0; 1024]];
        let handle = bench.spawn(|disk| async move { disk.read_vectored(512, list).await });
        let serving = bench
            .reactor
            .spawner()
            .spawn(FakeBlock::serve_all(bench.device.clone()));
        let (result, list) = bench.wait(handle);
        assert_eq!(result, Ok(()));
        assert_eq!(
            list.iter().map(Vec::len).collect::<Vec<_>>(),
            [100, 412, 1024]
        );
        assert_eq!(list.concat(), expected(512, 1536));
        assert_eq!(bench.disk.stats().reads, requests, "features={features:?}");

        let list = vec![vec![1; 500], vec![2; 12], vec![3; 512]];
        let handle = bench.spawn(|disk| async move { disk.write_vectored(0, list).await });
        assert_eq!(bench.wait(handle).0, Ok(()));
        assert_eq!(bench.disk.stats().writes, 1);
        let start = bench.device.borrow().bytes[..1024].to_vec();
        assert_eq!(start, [vec![1; 500], vec![2; 12], vec![3; 512]].concat());
        serving.cancel();
    }
}

#[test]
fn gathers_in_one_table_only_where_there_are_tables() {
    let bench = bench(QEMU, 8);
    let list = vec![vec![0; 512]; 4];
    let handle = bench.spawn(|disk| async move { disk.read_vectored(0, list).await });
    bench.settle();
    {
        let mut device = bench.device.borrow_mut();
        let command = device.take()[0].clone();
        assert_eq!(
            (command.segments(), command.len, command.indirect()),
            (4, 2048, true)
        );
        device.complete(0);
    }
    assert_eq!(bench.wait(handle).0, Ok(()));
}

#[test]
fn each_request_gets_its_own_error() {
    let bench = bench(FIRECRACKER, 64);
    {
        let mut device = bench.device.borrow_mut();
        device.set_bad_sector(10, 1);
        device.set_bad_sector(20, 2);
        device.set_bad_sector(30, 77);
    }
    let handles: Vec<_> = (0..40)
        .map(|sector| bench.spawn(move |disk| async move { disk.read(sector * 512, 512).await }))
        .collect();
    let results = bench.served(async {
        let mut results = Vec::new();
        for handle in handles {
            results.push(handle.await.unwrap());
        }
        results
    });
    for (sector, result) in results.into_iter().enumerate() {
        match sector {
            10 => assert_eq!(result, Err(DiskError::Io)),
            20 => assert_eq!(result, Err(DiskError::Unsupported)),
            30 => assert_eq!(result, Err(DiskError::BadStatus(77))),
            _ => assert_eq!(result.unwrap(), expected(sector * 512, 512)),
        }
    }
    assert_eq!(
        (bench.disk.stats().errors, bench.disk.stats().reads),
        (3, 37)
    );
}

#[test]
fn believes_neither_missing_status_nor_missing_data() {
    let bench = bench(FIRECRACKER, 8);
    for (status, written, error) in [
        (255, 0, DiskError::BadStatus(255)), // Firecracker, when it cannot parse a request
        (0, 512, DiskError::Incomplete),
        (0, 0, DiskError::Incomplete),
    ] {
        let handle = bench.spawn(|disk| async move { disk.read(0, 512).await });
        bench.settle();
        bench.device.borrow_mut().take();
        bench.device.borrow_mut().complete_with(0, status, written);
        assert_eq!(bench.wait(handle), Err(error));
    }
    let write = bench.spawn(|disk| async move { disk.write_at(0, &[0; 512]).await });
    bench.settle();
    bench.device.borrow_mut().take();
    bench.device.borrow_mut().complete_with(0, 0, 1);
    assert_eq!(bench.wait(write), Ok(()), "a write returns only its status");
}

#[test]
fn completes_in_any_order() {
    let bench = bench(FIRECRACKER, 8);
    let order = Rc::new(RefCell::new(Vec::new()));
    let handles: Vec<_> = (0..5_u64)
        .map(|sector| {
            let order = order.clone();
            bench.spawn(move |disk| async move {
                let bytes = disk.read(sector * 512, 512).await.unwrap();
                assert_eq!(bytes, expected(sector as usize * 512, 512));
                order.borrow_mut().push(sector);
            })
        })
        .collect();
    bench.settle();
    assert_eq!(bench.device.borrow_mut().take().len(), 5);
    for index in [4, 1, 2, 0, 0] {
        bench.device.borrow_mut().complete(index);
        bench.settle();
    }
    assert_eq!(*order.borrow(), [4, 1, 3, 0, 2]);
    drop(handles);
}

/// Requests reach the device in the order in which they were made, whether they waited for a
/// slot, in the queue, or not at all; as many as fit are with the device at once.
#[test]
fn serves_first_come_first_served() {
    let count = if cfg!(miri) { 300 } else { 700 };
    assert!(count > MAX_REQUESTS as u64);
    let queue_size = if cfg!(miri) { 128 } else { 16 };
    let config = DiskConfig {
        queue_size,
        ..DiskConfig::default()
    };
    // Header, data and status are three descriptors, or one that points at a table.
    for (features, at_once) in [(FIRECRACKER, queue_size / 3), (QEMU, queue_size)] {
        let at_once = u64::from(at_once);
        let bench = bench_with(features, count as usize, config);
        let done = Rc::new(Cell::new(0));
        for sector in 0..count {
            let done = done.clone();
            bench
                .spawn(move |disk| async move {
                    disk.read(sector * 512, 512).await.unwrap();
                    done.set(done.get() + 1);
                })
                .detach();
        }
        bench.settle();
        let mut next = 0;
        while next < count {
            let sectors: Vec<u64> = bench
                .device
                .borrow_mut()
                .take()
                .iter()
                .map(|command| command.sector)
                .collect();
            let until = (next + at_once).min(count);
            assert_eq!(sectors, (next..until).collect::<Vec<_>>());
            next = until;
            sectors
                .iter()
                .for_each(|_| bench.device.borrow_mut().complete(0));
            bench.settle();
        }
        assert_eq!(done.get(), count);
    }
}

#[test]
fn tells_the_device_once_for_a_turn() {
    let bench = bench(FIRECRACKER, 64);
    let handles: Vec<_> = (0..20)
        .map(|sector| bench.spawn(move |disk| async move { disk.read(sector * 512, 512).await }))
        .collect();
    bench.settle();
    assert_eq!(bench.device.borrow().bus().notifications(), 1);
    bench.device.borrow_mut().take();
    for _ in 0..20 {
        bench.device.borrow_mut().complete(0);
    }
    assert_eq!(
        bench.device.borrow().bus().interrupts(),
        1,
        "asked for one, got one"
    );
    for handle in handles {
        bench.wait(handle).unwrap();
    }
    let stats = bench.disk.stats();
    assert_eq!((stats.notifications, stats.interrupts), (1, 1));
}

/// Polls a future so many times, with the others running in between, and drops it.
async fn poll_and_drop<F: Future>(future: F, polls: usize) {
    let mut future = pin!(future);
    for _ in 0..polls {
        poll_fn(|cx| {
            let _ = future.as_mut().poll(cx);
            Poll::Ready(())
        })
        .await;
        yield_now().await;
    }
}

#[test]
fn futures_may_be_dropped_anywhere() {
    // In line for a slot, queued, submitted and done, reading and writing.
    let config = DiskConfig {
        queue_size: 4,
        ..DiskConfig::default()
    };
    let bench = bench_with(FIRECRACKER, 300, config);
    let disk = bench.disk.clone();
    let device = bench.device.clone();
    bench.reactor.block_on(async {
        poll_and_drop(disk.read(0, 512), 0).await;
        let mut kept: Vec<Pin<Box<dyn Future<Output = _>>>> = Vec::new();
        for sector in 0..MAX_REQUESTS as u64 + 2 {
            let disk = disk.clone();
            kept.push(Box::pin(async move { disk.read(sector * 512, 512).await }));
        }
        for future in &mut kept {
            assert!(poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending())).await);
        }
        settle().await;
        assert_eq!(
            (disk.stats().in_flight, disk.stats().queued),
            (1, MAX_REQUESTS - 1)
        );
        poll_and_drop(disk.read(0, 512), 3).await; // waits in line, behind two others
        drop(kept.remove(MAX_REQUESTS)); // the first in line
        drop(kept.remove(5)); // queued
        drop(kept.remove(0)); // submitted
        device.borrow_mut().take();
        device.borrow_mut().complete(0); // writes into what nobody awaits
        settle().await;
        let sectors: Vec<_> = device
            .borrow_mut()
            .take()
            .iter()
            .map(|c| c.sector)
            .collect();
        assert_eq!(sectors, [1]);
        device.borrow_mut().complete(0);
        settle().await;
        drop(kept.remove(0)); // done, never looked at
        let mut left = Vec::new();
        loop {
            let next = device
                .borrow_mut()
                .take()
                .first()
                .map(|command| command.sector);
            let Some(sector) = next else { break };
            left.push(sector);
            device.borrow_mut().complete(0);
            settle().await;
        }
        let expected =
            (2..MAX_REQUESTS as u64 + 2).filter(|s| ![5, MAX_REQUESTS as u64].contains(s));
        assert!(
            left.iter().copied().eq(expected.take(left.len())),
            "{left:?}"
        );
    });
}

#[test]
fn a_dropped_write_keeps_its_memory_until_it_is_done() {
    let bench = bench(FIRECRACKER, 8);
    bench.reactor.block_on(async {
        poll_and_drop(bench.disk.write(512, vec![7; 512]), 3).await;
        bench.device.borrow_mut().take();
        bench.device.borrow_mut().complete(0); // reads the memory now
        settle().await;
    });
    assert_eq!(bench.device.borrow().bytes[512..1024], [7; 512]);
    assert_eq!(bench.disk.stats().in_flight, 0);
}

fn fails_for_good(bench: &Bench) {
    bench.reactor.block_on(async {
        let disk = &bench.disk;
        assert_eq!(disk.read(0, 512).await, Err(DiskError::DeviceFailed));
        assert_eq!(
            disk.write_at(0, &[0; 512]).await,
            Err(DiskError::DeviceFailed)
        );
        settle().await;
    });
    let status = bench.device.borrow().bus().model().status();
    assert_eq!(status & 128, 128, "the device was told that it is given up");
}

#[test]
fn a_lying_device_fails_every_request_and_nothing_else() {
    let lies: [fn(&mut FakeBlock); 4] = [
        |device| device.queue().push_raw(99, 1),
        |device| device.complete_with(0, 0, 5000),
        |device| device.queue().publish(900),
        |device| {
            device.queue().push(0, 1);
            device.queue().push(0, 1);
        },
    ];
    let count = if cfg!(miri) { 12 } else { 300 };
    for lie in lies {
        let bench = bench_with(
            FIRECRACKER,
            count as usize,
            DiskConfig {
                queue_size: 8,
                ..DiskConfig::default()
            },
        );
        let handles: Vec<_> = (0..count)
            .map(|i| bench.spawn(move |disk| async move { disk.read(i * 512, 512).await }))
            .collect();
        bench.settle();
        bench.device.borrow_mut().take();
        lie(&mut bench.device.borrow_mut());
        bench.device.borrow_mut().bus().interrupt();
        let failed = handles
            .into_iter()
            .map(|handle| bench.wait(handle))
            .filter(|result| *result == Err(DiskError::DeviceFailed));
        assert!(failed.count() as u64 >= count - 1);
        fails_for_good(&bench);
    }
}

#[test]
fn a_silent_device_is_given_up() {
    let bench = bench(FIRECRACKER, 8);
    let first = bench.spawn(|disk| async move { disk.read(0, 512).await });
    bench.settle();
    let clock = bench.reactor.clock();
    bench.reactor.block_on(clock.sleep(REQUEST_TIMEOUT / 2));
    let second = bench.spawn(|disk| async move { disk.read(512, 512).await });
    bench.settle();
    bench.device.borrow_mut().take();
    bench.device.borrow_mut().complete(0);
    assert_eq!(
        bench.wait(first).unwrap(),
        expected(0, 512),
        "late is not never"
    );
    bench
        .reactor
        .block_on(clock.sleep(REQUEST_TIMEOUT * 9 / 10));
    assert!(!second.is_finished());
    assert_eq!(bench.wait(second), Err(DiskError::DeviceFailed));
    assert_eq!(
        clock.now().duration_since(reactor::time::Instant::ZERO),
        REQUEST_TIMEOUT * 3 / 2
    );
    fails_for_good(&bench);
    bench.device.borrow_mut().complete(0); // Miri: the memory is still the device's
}

#[test]
fn a_lost_interrupt_costs_time_and_no_data() {
    let bench = bench(FIRECRACKER, 8);
    bench.device.borrow().bus().mute(true);
    let handle = bench.spawn(|disk| async move { disk.read(0, 512).await });
    bench.settle();
    bench.device.borrow_mut().serve();
    assert_eq!(bench.wait(handle).unwrap(), expected(0, 512));
    assert_eq!(
        bench.clock.now(),
        reactor::time::Instant::ZERO + REQUEST_TIMEOUT
    );
}

#[test]
fn early_interrupts_do_nothing() {
    let bench = bench(FIRECRACKER, 8);
    bench.device.borrow().bus().interrupt();
    bench.settle();
    let handle = bench.spawn(|disk| async move { disk.read(0, 512).await });
    bench.settle();
    bench.device.borrow().bus().interrupt();
    bench.settle();
    assert!(!handle.is_finished());
    bench.device.borrow_mut().serve();
    assert_eq!(bench.wait(handle).unwrap(), expected(0, 512));
}

#[test]
fn an_idle_disk_sleeps() {
    let bench = bench(FIRECRACKER, 8);
    bench
        .served(async { bench.disk.read(0, 512).await })
        .unwrap();
    bench.settle();
    let before = bench.reactor.stats();
    bench
        .reactor
        .block_on(bench.reactor.clock().sleep(REQUEST_TIMEOUT * 3));
    let after = bench.reactor.stats();
    assert!(
        after.polls - before.polls <= 2,
        "the test's own poll, before and after its sleep"
    );
}

#[test]
fn without_its_runner_a_disk_fails() {
    let bench = bench(FIRECRACKER, 8);
    let handle = bench.spawn(|disk| async move { disk.read(0, 512).await });
    bench.settle();
    bench.runner.cancel();
    assert_eq!(bench.wait(handle), Err(DiskError::DeviceFailed));
    assert_eq!(
        bench.device.borrow().bus().model().status(),
        0,
        "the device was reset"
    );
}

#[test]
#[cfg_attr(miri, ignore = "leaks what the device may still write, on purpose")]
fn memory_outlives_a_device_that_refuses_resets() {
    let bench = bench(FIRECRACKER, 8);
    let handle = bench.spawn(|disk| async move { disk.read(0, 512).await });
    bench.settle();
    bench.device.borrow_mut().take();
    bench.device.borrow().bus().refuse_resets();
    bench.runner.cancel();
    assert_eq!(bench.wait(handle), Err(DiskError::DeviceFailed));
    bench.device.borrow_mut().complete(0);
}

#[test]
fn refuses_impossible_configurations() {
    let blocks = FIRECRACKER | Features::BLOCK_BLK_SIZE | Features::BLOCK_SEG_MAX;
    let cases: [(usize, &[u8], InitError); 5] = [
        (0, &[0xff; 8], InitError::ConfigInvalid("capacity")),
        (20, &[0; 4], InitError::ConfigInvalid("block size")),
        (
            20,
            &513_u32.to_le_bytes(),
            InitError::ConfigInvalid("block size"),
        ),
        (
            20,
            &(1_u32 << 31).to_le_bytes(),
            InitError::ConfigInvalid("block size"),
        ),
        (
            12,
            &[0; 4],
            InitError::ConfigInvalid("no room for data in a request"),
        ),
    ];
    for (offset, bytes, error) in cases {
        let clock = VirtualClock::new();
        let reactor = Reactor::new(clock.clone());
        let device = FakeBlock::new(clock, LINE, blocks, vec![0; 8192]);
        device.bus().set_config(offset, bytes);
        let irq = reactor.irq_event(LINE);
        let transport = device.bus().transport();
        let result = new(transport, irq, reactor.clock(), DiskConfig::default());
        assert_eq!(result.err(), Some(error));
    }
}

#[test]
fn refuses_what_is_no_modern_disk() {
    let clock = VirtualClock::new();
    let reactor = Reactor::new(clock.clone());
    let bring_up = |features, queue_size| {
        let device = FakeBlock::new(clock.clone(), LINE, features, vec![0; 512]);
        let config = DiskConfig {
            queue_size,
            ..DiskConfig::default()
        };
        new(
            device.bus().transport(),
            reactor.irq_event(LINE),
            reactor.clock(),
            config,
        )
        .err()
    };
    assert_eq!(
        bring_up(Features::EVENT_IDX, 8),
        Some(InitError::NotVersion1)
    );
    assert_eq!(bring_up(FIRECRACKER, 0), Some(InitError::QueueMissing(0)));
    assert_eq!(bring_up(FIRECRACKER, 2), Some(InitError::QueueTooSmall(0)));
    assert_eq!(bring_up(FIRECRACKER, 4), None);
    let net = crate::testing::FakeNet::new(clock.clone(), LINE, Features::VERSION_1, 1500);
    let irq = reactor.irq_event(LINE);
    let config = DiskConfig::default();
    let error = new(net.bus().transport(), irq, reactor.clock(), config).err();
    assert_eq!(error, Some(InitError::WrongKind(DeviceKind::Network)));
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 2 } else { 64 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// A disk is an array of bytes, whatever the shapes of the requests, however many are under
    /// way, and whatever the order in which the device completes them.
    #[test]
    fn behaves_as_an_array(
        // Writers never overlap: each owns two sectors of its own.
        writes in prop::collection::vec((0..2_u64, 1..3_usize, any::<u8>()), 1..40),
        order in prop::collection::vec(any::<prop::sample::Index>(), 400),
        indirect: bool,
    ) {
        let features = if indirect { QEMU } else { FIRECRACKER };
        let config = DiskConfig { queue_size: 8, ..DiskConfig::default() };
        let bench = bench_with(features, writes.len() * 2, config);
        let mut model = contents(writes.len() * 2);
        let mut handles = Vec::new();
        for (i, &(sector, count, byte)) in writes.iter().enumerate() {
            let start = i * 1024 + sector as usize * 512;
            let len = count.min(2 - sector as usize) * 512;
            model[start..start + len].fill(byte);
            handles.push(bench.spawn(move |disk| async move {
                disk.write_at(start as u64, &vec![byte; len]).await?;
                disk.read(start as u64 + 1, len - 1).await.map(|bytes| {
                    assert_eq!(bytes, vec![byte; len - 1]);
                })
            }));
        }
        let mut order = order.into_iter();
        while handles.iter().any(|handle| !handle.is_finished()) {
            bench.settle();
            let held = bench.device.borrow_mut().take().len();
            if held > 0 {
                let index = order.next().map_or(0, |index| index.index(held));
                bench.device.borrow_mut().complete(index);
            }
        }
        prop_assert_eq!(&bench.device.borrow().bytes, &model);
        for handle in handles {
            bench.wait(handle).unwrap();
        }
    }
}
