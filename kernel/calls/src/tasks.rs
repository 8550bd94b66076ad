//! The calls `task_*` and `cap_*`.

use alloc::rc::Rc;
use core::task::Poll;

use abi::Error;
use abi::capability::{Kind, Kinds};
use abi::handle::{Handle, Tag};
use abi::layout::TaskStats;
use abi::number::{
    TASK_DETACHED, TASK_PINNED, TASK_PRIORITY_HIGH, TASK_PRIORITY_LOW, TASK_PRIORITY_NORMAL,
};
use reactor::readiness::{Interest, Pollable};
use reactor::task::{Priority, yield_now};
use reactor::time::Duration;

use crate::backend::Start;
use crate::failure::{Failure, Outcome};
use crate::object::Object;
use crate::program::DEFAULT_STACK;
use crate::task::Task;
use crate::user::UserList;
use crate::wait::within;

/// The most capabilities that are entered or passed on at once: as many as there are kinds.
pub const MAX_CAPABILITIES: u32 = 8;
/// The smallest stack that a task may ask for, in KiB: what the kernel's own calls need on it, and as much again.
const MIN_STACK_KIB: u32 = 16;
/// Where a stack's size stands in the flags of a spawn.
const STACK_SHIFT: u32 = 16;

/// What the caller of a spawn hands over.
#[derive(Clone, Copy, Debug)]
pub struct Spawn {
    /// The function's address.
    pub entry: u64,
    /// What it is given.
    pub argument: u64,
    /// Capabilities, all active in the caller.
    pub capabilities: UserList<u64>,
    /// `TASK_` flags.
    pub flags: u32,
}

impl Task {
    /// `cap_acquire`.
    pub fn cap_acquire(&self, number: u32) -> Outcome<Handle> {
        let kind = Kind::from_number(number).ok_or(Failure::invalid(1, number.into()))?;
        if !self.ceiling().contains(kind) {
            return Err(Failure::of(Error::Permission, 1, number.into()));
        }
        let handle = self.program().generations.borrow().handle(kind);
        Ok(handle.ok_or(Error::NoMemory)?)
    }

    /// `cap_drop`.
    pub fn cap_drop(&self, handle: Handle) -> Outcome {
        let kind = self.kind_of(1, handle)?;
        self.program().generations.borrow_mut().drop_kind(kind);
        self.set_active(self.active().without(kind));
        Ok(())
    }

    /// `cap_enter`.
    pub fn cap_enter(&self, handles: &UserList<u64>) -> Outcome {
        let kinds = self.kinds_of(1, handles, self.ceiling())?;
        self.set_active(kinds);
        Ok(())
    }

    /// `cap_exit`.
    pub fn cap_exit(&self) {
        self.set_active(Kinds::EMPTY);
    }

    fn kind_of(&self, argument: u32, handle: Handle) -> Outcome<Kind> {
        let kind = self.program().generations.borrow().kind_of(handle);
        kind.map_err(|error| Failure::of(error, argument, handle.to_bits()))
    }

    /// The kinds of a list of capabilities, all of them within `most`.
    fn kinds_of(&self, argument: u32, handles: &UserList<u64>, most: Kinds) -> Outcome<Kinds> {
        let mut kinds = Kinds::EMPTY;
        for number in handles.iter() {
            let kind = self.kind_of(argument, Handle::from_bits(number))?;
            if !most.contains(kind) {
                return Err(Failure::of(Error::Permission, argument, number));
            }
            kinds = kinds.with(kind);
        }
        Ok(kinds)
    }

    /// `task_spawn`; no handle for a detached task.
    pub fn task_spawn(&self, spawn: &Spawn) -> Outcome<Option<Handle>> {
        self.need(Kind::Task)?;
        if spawn.entry == 0 {
            return Err(Failure::invalid(1, 0));
        }
        let kinds = self.kinds_of(3, &spawn.capabilities, self.active())?;
        let start = Start {
            entry: spawn.entry,
            argument: spawn.argument,
            stack: stack_of(spawn.flags)?,
        };
        let task = self.program().start(start, kinds, kinds);
        let task = task.map_err(|error| match error {
            Error::Invalid => Failure::invalid(1, spawn.entry),
            error => error.into(),
        })?;
        task.limit_memory(self.account.limit());
        if spawn.flags & TASK_DETACHED != 0 {
            return Ok(None);
        }
        match self.adopt(Object::Task(Rc::clone(&task))) {
            Ok(handle) => {
                task.set_own_handle(handle);
                Ok(Some(handle))
            }
            Err(failure) => {
                task.cancel();
                Err(failure)
            }
        }
    }

