//! The tasks that are ready to run: one first-in-first-out list for each priority.
//!
//! Owns the link `next_queued` in the headers, and the executor's token of every task in it. Filled
//! by wakes from the reactor's own context, emptied by the executor. Needs no bound of its own: a
//! task is in it at most once, so it is never longer than there are tasks, and pushing allocates
//! nothing. Must never be touched from another thread (those go through the injection queue in
//! `shared`) or an interrupt handler.
#![allow(
    unsafe_code,
    reason = "an intrusive list: no allocation beyond the task's"
)]

use core::cell::Cell;
use core::ptr::NonNull;

use crate::task::Priority;
use crate::task::header::Header;
use crate::task::local::LocalTask;

/// Ready tasks of one priority.
#[derive(Default)]
struct Class {
    first: Cell<Option<NonNull<Header>>>,
    last: Cell<Option<NonNull<Header>>>,
    len: Cell<usize>,
}

/// Ready tasks of all priorities.
#[derive(Default)]
pub(crate) struct RunQueue {
    classes: [Class; Priority::COUNT],
    pushed: Cell<u64>,
}

impl RunQueue {
    /// Appends a task to the list of its priority.
    pub(crate) fn push(&self, task: LocalTask) {
        let class = &self.classes[task.header().priority.get() as usize];
        let task = task.into_token();
        match class.last.replace(Some(task)) {
            // SAFETY: a queued task is live, its token is in this queue.
            Some(last) => unsafe { last.as_ref() }.next_queued.set(Some(task)),
            None => class.first.set(Some(task)),
        }
        class.len.set(class.len.get() + 1);
        self.pushed.set(self.pushed.get() + 1);
    }

    /// Takes the task that has waited longest.
    pub(crate) fn pop(&self, priority: Priority) -> Option<LocalTask> {
        let class = &self.classes[priority as usize];
        // SAFETY: a queued task is not complete, and `push` left its token here, once.
        let task = unsafe { LocalTask::from_token(class.first.get()?) };
        let next = task.header().next_queued.take();
        class.first.set(next);
        if next.is_none() {
            class.last.set(None);
        }
        class.len.set(class.len.get() - 1);
        Some(task)
    }

    /// How many tasks of a priority are ready.
    pub(crate) fn len(&self, priority: Priority) -> usize {
        self.classes[priority as usize].len.get()
    }

    /// Whether no task is ready.
    pub(crate) fn is_empty(&self) -> bool {
        self.classes.iter().all(|class| class.len.get() == 0)
    }

    /// How many tasks were ever pushed.
    pub(crate) fn pushed(&self) -> u64 {
        self.pushed.get()
    }
}
