//! `async-executor` on one thread, with the channels, events and timers of the same family.

use std::rc::Rc;
use std::time::Duration;

use async_executor::{LocalExecutor, Task};
use async_io::Timer;
use event_listener::Event;
use futures_lite::future::{self, yield_now};

use crate::System;

#[derive(Default)]
pub(crate) struct AsyncExecutor(LocalExecutor<'static>);

macro_rules! receive {
    ($channel:ident) => {{
        let channel = &mut $channel;
        channel.recv().await.ok()
    }};
}
macro_rules! wait {
    ($source:ident) => {
        $source.listen().await
    };
}
macro_rules! set {
    ($source:ident) => {
        $source.notify(1)
    };
}

impl AsyncExecutor {
    /// The main future is a task here too.
    fn run(&self, main: impl Future<Output = ()> + 'static) {
        future::block_on(self.0.run(self.0.spawn(main)));
    }
}

/// `LocalExecutor` cannot be cloned; its tasks reach it through this.
fn share(executor: &mut LocalExecutor<'static>) -> Rc<LocalExecutor<'static>> {
    Rc::new(std::mem::take(executor))
}

impl System for AsyncExecutor {
    fn name(&self) -> &'static str {
        "async-executor"
    }

    fn yields(&mut self, tasks: u64, each: u64) {
        let executor = share(&mut self.0);
        let spawn = executor.clone();
        let join = async |task: Task<()>| task.await;
        let main =
            async move { yields!(tasks, each, |future| spawn.spawn(future), join, yield_now) };
        future::block_on(executor.run(executor.spawn(main)));
    }

    fn spawns(&mut self, count: u64) {
        let executor = share(&mut self.0);
        let spawn = executor.clone();
        let join = async |task: Task<()>| task.await;
        let main = async move { spawns!(count, |future| spawn.spawn(future), join) };
        future::block_on(executor.run(executor.spawn(main)));
    }

    fn round_trips(&mut self, count: u64) {
        let executor = share(&mut self.0);
        let spawn = executor.clone();
        let join = async |task: Task<()>| task.await;
        let main = async move {
            round_trips!(
                count,
                |future| spawn.spawn(future),
                join,
                async_channel::bounded(1),
                receive
            );
        };
        future::block_on(executor.run(executor.spawn(main)));
    }

    fn readiness(&mut self, sources: usize, rounds: u64) {
        let executor = share(&mut self.0);
        let spawn = executor.clone();
        let main = async move {
            let tasks: Vec<Task<()>> = readiness!(
                sources,
                rounds,
                |future| spawn.spawn(future),
                Rc,
                Event,
                wait,
                set,
                yield_now
            );
            drop(tasks);
        };
        future::block_on(executor.run(executor.spawn(main)));
    }

    fn timers(&mut self, live: usize, count: u64) -> bool {
        let executor = share(&mut self.0);
        let spawn = executor.clone();
        let main = async move {
            let tasks: Vec<Task<()>> =
                timers!(live, count, |future| spawn.spawn(future), Timer::after);
            drop(tasks);
        };
        future::block_on(executor.run(executor.spawn(main)));
        true
    }

    fn expiries(&mut self, count: usize, after: Duration) -> bool {
        self.run(async move { expiries!(count, after, Timer::after) });
        true
    }
}
