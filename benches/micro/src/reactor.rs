//! This project's reactor, on a thread, in real time.

use std::cell::Cell;
use std::rc::Rc;
use std::task::Context;
use std::time::Duration;

use reactor::Reactor;
use reactor::readiness::{Interest, Pollable, Readiness};
use reactor::sync::{Notify, WakerSlot, mpsc};
use reactor::task::{JoinHandle, yield_now};
use reactor::testing::ThreadPlatform;

use crate::System;

pub(crate) struct Ours(Reactor);

impl Default for Ours {
    fn default() -> Ours {
        Ours(Reactor::new(ThreadPlatform::new()))
    }
}

async fn join(handle: JoinHandle<()>) {
    handle.await.expect("it ends");
}

/// The least that can be waited for behind a handle.
#[derive(Default)]
struct Source {
    ready: Cell<bool>,
    waiter: WakerSlot,
}

impl Pollable for Source {
    fn poll_readiness(&self, _interest: Interest, cx: &mut Context<'_>) -> Readiness {
        if self.ready.get() {
            return Readiness::READABLE;
        }
        self.waiter.register(cx.waker());
        Readiness::EMPTY
    }
}

impl Source {
    fn set(&self) {
        self.ready.set(true);
        self.waiter.wake();
    }

    fn take(&mut self, cx: &mut Context<'_>) -> bool {
        let seen = self.poll_readiness(Interest::READABLE, cx);
        seen.answers(Interest::READABLE) && self.ready.replace(false)
    }
}

impl System for Ours {
    fn name(&self) -> &'static str {
        "reactor"
    }

    fn yields(&mut self, tasks: u64, each: u64) {
        let spawner = self.0.spawner();
        let spawn = |future| spawner.spawn(future);
        self.0.block_on(async {
            yields!(tasks, each, spawn, join, yield_now);
        });
    }

    fn starts(&mut self, count: u64) {
        let spawner = self.0.spawner();
        let spawn = |future| spawner.spawn(future).detach();
        self.0.block_on(async {
            starts!(count, spawn, Rc, yield_now);
        });
    }

    fn spawns(&mut self, count: u64) {
        let spawner = self.0.spawner();
        let spawn = |future| spawner.spawn(future);
        self.0.block_on(async {
            spawns!(count, spawn, join);
        });
    }

    fn round_trips(&mut self, count: u64) {
        let spawner = self.0.spawner();
        let spawn = |future| spawner.spawn(future);
        self.0.block_on(async {
            round_trips!(count, spawn, join, mpsc::bounded(1), receive);
        });
    }

    fn readiness(&mut self, sources: usize, every: usize, rounds: u64) {
        let spawner = self.0.spawner();
        let spawn = |future| spawner.spawn(future);
        self.0.block_on(async {
            let (tasks, _) = readiness!(
                sources, every, rounds, spawn, Rc, Notify, notified, notify_one, yield_now
            );
            tasks.iter().for_each(JoinHandle::cancel);
            yield_now().await;
        });
    }

    fn looks(&mut self, sources: usize, rounds: u64) {
        self.0.block_on(async {
            looks!(
                sources,
                rounds,
                Source::default(),
                Source::set,
                Source::take
            );
        });
    }

    fn timers(&mut self, live: usize, count: u64) -> bool {
        let (spawner, clock) = (self.0.spawner(), self.0.clock());
        let spawn = |future| spawner.spawn(future);
        self.0.block_on(async {
            let tasks = timers!(live, count, spawn, |span| clock.sleep(span));
            tasks.iter().for_each(JoinHandle::cancel);
            yield_now().await;
        });
        true
    }

    fn expiries(&mut self, count: usize, after: Duration) -> bool {
        let clock = self.0.clock();
        let sleep = |span| clock.sleep(span);
        self.0.block_on(async { expiries!(count, after, sleep) });
        true
    }
}
