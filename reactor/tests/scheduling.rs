//! Who is polled when: traces of polls against literal lists.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use reactor::task::{JoinError, Priority, yield_now};
use reactor::testing::VirtualClock;
use reactor::time::{Duration, Instant};
use reactor::{Reactor, Spawner};

type Trace = Rc<RefCell<Vec<String>>>;

fn note(trace: &Trace, entry: impl Into<String>) {
    trace.borrow_mut().push(entry.into());
}

/// Spawns a task that notes each of its polls and yields between them.
fn spawn_yielder(
    spawner: &Spawner,
    trace: &Trace,
    name: &'static str,
    priority: Priority,
    polls: usize,
) {
    let trace = trace.clone();
    let task = async move {
        for poll in 1..=polls {
            note(&trace, format!("{name}{poll}"));
            yield_now().await;
        }
    };
    spawner.task(name).priority(priority).spawn(task).detach();
}

#[test]
fn tasks_of_one_priority_run_in_the_order_they_became_ready() {
    let reactor = Reactor::new(VirtualClock::new());
    let (spawner, trace) = (reactor.spawner(), Trace::default());
    for name in ["a", "b", "c"] {
        spawn_yielder(&spawner, &trace, name, Priority::Normal, 2);
    }
    reactor.block_on(async {
        for poll in 1..=3 {
            note(&trace, format!("main{poll}"));
            yield_now().await;
        }
    });
    let expected = [
        "a1", "b1", "c1", "main1", "a2", "b2", "c2", "main2", "main3",
    ];
    assert_eq!(*trace.borrow(), expected);
}

#[test]
fn a_new_priority_holds_from_the_next_wake_on() {
    let reactor = Reactor::new(VirtualClock::new());
    let order = Rc::new(RefCell::new(Vec::new()));
    let spawn = |name: &'static str| {
        let order = Rc::clone(&order);
        reactor.spawner().task(name).spawn(async move {
            for _ in 0..3 {
                order.borrow_mut().push(name);
                yield_now().await;
            }
        })
    };
    let (first, second) = (spawn("first"), spawn("second"));
    second.set_priority(Priority::High);
    assert_eq!(second.info().priority, Priority::High);
    reactor.block_on(async {
        first.await.unwrap();
    });
    // Both were queued when it changed.
    assert_eq!(
        *order.borrow(),
        ["first", "second", "second", "first", "second", "first"]
    );
    assert_eq!((second.info().polls, second.is_finished()), (4, true));
}

#[test]
fn each_priority_gets_its_batch_in_every_turn() {
    let reactor = Reactor::new(VirtualClock::new());
    let (spawner, trace) = (reactor.spawner(), Trace::default());
    spawn_yielder(&spawner, &trace, "low", Priority::Low, 2);
    spawn_yielder(&spawner, &trace, "high", Priority::High, 3);
    spawn_yielder(&spawner, &trace, "normal", Priority::Normal, 2);
    reactor.block_on(async {
        yield_now().await;
        yield_now().await;
        yield_now().await;
    });
    let expected = [
        "high1", "normal1", "low1", "high2", "normal2", "low2", "high3",
    ];
    assert_eq!(*trace.borrow(), expected);
}

#[test]
fn a_task_that_yields_runs_once_a_turn() {
    let reactor = Reactor::new(VirtualClock::new());
    let trace = Trace::default();
    spawn_yielder(&reactor.spawner(), &trace, "a", Priority::Normal, 10);
    reactor.block_on(async {
        for turn in 1..=10 {
            assert_eq!(trace.borrow().len(), turn);
            assert_eq!(reactor.stats().turns, turn as u64);
            yield_now().await;
        }
    });
}

#[test]
fn a_task_woken_by_a_higher_class_runs_in_the_same_turn() {
    let reactor = Reactor::new(VirtualClock::new());
    let spawner = reactor.spawner();
    let (waker, turn) = (Rc::new(RefCell::new(None::<Waker>)), Rc::new(Cell::new(0)));
    let woken = {
        let (waker, turn, spawner) = (waker.clone(), turn.clone(), spawner.clone());
        let mut first = true;
        spawner.clone().spawn(poll_fn(move |cx| {
            if std::mem::take(&mut first) {
                *waker.borrow_mut() = Some(cx.waker().clone());
                return Poll::Pending;
            }
            turn.set(spawner.stats().turns);
            Poll::Ready(())
        }))
    };
    reactor.block_on(yield_now());
    let runner = {
        let spawner = spawner.clone();
        spawner
            .clone()
            .task("runner")
            .priority(Priority::High)
            .spawn(async move {
                waker
                    .borrow()
                    .as_ref()
                    .expect("polled before")
                    .wake_by_ref();
                spawner.stats().turns
            })
    };
    reactor.block_on(woken).unwrap();
    assert_eq!(reactor.block_on(runner), Ok(turn.get()));
}

