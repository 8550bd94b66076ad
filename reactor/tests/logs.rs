//! What the reactor says in the log. One test: the logger is the process's.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::Cell;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use log::{LevelFilter, Log, Metadata, Record};
use reactor::Reactor;
use reactor::task::{JoinError, yield_now};
use reactor::testing::VirtualClock;
use reactor::time::Duration;

/// Keeps lines, and wakes a task for each, as a logger with a draining task would.
struct Logger {
    lines: Mutex<Vec<String>>,
    drain: Mutex<Option<Waker>>,
}

static LOGGER: Logger = Logger {
    lines: Mutex::new(Vec::new()),
    drain: Mutex::new(None),
};

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("reactor")
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            self.lines
                .lock()
                .unwrap()
                .push(format!("{} {}", record.level(), record.args()));
            self.drain
                .lock()
                .unwrap()
                .iter()
                .for_each(Waker::wake_by_ref);
        }
    }

    fn flush(&self) {}
}

fn lines() -> Vec<String> {
    std::mem::take(&mut LOGGER.lines.lock().unwrap())
}

#[test]
fn bad_tasks_are_named() {
    log::set_logger(&LOGGER).unwrap();
    log::set_max_level(LevelFilter::Info);
    let clock = VirtualClock::new();
    let reactor = Reactor::new(clock.clone());

    slow_polls_are_named_once_a_second(&reactor, &clock);
    the_budget_can_be_set(&reactor, &clock);
    a_slow_task_that_the_logger_wakes_is_queued_once(&reactor, &clock);
    panics_are_named(&reactor);
    lines_that_do_not_exist_are_named(&reactor);
}

fn slow_polls_are_named_once_a_second(reactor: &Reactor, clock: &VirtualClock) {
    reactor.block_on(async {
        clock.advance(Duration::from_millis(10));
        yield_now().await;
        assert!(lines().is_empty(), "just within the budget");
        for _ in 0..3 {
            clock.advance(Duration::from_micros(10_500));
            yield_now().await;
        }
        clock.advance(Duration::from_secs(1));
        yield_now().await;
    });
    let expected = [
        "WARN reactor: slow poll task=main id=1 took_us=10500 budget_us=10000 unreported=0",
        "WARN reactor: slow poll task=main id=1 took_us=1000000 budget_us=10000 unreported=2",
    ];
    assert_eq!(lines(), expected);
    assert_eq!(reactor.stats().slow_polls, 4);
}

fn the_budget_can_be_set(reactor: &Reactor, clock: &VirtualClock) {
    clock.advance(Duration::from_secs(5));
    reactor.set_poll_budget(Duration::from_micros(1));
    reactor.block_on(async { clock.advance(Duration::from_micros(2)) });
    assert_eq!(lines().len(), 1);
    reactor.set_poll_budget(Duration::from_millis(10));
}

fn a_slow_task_that_the_logger_wakes_is_queued_once(reactor: &Reactor, clock: &Arc<VirtualClock>) {
    clock.advance(Duration::from_secs(5));
    let polls = Rc::new(Cell::new(0));
    let (counted, slow) = (polls.clone(), clock.clone());
    let drain = reactor.spawner().task("drain").spawn(poll_fn(move |cx| {
        counted.set(counted.get() + 1);
        *LOGGER.drain.lock().unwrap() = Some(cx.waker().clone());
        slow.advance(Duration::from_millis(if counted.get() == 1 {
            11
        } else {
            0
        }));
        Poll::<()>::Pending
    }));
    // Its first poll is slow, so the logger wakes it between that poll and its place in the queue.
    reactor.block_on(async {
        for _ in 0..4 {
            yield_now().await;
        }
    });
    assert_eq!((polls.get(), lines().len()), (2, 1));
    drain.cancel();
    assert_eq!(reactor.block_on(drain), Err(JoinError::Cancelled));
    *LOGGER.drain.lock().unwrap() = None;
}

fn panics_are_named(reactor: &Reactor) {
    let task = reactor
        .spawner()
        .task("fragile")
        .spawn(async { panic!("on purpose") });
    let id = task.id();
    let unwound = catch_unwind(AssertUnwindSafe(|| reactor.block_on(task)));
    assert!(unwound.is_err());
    assert_eq!(
        lines(),
        [format!("ERROR reactor: task panicked task=fragile id={id}")]
    );
}

fn lines_that_do_not_exist_are_named(reactor: &Reactor) {
    drop(reactor.irq_event(64));
    assert_eq!(
        lines(),
        ["WARN reactor: interrupt line does not exist line=64"]
    );
}
