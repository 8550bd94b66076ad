//! `async-executor` on one thread, with the channels, events and timers of the same family.

use std::rc::Rc;
use std::time::Duration;

use async_executor::{LocalExecutor, Task};
use async_io::Timer;
use event_listener::Event;
use futures_lite::future::{self, yield_now};

use crate::System;
use crate::cases::Listened;

#[derive(Default)]
pub(crate) struct AsyncExecutor(Rc<LocalExecutor<'static>>);

async fn join(task: Task<()>) {
    task.await;
}

impl AsyncExecutor {
    /// The main future is a task here too.
    fn run<F: Future<Output = ()> + 'static>(
        &self,
        main: impl FnOnce(Rc<LocalExecutor<'static>>) -> F,
    ) {
        let main = self.0.spawn(main(self.0.clone()));
        future::block_on(self.0.run(main));
    }
}

impl System for AsyncExecutor {
    fn name(&self) -> &'static str {
        "async-executor"
    }

    fn yields(&mut self, tasks: u64, each: u64) {
        self.run(|executor| async move {
            let spawn = |future| executor.spawn(future);
            yields!(tasks, each, spawn, join, yield_now);
        });
    }

    fn starts(&mut self, count: u64) {
        self.run(|executor| async move {
            let spawn = |future| executor.spawn(future).detach();
            starts!(count, spawn, Rc, yield_now);
        });
    }

    fn spawns(&mut self, count: u64) {
        self.run(|executor| async move {
            let spawn = |future| executor.spawn(future);
            spawns!(count, spawn, join);
        });
    }

    fn round_trips(&mut self, count: u64) {
        self.run(|executor| async move {
            let spawn = |future| executor.spawn(future);
            round_trips!(count, spawn, join, async_channel::bounded(1), receive_ok);
        });
    }

    fn readiness(&mut self, sources: usize, every: usize, rounds: u64) {
        self.run(|executor| async move {
            let spawn = |future| -> Task<()> { executor.spawn(future) };
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

    fn timers(&mut self, live: usize, count: u64) -> bool {
        self.run(|executor| async move {
            let spawn = |future| executor.spawn(future);
            drop(timers!(live, count, spawn, Timer::after));
        });
        true
    }

    fn expiries(&mut self, count: usize, after: Duration) -> bool {
        self.run(|_| async move { expiries!(count, after, Timer::after) });
        true
    }
}
