//! Timers through the public API, in virtual time.

use std::cell::{Cell, RefCell};
use std::future::{Future, pending};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use proptest::prelude::*;
use reactor::Reactor;
use reactor::task::{Priority, yield_now};
use reactor::testing::VirtualClock;
use reactor::time::{Duration, Instant};
use reactor::timers::{Elapsed, MissedTicks};

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn at_millis(count: u64) -> Instant {
    Instant::ZERO + millis(count)
}

#[test]
fn sleeps_end_in_the_order_of_their_deadlines() {
    let reactor = Reactor::new(VirtualClock::new());
    let order: Rc<RefCell<Vec<u64>>> = Rc::default();
    for span in [30, 10, 50, 20, 40] {
        let (clock, order) = (reactor.clock(), order.clone());
        reactor.spawner().spawn(async move {
            clock.sleep(millis(span)).await;
            assert_eq!(clock.now(), at_millis(span), "not early, not late");
            order.borrow_mut().push(span);
        });
    }
    reactor.block_on(reactor.clock().sleep(millis(50)));
    assert_eq!(*order.borrow(), [10, 20, 30, 40, 50]);
}

#[test]
fn a_deadline_in_the_past_is_ready_at_once() {
    let reactor = Reactor::new(VirtualClock::new());
    let clock = reactor.clock();
    reactor.block_on(async {
        clock.sleep(millis(5)).await;
        let parks = reactor.stats().parks;
        clock.sleep_until(at_millis(1)).await;
        clock.sleep(Duration::ZERO).await;
        assert_eq!((clock.now(), reactor.stats().parks), (at_millis(5), parks));
    });
}

#[test]
fn the_far_future_is_a_deadline_like_any_other() {
    let reactor = Reactor::new(VirtualClock::new());
    let clock = reactor.clock();
    let never = reactor.spawner().spawn(clock.sleep(Duration::MAX));
    reactor.block_on(clock.sleep(Duration::from_secs(100 * 365 * 86_400)));
    assert!(!never.is_finished());
    assert_eq!(reactor.block_on(never), Ok(()));
    assert_eq!(clock.now(), Instant::FAR_FUTURE);
}

#[test]
fn dropping_a_sleep_disarms_it() {
    let reactor = Reactor::new(VirtualClock::new());
    let clock = reactor.clock();
    reactor.block_on(async {
        {
            let mut sleep = pin!(clock.sleep(millis(1)));
            assert!(poll_once(sleep.as_mut()).is_pending());
            assert_eq!(reactor.stats().timers_live, 1);
        }
        assert_eq!(reactor.stats().timers_live, 0);
        clock.sleep(millis(10)).await;
    });
    let stats = reactor.stats();
    assert_eq!(
        (stats.timers_fired, stats.timers_spurious, stats.parks),
        (1, 0, 1)
    );
}

fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_reset_sleep_wakes_its_task_at_the_new_deadline() {
    let reactor = Reactor::new(VirtualClock::new());
    let clock = reactor.clock();
    reactor.block_on(async {
        let mut sleep = pin!(clock.sleep(millis(5)));
        let mut resets = [millis(2), millis(900), millis(40)].into_iter();
        // Only the first poll registers the waker; the resets keep it.
        let mut first = true;
        std::future::poll_fn(|cx| {
            if std::mem::take(&mut first) {
                assert!(sleep.as_mut().poll(cx).is_pending());
                for span in &mut resets {
                    sleep.as_mut().reset(Instant::ZERO + span);
                }
                return Poll::Pending;
            }
            sleep.as_mut().poll(cx)
        })
        .await;
        assert_eq!(
            (clock.now(), sleep.deadline()),
            (at_millis(40), at_millis(40))
        );
        assert!(sleep.is_elapsed());
        sleep.as_mut().reset(at_millis(50));
        assert!(!sleep.is_elapsed());
        sleep.await;
        assert_eq!(clock.now(), at_millis(50));
    });
    assert_eq!(reactor.stats().timers_live, 0);
}

