//! Runs tasks: spawn, one poll, completion.
//!
//! Owns [`Core`], the state that a reactor shares with its spawners, clocks and timers within its
//! own context. The run loop in `reactor` decides when a batch runs; this file decides what one
//! poll means. Must never run a task from inside another's poll.

use alloc::sync::Arc;
use core::cell::Cell;

use crate::budget::PollBudget;
use crate::irq::IrqTable;
use crate::shared::Shared;
use crate::stats::{Counters, Stats};
use crate::task::header::{CANCELLED, COMPLETE, PANICKED, QUEUED, RUNNING};
use crate::task::list::TaskList;
use crate::task::local::LocalTask;
use crate::task::{Priority, TaskInfo};
use crate::time::{Duration, Instant};
use crate::timers::wheel::Wheel;

/// How many tasks of one priority run in a turn. Keeps the way back to interrupts and timers short
/// when thousands are ready; those left over come first in the next turn. Enough for all tasks that two networks
/// wake in a turn: an answer that is written a turn later finds its request acknowledged by a segment of its own.
pub(crate) const MAX_BATCH: usize = 512;

/// Everything in the reactor's own context.
pub(crate) struct Core {
    pub(crate) shared: Arc<Shared>,
    pub(crate) timers: Wheel,
    pub(crate) irqs: IrqTable,
    pub(crate) counters: Counters,
    pub(crate) budget: PollBudget,
    tasks: TaskList,
    now: Cell<Instant>,
    closed: Cell<bool>,
}

impl Core {
    pub(crate) fn new(shared: Arc<Shared>) -> Core {
        Core {
            now: Cell::new(shared.platform().now()),
            shared,
            timers: Wheel::new(),
            irqs: IrqTable::default(),
            counters: Counters::default(),
            budget: PollBudget::new(),
            tasks: TaskList::default(),
            closed: Cell::new(false),
        }
    }

    /// The clock as it was when last looked at: at the end of the last poll or park.
    pub(crate) fn now(&self) -> Instant {
        self.now.get()
    }

    /// Looks at the clock.
    pub(crate) fn refresh_now(&self) -> Instant {
        let now = self.shared.platform().now();
        self.now.set(now);
        now
    }

    /// The number of the next task.
    pub(crate) fn next_id(&self) -> u64 {
        self.counters.tasks_spawned.get() + 1
    }

    /// Takes on a new task and queues it. A task that comes when the reactor is gone is cancelled
    /// at once.
    pub(crate) fn start(&self, task: LocalTask) {
        self.counters.tasks_spawned.add(1);
        self.tasks.push(&task);
        if self.closed.get() {
            self.discard(task);
        } else {
            self.shared.queue.push(task);
        }
    }

    /// Runs one batch of each priority: the tasks that are ready when the batch begins, in order.
    pub(crate) fn run_batches(&self) {
        for priority in Priority::ALL {
            for _ in 0..self.shared.queue.len(priority).min(MAX_BATCH) {
                let Some(task) = self.shared.queue.pop(priority) else {
                    break;
                };
                self.run(task);
            }
        }
    }

    /// Polls a task, or drops its future if it was cancelled.
    fn run(&self, task: LocalTask) {
        let start = self.now.get();
        let running = Running::begin(self, task, start);
        let cancelled = running.task().header().has(CANCELLED);
        let ended = if cancelled {
            running.task().clear();
            true
        } else {
            self.counters.polls.add(1);
            running.task().poll()
        };
        self.account(running.task(), start, !cancelled);
        let task = running.end();
        if ended {
            self.complete(task);
        } else if task.header().has(QUEUED) {
            task.header().unset(RUNNING);
            self.shared.queue.push(task);
        } else {
            task.header().unset(RUNNING);
            task.wait();
        }
    }

