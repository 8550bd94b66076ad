//! `LocalPool` of the futures crate, which has no timers.

use std::rc::Rc;
use std::time::Duration;

use event_listener::Event;
use futures_executor::{LocalPool, LocalSpawner};
use futures_lite::future::yield_now;
use futures_util::future::RemoteHandle;
use futures_util::task::LocalSpawnExt;

use crate::System;
use crate::cases::Listened;

#[derive(Default)]
pub(crate) struct Pool(LocalPool);

async fn join(handle: RemoteHandle<()>) {
    handle.await;
}

fn spawn(spawner: &LocalSpawner, future: impl Future<Output = ()> + 'static) -> RemoteHandle<()> {
    spawner
        .spawn_local_with_handle(future)
        .expect("the pool is there")
}

impl Pool {
    fn run<F: Future<Output = ()> + 'static>(&mut self, main: impl FnOnce(LocalSpawner) -> F) {
        let spawner = self.0.spawner();
        let main = spawn(&spawner, main(spawner.clone()));
        self.0.run_until(main);
    }
}

impl System for Pool {
    fn name(&self) -> &'static str {
        "LocalPool"
    }

    fn yields(&mut self, tasks: u64, each: u64) {
        self.run(|spawner| async move {
            let spawn = |future| spawn(&spawner, future);
            yields!(tasks, each, spawn, join, yield_now);
        });
    }

    fn starts(&mut self, count: u64) {
        self.run(|spawner| async move {
            let spawn = |future| spawner.spawn_local(future).expect("the pool is there");
            starts!(count, spawn, Rc, yield_now);
        });
    }

    fn spawns(&mut self, count: u64) {
        self.run(|spawner| async move {
            let spawn = |future| spawn(&spawner, future);
            spawns!(count, spawn, join);
        });
    }

    fn round_trips(&mut self, count: u64) {
        self.run(|spawner| async move {
            let spawn = |future| spawn(&spawner, future);
            round_trips!(count, spawn, join, async_channel::bounded(1), receive_ok);
        });
    }

    fn readiness(&mut self, sources: usize, every: usize, rounds: u64) {
        self.run(|spawner| async move {
            let spawn = |future| spawn(&spawner, future);
            drop(readiness!(
                sources, every, rounds, spawn, Rc, Event, listen, notify, yield_now
            )); // which ends the tasks
        });
    }

    fn looks(&mut self, sources: usize, rounds: u64) {
        self.run(|_| async move {
            looks!(
                sources,
                rounds,
                Listened::default(),
                Listened::set,
                Listened::take
            );
        });
    }

    fn timers(&mut self, _live: usize, _count: u64) -> bool {
        false
    }

    fn expiries(&mut self, _count: usize, _after: Duration) -> bool {
        false
    }
}
