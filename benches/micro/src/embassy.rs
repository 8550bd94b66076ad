//! `embassy-executor` with embassy's channels, signals and timers, driven by this thread.
//!
//! Its tasks live in static storage, and nothing ends them but themselves; so what waits for ever in other
//! executors' cases is told to end here. A task has no handle either: whoever waits for one is signalled.
#![allow(unsafe_code, reason = "polls a raw executor, and names its pender")]

use std::any::{Any, TypeId};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Context;
use std::thread::{self, Thread};
use std::time::Duration;

use embassy_executor::raw::{Executor, TaskStorage};
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_sync::channel::Channel;
use embassy_sync::signal::Signal;
use embassy_time::Timer;
use futures_lite::future::yield_now;

use crate::System;

/// What the executor tells to poll it: a flag and a thread.
struct Doorbell {
    rung: AtomicBool,
    thread: Thread,
}

/// Called by the executor when its queue is no longer empty, from any thread: embassy's timers have one.
#[unsafe(export_name = "__pender")]
fn pend(context: *mut ()) {
    // SAFETY: `Embassy::default` makes every executor here, with a doorbell that it leaks.
    let doorbell = unsafe { &*context.cast::<Doorbell>() };
    doorbell.rung.store(true, Ordering::Release);
    // To wake a thread costs more than a whole poll; this one is awake when it rings itself.
    if thread::current().id() != doorbell.thread.id() {
        doorbell.thread.unpark();
    }
}

/// Embassy's thread for timers walks through all that are live, again and again while they are set, and how
/// often is the host's doing: with more than these, that is all that there would be to see.
const MAX_LIVE: usize = 10_000;

pub(crate) struct Embassy {
    executor: &'static Executor,
    doorbell: &'static Doorbell,
    storage: Rc<Storage>,
}

impl Default for Embassy {
    fn default() -> Embassy {
        let doorbell: &'static Doorbell = Box::leak(Box::new(Doorbell {
            rung: AtomicBool::new(false),
            thread: thread::current(),
        }));
        let context = std::ptr::from_ref(doorbell).cast_mut().cast();
        Embassy {
            executor: Box::leak(Box::new(Executor::new(context))),
            doorbell,
            storage: Rc::default(),
        }
    }
}

/// Storage for tasks, by the type of their futures: made once, and used again in every run.
#[derive(Default)]
struct Storage(RefCell<HashMap<TypeId, Box<dyn Any>>>);

impl Storage {
    /// For `count` tasks at a time.
    fn of<F: Future + 'static>(&self, count: usize) -> &'static [TaskStorage<F>] {
        let mut all = self.0.borrow_mut();
        let known = all.get(&TypeId::of::<F>());
        let known = known.and_then(|known| known.downcast_ref::<&'static [TaskStorage<F>]>());
        if let Some(known) = known
            && known.len() >= count
        {
            return known;
        }
        let new: Vec<TaskStorage<F>> = (0..count).map(|_| TaskStorage::new()).collect();
        let new: &'static [TaskStorage<F>] = new.leak();
        all.insert(TypeId::of::<F>(), Box::new(new));
        new
    }
}

/// As `TaskPool`, but it does not search for a free place, which would cost more the more tasks there are:
/// in the cases here the next one is free.
struct Pool<F: Future + 'static> {
    executor: &'static Executor,
    places: &'static [TaskStorage<F>],
    next: Cell<usize>,
}

impl<F: Future + 'static> Pool<F> {
    fn spawn(&self, future: F) {
        let place = self.next.get();
        self.next.set((place + 1) % self.places.len());
        let token = self.places[place].spawn(|| future);
        self.executor.spawner().spawn(token.expect("it is free"));
    }
}

/// Told once.
type Told = Rc<Signal<NoopRawMutex, ()>>;

async fn join(ended: Told) {
    ended.wait().await;
}

async fn tell<F: Future<Output = ()>>(future: F, ended: Told) {
    future.await;
    ended.signal(());
}

/// Told to go on, or to end.
#[derive(PartialEq)]
enum Order {
    Run,
    End,
}

/// Waits for an order.
macro_rules! wait {
    ($source:ident) => {
        if $source.wait().await == Order::End {
            return;
        }
    };
}
macro_rules! set {
    ($source:ident) => {
        $source.signal(Order::Run)
    };
}