    /// Counts what a poll took; one look at the clock, which is also the next poll's start.
    #[inline(always)] // once in every poll, and only there
    fn account(&self, task: &LocalTask, start: Instant, polled: bool) {
        let took = self.refresh_now().nanos_since(start);
        task.header().count_run(took, polled);
        if self.budget.is_exceeded_by(took) {
            self.counters.slow_polls.add(1);
            self.budget.report(task.header(), took, self.now.get());
        }
    }

    /// Drops the future of a task and ends it as cancelled.
    fn discard(&self, task: LocalTask) {
        task.header().set(CANCELLED);
        let running = Running::begin(self, task, self.now.get());
        running.task().clear();
        self.complete(running.end());
    }

    fn complete(&self, task: LocalTask) {
        self.tasks.remove(&task);
        task.complete();
    }

    /// The reactor goes: drops every future. What their destructors spawn is dropped at once, what
    /// they wake is not run.
    pub(crate) fn close(&self) {
        self.closed.set(true);
        loop {
            for priority in Priority::ALL {
                while let Some(task) = self.shared.queue.pop(priority) {
                    self.discard(task);
                }
            }
            match self.tasks.first() {
                Some(task) => task.wake_local(), // into the queue, where its token is found
                None => break,
            }
        }
        self.shared.close();
    }

    /// Calls `f` with every live task, oldest first.
    pub(crate) fn for_each_task(&self, mut f: impl FnMut(TaskInfo)) {
        let mut next = self.tasks.first();
        while let Some(task) = next {
            let header = task.header();
            f(TaskInfo::from(header));
            // Outside of `block_on`, `f` may run the reactor and so end the task: it has no
            // neighbours then.
            next = if header.has(COMPLETE) {
                self.tasks.first_after(header.id)
            } else {
                self.tasks.next(&task)
            };
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        let (counters, timers) = (&self.counters, &self.timers);
        Stats {
            turns: counters.turns.get(),
            parks: counters.parks.get(),
            idle: Duration::from_nanos(counters.idle_nanos.get()),
            polls: counters.polls.get(),
            slow_polls: counters.slow_polls.get(),
            wakes: self.shared.queue.pushed(),
            remote_wakes: self.shared.injections(),
            irqs: counters.irqs.get(),
            tasks_live: self.tasks.len(),
            tasks_spawned: counters.tasks_spawned.get(),
            tasks_panicked: counters.tasks_panicked.get(),
            timers_live: timers.live(),
            timers_armed: timers.armed.get(),
            timers_fired: timers.fired.get(),
            timers_moved: timers.moved.get(),
            timers_spurious: timers.spurious.get(),
        }
    }
}

/// A task in its poll. If that unwinds (on a host), dropping this ends the task as panicked.
struct Running<'a> {
    core: &'a Core,
    task: Option<LocalTask>,
}

impl<'a> Running<'a> {
    fn begin(core: &'a Core, task: LocalTask, start: Instant) -> Running<'a> {
        let header = task.header();
        header.set_running();
        core.shared.current.begin(header.name, header.id, start);
        Running {
            core,
            task: Some(task),
        }
    }
}

impl Running<'_> {
    fn task(&self) -> &LocalTask {
        self.task
            .as_ref()
            .expect("taken only by `end`, which consumes the guard")
    }

    /// The poll is over, and did not unwind. The task counts as running until its token is laid down:
    /// a logger may wake it, and only the token's owner may queue it.
    fn end(mut self) -> LocalTask {
        self.task.take().expect("taken only here")
    }

    /// The poll unwound: ends the task as panicked.
    #[cold]
    fn unwound(&self, task: LocalTask) {
        self.core.counters.tasks_panicked.add(1);
        let header = task.header();
        log::error!(
            "reactor: task panicked task={} id={}",
            header.name,
            header.id
        );
        header.set(PANICKED);
        task.clear();
        self.core.complete(task);
    }
}

impl Drop for Running<'_> {
    #[inline(always)] // at the end of every poll
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            self.unwound(task);
        }
        self.core.shared.current.end();
    }
}
