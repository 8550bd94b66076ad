//! tokio's runtime for one thread.

use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::futures::OwnedNotified;
use tokio::sync::{Notify, mpsc};
use tokio::task::{JoinHandle, yield_now};

use crate::System;

pub(crate) struct Tokio(Runtime);

impl Default for Tokio {
    fn default() -> Tokio {
        let runtime = Builder::new_current_thread().enable_time().build();
        Tokio(runtime.expect("a runtime can be made"))
    }
}

async fn join(handle: JoinHandle<()>) {
    handle.await.expect("it ends");
}

impl Tokio {
    /// The future given to `block_on` is no task, and costs more: so each case is a task.
    fn run(&self, main: impl Future<Output = ()> + Send + 'static) {
        self.0.block_on(async { join(tokio::spawn(main)).await });
    }
}

/// A `Notify` and what waits for it, which has to stay where it is.
struct Source(Arc<Notify>, Pin<Box<OwnedNotified>>);

impl Default for Source {
    fn default() -> Source {
        let notify = Arc::new(Notify::new());
        Source(notify.clone(), Box::pin(notify.notified_owned()))
    }
}

impl Source {
    fn set(&self) {
        self.0.notify_one();
    }

    fn take(&mut self, cx: &mut Context<'_>) -> bool {
        let told = self.1.as_mut().poll(cx).is_ready();
        if told {
            self.1.set(self.0.clone().notified_owned());
        }
        told
    }
}

impl System for Tokio {
    fn name(&self) -> &'static str {
        "tokio"
    }

    fn yields(&mut self, tasks: u64, each: u64) {
        self.run(async move { yields!(tasks, each, tokio::spawn, join, yield_now) });
    }

    fn starts(&mut self, count: u64) {
        let spawn = |future| drop(tokio::spawn(future));
        self.run(async move { starts!(count, spawn, Arc, yield_now) });
    }

    fn spawns(&mut self, count: u64) {
        self.run(async move { spawns!(count, tokio::spawn, join) });
    }

    fn round_trips(&mut self, count: u64) {
        self.run(async move {
            round_trips!(count, tokio::spawn, join, mpsc::channel(1), receive);
        });
    }

    fn readiness(&mut self, sources: usize, every: usize, rounds: u64) {
        let spawn = tokio::spawn;
        self.run(async move {
            let (tasks, _) = readiness!(
                sources, every, rounds, spawn, Arc, Notify, notified, notify_one, yield_now
            );
            tasks.iter().for_each(JoinHandle::abort);
        });
    }

    fn looks(&mut self, sources: usize, rounds: u64) {
        self.run(async move {
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
        self.run(async move {
            let tasks = timers!(live, count, tokio::spawn, tokio::time::sleep);
            tasks.iter().for_each(JoinHandle::abort);
        });
        true
    }

    fn expiries(&mut self, count: usize, after: Duration) -> bool {
        self.run(async move { expiries!(count, after, tokio::time::sleep) });
        true
    }
}