#[test]
fn a_timeout_gives_the_output_or_elapses() {
    let reactor = Reactor::new(VirtualClock::new());
    let clock = reactor.clock();
    reactor.block_on(async {
        let quick = clock.timeout(millis(10), async { clock.sleep(millis(9)).await });
        assert_eq!(quick.await, Ok(()));
        assert_eq!(
            clock.timeout(millis(10), pending::<()>()).await,
            Err(Elapsed)
        );
        assert_eq!(clock.now(), at_millis(19));
        let both = clock.timeout(millis(5), clock.sleep(millis(5)));
        assert_eq!(both.await, Ok(()), "the output wins when both are ready");
        assert_eq!(clock.timeout(Duration::ZERO, async { 1 }).await, Ok(1));
        assert_eq!(
            clock.timeout_at(Instant::ZERO, pending::<()>()).await,
            Err(Elapsed)
        );
    });
}

/// The planned instants of ticks every 10 ms, by a task that takes so long after each.
fn ticks(missed: MissedTicks, busy: &[u64]) -> Vec<(u64, u64)> {
    let platform = VirtualClock::new();
    let reactor = Reactor::new(platform.clone());
    let clock = reactor.clock();
    reactor.block_on(async {
        let mut interval = clock.interval(millis(10)).missed_ticks(missed);
        let mut seen = Vec::new();
        for span in busy {
            let planned = interval.tick().await;
            seen.push((
                planned.as_nanos() / 1_000_000,
                clock.now().as_nanos() / 1_000_000,
            ));
            platform.advance(millis(*span));
        }
        seen
    })
}

#[test]
fn an_interval_keeps_its_schedule() {
    let on_time = [(0, 0), (10, 10), (20, 20), (30, 30)];
    for missed in [MissedTicks::Skip, MissedTicks::Delay, MissedTicks::Burst] {
        assert_eq!(ticks(missed, &[3, 9, 0, 0]), on_time);
    }
}

#[test]
fn missed_ticks_are_skipped_delayed_or_made_up_for() {
    let busy = [0, 25, 0, 0, 0];
    let skip = [(0, 0), (10, 10), (20, 35), (40, 40), (50, 50)];
    assert_eq!(ticks(MissedTicks::Skip, &busy), skip);
    let delay = [(0, 0), (10, 10), (20, 35), (45, 45), (55, 55)];
    assert_eq!(ticks(MissedTicks::Delay, &busy), delay);
    let burst = [(0, 0), (10, 10), (20, 35), (30, 35), (40, 40)];
    assert_eq!(ticks(MissedTicks::Burst, &busy), burst);
}

#[test]
fn a_dropped_tick_is_not_lost() {
    let reactor = Reactor::new(VirtualClock::new());
    let clock = reactor.clock();
    reactor.block_on(async {
        let mut interval = clock.interval_at(at_millis(10), millis(10));
        assert!(clock.timeout(millis(4), interval.tick()).await.is_err());
        assert_eq!(interval.tick().await, at_millis(10));
        interval.reset();
        clock.sleep(millis(3)).await;
        assert_eq!(interval.tick().await, at_millis(20));
    });
}

#[test]
fn an_interval_of_zero_ticks_every_turn() {
    let reactor = Reactor::new(VirtualClock::new());
    let mut interval = reactor.clock().interval(Duration::ZERO);
    reactor.block_on(async {
        for _ in 0..3 {
            interval.tick().await;
        }
    });
    assert_eq!(interval.period(), Duration::from_nanos(1));
}

/// Starts that many timers at deadlines of all sizes under load, and gives how late each fired.
fn lateness(count: u64, step: Duration, busy: Duration) -> Vec<u64> {
    let platform = VirtualClock::with_step(step);
    let reactor = Reactor::new(platform.clone());
    let late: Rc<RefCell<Vec<u64>>> = Rc::default();
    let mut seed = 0x9e37_79b9_7f4a_7c15u64;
    for _ in 0..count {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let deadline = Instant::from_nanos(seed >> 29); // up to 34 s
        let (clock, late, platform) = (reactor.clock(), late.clone(), platform.clone());
        reactor.spawner().spawn(async move {
            clock.sleep_until(deadline).await;
            assert!(platform.now() >= deadline, "early");
            late.borrow_mut()
                .push((platform.now() - deadline).as_nanos() as u64);
            platform.advance(busy);
        });
    }
    reactor.block_on(reactor.clock().sleep(Duration::from_secs(60)));
    assert_eq!(reactor.stats().timers_fired, count + 1);
    late.take()
}