#[test]
fn many_wakes_make_one_poll() {
    let reactor = Reactor::new(VirtualClock::new());
    let polls = Rc::new(Cell::new(0));
    let counted = polls.clone();
    let task = reactor.spawner().spawn(poll_fn(move |cx| {
        counted.set(counted.get() + 1);
        (0..5).for_each(|_| cx.waker().wake_by_ref());
        if counted.get() == 4 {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }));
    reactor.block_on(task).unwrap();
    assert_eq!(polls.get(), 4);
    // The task: spawned, then woken after its first three polls. Main: queued, then joined.
    assert_eq!(reactor.stats().wakes, 4 + 2);
}

#[test]
fn the_main_future_is_polled_only_when_woken() {
    let reactor = Reactor::new(VirtualClock::new());
    let clock = reactor.clock();
    let ticking = reactor.clock();
    reactor
        .spawner()
        .spawn(async move {
            loop {
                ticking.sleep(Duration::from_millis(1)).await;
            }
        })
        .detach();
    let mut polls = 0;
    let mut sleep = Box::pin(clock.sleep(Duration::from_secs(1)));
    reactor.block_on(poll_fn(|cx| {
        polls += 1;
        sleep.as_mut().poll(cx)
    }));
    assert_eq!(polls, 2);
    assert!(reactor.stats().polls > 1000);
}

#[test]
fn a_batch_is_bounded_and_the_rest_comes_first_in_the_next_turn() {
    let reactor = Reactor::new(VirtualClock::new());
    let trace = Trace::default();
    let turns: Rc<RefCell<Vec<u64>>> = Rc::default();
    for _ in 0..1100 {
        let (turns, spawner) = (turns.clone(), reactor.spawner());
        reactor
            .spawner()
            .spawn(async move { turns.borrow_mut().push(spawner.stats().turns) });
    }
    reactor.block_on(async { note(&trace, "main") });
    let turns = turns.borrow();
    assert!(turns.is_sorted());
    let in_turn = |turn| turns.iter().filter(|it| **it == turn).count();
    assert_eq!([in_turn(1), in_turn(2), in_turn(3)], [512, 512, 76]);
}

#[test]
fn interrupts_wake_their_waiters_and_only_those() {
    let clock = VirtualClock::new();
    let reactor = Reactor::new(clock.clone());
    let trace = Trace::default();
    for line in [3, 9] {
        let (event, trace) = (reactor.irq_event(line), trace.clone());
        let task = async move {
            loop {
                event.raised().await;
                note(&trace, format!("line{}", event.line()));
            }
        };
        reactor.spawner().spawn(task).detach();
    }
    clock.raise_at(Instant::from_nanos(500), 9);
    clock.raise_at(Instant::from_nanos(700), 3);
    clock.raise_at(Instant::from_nanos(900), 9);
    clock.raise_at(Instant::from_nanos(900), 3);
    reactor.block_on(reactor.clock().sleep(Duration::from_nanos(1000)));
    assert_eq!(*trace.borrow(), ["line9", "line3", "line3", "line9"]);
    assert_eq!((reactor.stats().irqs, reactor.stats().parks), (4, 4));
}

#[test]
fn an_interrupt_before_the_wait_is_remembered_once() {
    let clock = VirtualClock::new();
    let reactor = Reactor::new(clock.clone());
    let event = reactor.irq_event(1);
    clock.raise(1);
    clock.raise(1);
    reactor.block_on(event.raised());
    let again = reactor
        .clock()
        .timeout(Duration::from_secs(1), event.raised());
    assert!(reactor.block_on(again).is_err());
}

#[test]
fn events_that_share_a_line_all_see_its_interrupt() {
    let clock = VirtualClock::new();
    let reactor = Reactor::new(clock.clone());
    let (one, two) = (reactor.irq_event(5), reactor.irq_event(5));
    clock.raise(5);
    reactor.block_on(async { futures_util::join!(one.raised(), two.raised()) });
}

#[test]
fn an_event_for_a_line_that_does_not_exist_never_fires() {
    let clock = VirtualClock::new();
    let reactor = Reactor::new(clock.clone());
    let event = reactor.irq_event(200);
    clock.raise(200);
    let wait = reactor
        .clock()
        .timeout(Duration::from_secs(1), event.raised());
    assert!(reactor.block_on(wait).is_err());
    assert_eq!(reactor.stats().irqs, 0);
}

#[test]
#[should_panic(expected = "nothing can wake")]
fn a_program_that_can_never_go_on_fails_loudly() {
    Reactor::new(VirtualClock::new()).block_on(std::future::pending::<()>());
}

#[test]
fn a_nested_run_loop_is_refused() {
    let reactor = Rc::new(Reactor::new(VirtualClock::new()));
    let inner = reactor.clone();
    let nested =
        std::panic::AssertUnwindSafe(|| reactor.block_on(async { inner.block_on(async {}) }));
    let message = std::panic::catch_unwind(nested).unwrap_err();
    let message = message.downcast_ref::<&str>().expect("a literal");
    assert!(
        message.contains("block_on was called inside block_on"),
        "{message}"
    );
    assert_eq!(
        reactor.block_on(async { 7 }),
        7,
        "the reactor is free again"
    );
}

#[test]
fn a_reactor_may_run_inside_another() {
    let outer = Reactor::new(VirtualClock::new());
    let inner = Reactor::new(VirtualClock::new());
    let minute = Duration::from_secs(60);
    outer.block_on(async { inner.block_on(inner.clock().sleep(minute)) });
    assert_eq!(inner.clock().now() - outer.clock().now(), minute);
}

#[test]
fn tasks_go_on_in_the_next_block_on() {
    let reactor = Reactor::new(VirtualClock::new());
    let clock = reactor.clock();
    let task = reactor.spawner().spawn(async move {
        clock.sleep(Duration::from_secs(2)).await;
        clock.now()
    });
    reactor.block_on(reactor.clock().sleep(Duration::from_secs(1)));
    assert!(!task.is_finished());
    assert_eq!(
        reactor.block_on(task),
        Ok(Instant::from_nanos(2_000_000_000))
    );
}

#[test]
fn idle_costs_no_polls_and_no_wakes() {
    let reactor = Reactor::new(VirtualClock::new());
    let clock = reactor.clock();
    reactor.block_on(async {
        let before = reactor.stats();
        clock.sleep(Duration::from_secs(3600)).await;
        let after = reactor.stats();
        assert_eq!(after.parks - before.parks, 1);
        assert_eq!(after.polls - before.polls, 1);
        assert_eq!(after.turns - before.turns, 1);
        assert_eq!(after.idle - before.idle, Duration::from_secs(3600));
    });
}

#[test]
fn tasks_are_listed_with_their_counters() {
    let clock = VirtualClock::new();
    let reactor = Reactor::new(clock.clone());
    let spawner = reactor.spawner();
    let working = spawner
        .task("worker")
        .priority(Priority::Low)
        .spawn(async move {
            for _ in 0..3 {
                clock.advance(Duration::from_micros(7));
                yield_now().await;
            }
            std::future::pending::<()>().await;
        });
    reactor.block_on(async {
        for _ in 0..5 {
            yield_now().await;
        }
    });
    let mut seen = Vec::new();
    spawner.for_each_task(|task| seen.push((task.name, task.priority, task.polls, task.busy)));
    assert_eq!(
        seen,
        [("worker", Priority::Low, 4, Duration::from_micros(21))]
    );
    assert_eq!((working.name(), working.id()), ("worker", 1));
    working.cancel();
    assert_eq!(reactor.block_on(working), Err(JoinError::Cancelled));
    spawner.for_each_task(|task| panic!("{} has ended", task.name));
}

#[test]
fn listing_tasks_survives_that_they_end_meanwhile() {
    let reactor = Reactor::new(VirtualClock::new());
    let spawner = reactor.spawner();
    let names = ["first", "second", "third", "fourth"];
    names
        .iter()
        .for_each(|name| spawner.task(name).spawn(async {}).detach());
    let lasting = spawner.task("lasting").spawn(std::future::pending::<()>());
    let mut seen = Vec::new();
    spawner.for_each_task(|task| {
        seen.push(task.name);
        if task.name == "second" {
            reactor.block_on(async {}); // ends all but the last
        }
    });
    assert_eq!(seen, ["first", "second", "lasting"]);
    lasting.cancel();
}