    /// `task_yield`.
    pub async fn task_yield(&self) -> Outcome {
        self.need(Kind::Task)?;
        yield_now().await;
        Ok(())
    }

    /// `task_sleep`.
    pub async fn task_sleep(&self, nanos: u64) -> Outcome {
        self.need(Kind::Task)?;
        if nanos > 0 {
            self.program()
                .machine
                .clock
                .sleep(Duration::from_nanos(nanos))
                .await;
        }
        Ok(())
    }

    /// `task_set_priority`.
    pub fn task_set_priority(&self, handle: Handle, number: u32) -> Outcome {
        self.need(Kind::Task)?;
        let task = self.task_of(1, handle)?;
        let priority = match number {
            TASK_PRIORITY_LOW => Priority::Low,
            TASK_PRIORITY_NORMAL => Priority::Normal,
            TASK_PRIORITY_HIGH => Priority::High,
            _ => return Err(Failure::invalid(2, number.into())),
        };
        if task.status().is_some() {
            return Err(Failure::of(Error::Closed, 1, handle.to_bits()));
        }
        task.with_job(|job| job.set_priority(priority));
        Ok(())
    }

    /// `task_get_stats`.
    pub fn task_get_stats(&self, handle: Handle) -> Outcome<TaskStats> {
        self.need(Kind::Task)?;
        let task = self.task_of(1, handle)?;
        let info = task.with_job(|job| job.info());
        Ok(TaskStats {
            cpu_time_ns: info.map_or(0, |info| info.busy.as_nanos() as u64),
            sched_ticks: info.map_or(0, |info| info.polls),
            context_switches: task.switches(),
        })
    }

    /// `task_self`.
    pub fn task_self(&self) -> Outcome<Handle> {
        self.own_handle()
    }

    /// `task_join`.
    pub async fn task_join(&self, handle: Handle, timeout: u64) -> Outcome<i32> {
        self.need(Kind::Task)?;
        let task = self.task_of(1, handle)?;
        if core::ptr::eq(&*task, self) {
            return Err(Failure::invalid(1, handle.to_bits()));
        }
        let named = self.named(1, handle)?;
        let clock = &self.program().machine.clock;
        let status = within(clock, timeout, |cx| {
            if let Some(status) = task.status() {
                return Poll::Ready(Ok(status));
            }
            if named.entry.is_closed() {
                return Poll::Ready(Err(Error::Closed.into()));
            }
            named.entry.on_close(cx);
            // Not readable: it has just been looked at. This registers.
            task.poll_readiness(Interest::READABLE, cx);
            Poll::Pending
        });
        let status = status.await?;
        // Somebody else may have joined it in the same turn.
        self.close(1, handle, &[Tag::Task])?;
        Ok(status)
    }

    /// `task_cancel`. `true`: it is this task, which has to end now.
    pub fn task_cancel(&self, handle: Handle) -> Outcome<bool> {
        self.need(Kind::Task)?;
        let task = self.task_of(1, handle)?;
        if task.status().is_none() {
            task.cancel();
        }
        Ok(core::ptr::eq(&*task, self))
    }

    pub(crate) fn task_of(&self, argument: u32, handle: Handle) -> Outcome<Rc<Task>> {
        match self.find(argument, handle, Tag::Task)? {
            (_, Object::Task(task)) => Ok(task),
            _ => Err(Failure::invalid(argument, handle.to_bits())),
        }
    }
}

/// Bytes of the stack that the flags of a spawn ask for.
fn stack_of(flags: u32) -> Outcome<usize> {
    let kib = flags >> STACK_SHIFT;
    let rest = flags & !(u32::MAX << STACK_SHIFT);
    if rest & !(TASK_DETACHED | TASK_PINNED) != 0 || (1..MIN_STACK_KIB).contains(&kib) {
        return Err(Failure::invalid(5, flags.into()));
    }
    Ok(if kib == 0 {
        DEFAULT_STACK
    } else {
        kib as usize * 1024
    })
}