/// A closure that spawns a task of this pool's, and gives what is told when it ends.
macro_rules! joinable {
    ($pool:expr) => {
        |future| {
            let ended = Told::new(Signal::new());
            $pool.spawn(tell(future, ended.clone()));
            ended
        }
    };
}

impl Embassy {
    fn pool<F: Future + 'static>(&self, tasks: usize) -> Pool<F> {
        Pool {
            executor: self.executor,
            places: self.storage.of(tasks),
            next: Cell::new(0),
        }
    }

    /// Polls until `main` has ended, and whatever else is ready then.
    fn run(&self, main: impl Future<Output = ()> + 'static) {
        let ended = Rc::new(Cell::new(false));
        let tell = ended.clone();
        self.pool(1).spawn(async move {
            main.await;
            tell.set(true);
        });
        while !ended.get() {
            while !self.doorbell.rung.swap(false, Ordering::Acquire) {
                thread::park();
            }
            // SAFETY: only here, on the thread that made it, and no task comes here.
            unsafe { self.executor.poll() };
        }
    }
}

impl System for Embassy {
    fn name(&self) -> &'static str {
        "embassy"
    }

    fn yields(&mut self, tasks: u64, each: u64) {
        let pool = self.pool(tasks as usize);
        self.run(async move { yields!(tasks, each, joinable!(pool), join, yield_now) });
    }

    fn starts(&mut self, count: u64) {
        // Twice as many: those of before may not have run.
        let pool = self.pool(2 * crate::cases::TOGETHER as usize);
        self.run(async move { starts!(count, |future| pool.spawn(future), Rc, yield_now) });
    }

    fn spawns(&mut self, count: u64) {
        let pool = self.pool(1);
        self.run(async move { spawns!(count, joinable!(pool), join) });
    }

    /// As the others' case, but nothing closes a channel of embassy's.
    fn round_trips(&mut self, count: u64) {
        let pool = self.pool(1);
        self.run(async move {
            let channels = Rc::new([(); 2].map(|()| Channel::<NoopRawMutex, u64, 1>::new()));
            let both = channels.clone();
            let echo = async move {
                for _ in 0..count {
                    both[1].send(both[0].receive().await).await;
                }
            };
            let echo = joinable!(pool)(echo);
            for number in 0..count {
                channels[0].send(number).await;
                assert_eq!(channels[1].receive().await, number);
            }
            join(echo).await;
        });
    }

    fn readiness(&mut self, sources: usize, every: usize, rounds: u64) {
        let pool = self.pool(sources);
        self.run(async move {
            let (tasks, sources) = readiness!(
                sources,
                every,
                rounds,
                joinable!(pool),
                Rc,
                Signal<NoopRawMutex, Order>,
                wait,
                set,
                yield_now
            );
            sources.iter().for_each(|source| source.signal(Order::End));
            for task in tasks {
                join(task).await;
            }
        });
    }

    fn looks(&mut self, sources: usize, rounds: u64) {
        type Source = Signal<NoopRawMutex, ()>;
        let set = |source: &Source| source.signal(());
        let take = |source: &Source, cx: &mut Context<'_>| pin!(source.wait()).poll(cx).is_ready();
        self.run(async move { looks!(sources, rounds, Source::new(), set, take) });
    }

    /// A task has one place in the queue of timers, for the earliest of its own; nothing takes it back.
    fn timers(&mut self, live: usize, count: u64) -> bool {
        if live > MAX_LIVE {
            return false;
        }
        let pool = self.pool(live);
        self.run(async move {
            let end: Vec<Told> = (0..live).map(|_| Told::default()).collect();
            let mut ends = end.iter().cloned();
            let mut spawn = |sleep| {
                let end = ends.next().expect("there is one for each");
                let either = futures_lite::future::or(sleep, async move { end.wait().await });
                joinable!(pool)(either)
            };
            let tasks = timers!(live, count, spawn, sleep);
            end.iter().for_each(|end| end.signal(()));
            for task in tasks {
                join(task).await;
            }
        });
        true
    }

    /// Timers work with tasks of embassy's only, so that each is a task.
    fn expiries(&mut self, count: usize, after: Duration) -> bool {
        let pool = self.pool(count);
        self.run(async move {
            let tasks: Vec<Told> = (0..count).map(|_| joinable!(pool)(sleep(after))).collect();
            for task in tasks {
                join(task).await;
            }
        });
        true
    }
}

async fn sleep(span: Duration) {
    Timer::after(span.try_into().expect("embassy can count it")).await;
}
