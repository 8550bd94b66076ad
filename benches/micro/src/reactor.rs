//! This project's reactor, on a thread, in real time.

use std::rc::Rc;
use std::time::Duration;

use reactor::Reactor;
use reactor::sync::{Notify, mpsc};
use reactor::task::yield_now;
use reactor::testing::ThreadPlatform;

use crate::System;

pub(crate) struct Ours(Reactor);

impl Default for Ours {
    fn default() -> Ours {
        Ours(Reactor::new(ThreadPlatform::new()))
    }
}

macro_rules! receive {
    ($channel:ident) => {
        $channel.recv().await
    };
}
macro_rules! wait {
    ($source:ident) => {
        $source.notified().await
    };
}
macro_rules! set {
    ($source:ident) => {
        $source.notify_one()
    };
}

impl System for Ours {
    fn name(&self) -> &'static str {
        "reactor"
    }

    fn yields(&mut self, tasks: u64, each: u64) {
        let spawner = self.0.spawner();
        let join = async |handle: reactor::task::JoinHandle<()>| handle.await.expect("it ends");
        self.0.block_on(async {
            yields!(tasks, each, |future| spawner.spawn(future), join, yield_now);
        });
    }

    fn spawns(&mut self, count: u64) {
        let spawner = self.0.spawner();
        let join = async |handle: reactor::task::JoinHandle<()>| handle.await.expect("it ends");
        self.0.block_on(async {
            spawns!(count, |future| spawner.spawn(future), join);
        });
    }

    fn round_trips(&mut self, count: u64) {
        let spawner = self.0.spawner();
        let join = async |handle: reactor::task::JoinHandle<()>| handle.await.expect("it ends");
        self.0.block_on(async {
            round_trips!(
                count,
                |future| spawner.spawn(future),
                join,
                mpsc::bounded(1),
                receive
            );
        });
    }

    fn readiness(&mut self, sources: usize, rounds: u64) {
        let spawner = self.0.spawner();
        self.0.block_on(async {
            let handles = readiness!(
                sources,
                rounds,
                |future| spawner.spawn(future),
                Rc,
                Notify,
                wait,
                set,
                yield_now
            );
            handles
                .iter()
                .for_each(|handle: &reactor::task::JoinHandle<()>| handle.cancel());
            yield_now().await;
        });
    }

    fn timers(&mut self, live: usize, count: u64) -> bool {
        let (spawner, clock) = (self.0.spawner(), self.0.clock());
        self.0.block_on(async {
            let handles = timers!(live, count, |future| spawner.spawn(future), |span| clock
                .sleep(span));
            handles.iter().for_each(reactor::task::JoinHandle::cancel);
            yield_now().await;
        });
        true
    }

    fn expiries(&mut self, count: usize, after: Duration) -> bool {
        let clock = self.0.clock();
        self.0
            .block_on(async { expiries!(count, after, |span| clock.sleep(span)) });
        true
    }
}
