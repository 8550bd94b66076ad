//! The list of all live tasks, in the order of their ids.
//!
//! Owns the links `previous` and `next` in the headers. Called by the executor at spawn and
//! completion, and by `for_each_task`. It counts no reference of its own: a task is unlinked before
//! the executor gives up its reference. In the reactor's context only.
#![allow(
    unsafe_code,
    reason = "an intrusive list: no allocation beyond the task's"
)]

use core::cell::Cell;
use core::ptr::NonNull;

use crate::task::header::{Header, TaskRef};
use crate::task::local::LocalTask;

type Link = Cell<Option<NonNull<Header>>>;

#[derive(Default)]
pub(crate) struct TaskList {
    first: Link,
    last: Link,
    len: Cell<usize>,
}

impl TaskList {
    pub(crate) fn len(&self) -> usize {
        self.len.get()
    }

    /// Appends a task that was just made.
    pub(crate) fn push(&self, task: &LocalTask) {
        let last = self.last.get();
        task.header().previous.set(last);
        // SAFETY: `last` is listed.
        unsafe { self.link_after(last) }.set(Some(task.as_ptr()));
        self.last.set(Some(task.as_ptr()));
        self.len.set(self.len.get() + 1);
    }

    /// Takes out a listed task.
    pub(crate) fn remove(&self, task: &LocalTask) {
        let (previous, next) = (task.header().previous.take(), task.header().next.take());
        // SAFETY: neighbours of a listed task are listed.
        let (after, before) = unsafe { (self.link_after(previous), self.link_before(next)) };
        after.set(next);
        before.set(previous);
        self.len.set(self.len.get() - 1);
    }

    /// The oldest live task.
    pub(crate) fn first(&self) -> Option<TaskRef> {
        // SAFETY: listed.
        self.first.get().map(|task| unsafe { TaskRef::count(task) })
    }

    /// The next younger live task than a live one.
    pub(crate) fn next(&self, task: &TaskRef) -> Option<TaskRef> {
        // SAFETY: a neighbour of a listed task is listed; of an unlisted one there is none.
        task.header()
            .next
            .get()
            .map(|task| unsafe { TaskRef::count(task) })
    }

    /// The oldest live task with a higher id. Walks the list.
    pub(crate) fn first_after(&self, id: u64) -> Option<TaskRef> {
        let mut next = self.first();
        while let Some(task) = &next
            && task.header().id <= id
        {
            next = self.next(task);
        }
        next
    }

    /// The link that leads forwards from `task`, or into the list if `None`.
    ///
    /// # Safety
    ///
    /// `task` is listed.
    unsafe fn link_after(&self, task: Option<NonNull<Header>>) -> &Link {
        match task {
            // SAFETY: a listed task is live (the module's text).
            Some(task) => unsafe { &task.as_ref().next },
            None => &self.first,
        }
    }

    /// The link that leads backwards from `task`, or into the list's end if `None`.
    ///
    /// # Safety
    ///
    /// `task` is listed.
    unsafe fn link_before(&self, task: Option<NonNull<Header>>) -> &Link {
        match task {
            // SAFETY: a listed task is live (the module's text).
            Some(task) => unsafe { &task.as_ref().previous },
            None => &self.last,
        }
    }
}
