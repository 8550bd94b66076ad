//! This project's reactor, on a thread, in real time.

use std::rc::Rc;
use std::time::Duration;

use reactor::Reactor;
use reactor::sync::{Notify, mpsc};
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
