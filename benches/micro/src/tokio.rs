//! tokio's runtime for one thread.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Notify, mpsc};
use tokio::task::yield_now;

use crate::System;

pub(crate) struct Tokio(Runtime);

impl Default for Tokio {
    fn default() -> Tokio {
        let runtime = Builder::new_current_thread().enable_time().build();
        Tokio(runtime.expect("a runtime can be made"))
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

impl System for Tokio {
    fn name(&self) -> &'static str {
        "tokio"
    }

    // The future given to `block_on` is no task, and costs more: so each case is a task.
    fn yields(&mut self, tasks: u64, each: u64) {
        let join = async |handle: tokio::task::JoinHandle<()>| handle.await.expect("it ends");
        let main = async move { yields!(tasks, each, tokio::spawn, join, yield_now) };
        self.0
            .block_on(async { tokio::spawn(main).await.expect("it ends") });
    }

    fn spawns(&mut self, count: u64) {
        let join = async |handle: tokio::task::JoinHandle<()>| handle.await.expect("it ends");
        let main = async move { spawns!(count, tokio::spawn, join) };
        self.0
            .block_on(async { tokio::spawn(main).await.expect("it ends") });
    }

    fn round_trips(&mut self, count: u64) {
        let join = async |handle: tokio::task::JoinHandle<()>| handle.await.expect("it ends");
        let main =
            async move { round_trips!(count, tokio::spawn, join, mpsc::channel(1), receive) };
        self.0
            .block_on(async { tokio::spawn(main).await.expect("it ends") });
    }

    fn readiness(&mut self, sources: usize, rounds: u64) {
        let main = async move {
            let handles = readiness!(
                sources,
                rounds,
                tokio::spawn,
                Arc,
                Notify,
                wait,
                set,
                yield_now
            );
            handles
                .iter()
                .for_each(|handle: &tokio::task::JoinHandle<()>| handle.abort());
        };
        self.0
            .block_on(async { tokio::spawn(main).await.expect("it ends") });
    }

    fn timers(&mut self, live: usize, count: u64) -> bool {
        let main = async move {
            let handles = timers!(live, count, tokio::spawn, tokio::time::sleep);
            handles.iter().for_each(tokio::task::JoinHandle::abort);
        };
        self.0
            .block_on(async { tokio::spawn(main).await.expect("it ends") });
        true
    }

    fn expiries(&mut self, count: usize, after: Duration) -> bool {
        let main = async move { expiries!(count, after, tokio::time::sleep) };
        self.0
            .block_on(async { tokio::spawn(main).await.expect("it ends") });
        true
    }
}