#[test]
fn timers_are_late_by_the_hardware_step_at_most() {
    let count = if cfg!(miri) { 100 } else { 100_000 };
    let late = lateness(count, Duration::from_micros(1), Duration::ZERO);
    assert_eq!(late.len() as u64, count);
    assert!(
        late.iter().all(|late| *late < 1000),
        "{:?}",
        late.iter().max()
    );
    assert!(late.iter().any(|late| *late > 500), "the step is felt");
}

#[test]
fn timers_are_late_by_the_work_of_the_turns_before_at_most() {
    let count = if cfg!(miri) { 100 } else { 100_000 };
    // 34 s / 100,000 = 340 µs between deadlines; each takes 20 µs of work.
    let mut late = lateness(count, Duration::from_nanos(1), Duration::from_micros(20));
    late.sort_unstable();
    assert_eq!(late[late.len() / 2], 0, "most come to an idle machine");
    assert!(
        late[late.len() - 1] < 200_000,
        "{} ns",
        late[late.len() - 1]
    );
}

#[test]
fn arming_and_cancelling_costs_the_same_however_many_are_live() {
    let live = if cfg!(miri) { 300 } else { 100_000 };
    let reactor = Reactor::new(VirtualClock::new());
    let clock = reactor.clock();
    let mut sleeps: Vec<_> = (0..live)
        .map(|i| Box::pin(clock.sleep(millis(1000 + i * 37 % 100_000))))
        .collect();
    for sleep in &mut sleeps {
        assert!(poll_once(sleep.as_mut()).is_pending());
    }
    assert_eq!(reactor.stats().timers_live, live as usize);
    for (index, sleep) in sleeps.iter_mut().enumerate() {
        sleep.as_mut().reset(at_millis(500 + index as u64));
    }
    drop(sleeps);
    let stats = reactor.stats();
    assert_eq!(
        (stats.timers_armed, stats.timers_moved, stats.timers_live),
        (2 * live, 0, 0)
    );
    reactor.block_on(clock.sleep(millis(1)));
    assert_eq!(
        reactor.stats().parks,
        1,
        "nothing of them is left to wake for"
    );
}

#[test]
fn timers_do_not_starve_tasks_nor_tasks_timers() {
    let platform = VirtualClock::new();
    let reactor = Reactor::new(platform.clone());
    let count = if cfg!(miri) { 50 } else { 5000 };
    for _ in 0..count {
        reactor.spawner().spawn(reactor.clock().sleep(millis(10)));
    }
    let turns = Rc::new(Cell::new(0u64));
    let counted = turns.clone();
    let spinning = async move {
        loop {
            counted.set(counted.get() + 1);
            platform.advance(Duration::from_micros(100));
            yield_now().await;
        }
    };
    reactor
        .spawner()
        .task("spinning")
        .priority(Priority::High)
        .spawn(spinning)
        .detach();
    reactor.block_on(async {
        reactor.clock().sleep(millis(20)).await;
    });
    let stats = reactor.stats();
    assert_eq!(stats.timers_fired, count + 1);
    assert!(
        stats.turns - turns.get() <= 1,
        "the spinning task ran in every turn"
    );
    assert_eq!(stats.parks, 0);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 4 } else { 200 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Sleeps, resets and timeouts of random spans end exactly when they should.
    #[test]
    fn every_sleep_ends_at_its_deadline(
        spans in prop::collection::vec((0..5_000_000u64, 0..5_000_000u64, any::<bool>()), 1..40),
    ) {
        let reactor = Reactor::new(VirtualClock::new());
        let mut tasks = Vec::new();
        for (first, second, reset) in spans {
            let clock = reactor.clock();
            tasks.push(reactor.spawner().spawn(async move {
                let mut sleep = pin!(clock.sleep(Duration::from_nanos(first)));
                let give_up = clock.timeout(Duration::from_nanos(second), sleep.as_mut()).await;
                assert_eq!(give_up.is_ok(), first <= second);
                assert_eq!(clock.now().as_nanos(), first.min(second));
                if reset {
                    let deadline = clock.now() + Duration::from_nanos(first);
                    sleep.as_mut().reset(deadline);
                    sleep.await;
                    assert_eq!(clock.now(), deadline);
                }
            }));
        }
        for task in tasks {
            prop_assert_eq!(reactor.block_on(task), Ok(()));
        }
        prop_assert_eq!(reactor.stats().timers_live, 0);
    }
}
