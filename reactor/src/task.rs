//! Tasks: what a spawned future becomes.
//!
//! Owns the public types around a task ([`JoinHandle`], [`Priority`], [`TaskInfo`]) and, in its
//! submodules, a task's memory and its wakers. The executor runs them; nothing here decides when.

pub(crate) mod cell;
pub(crate) mod header;
mod join_handle;
pub(crate) mod list;
pub(crate) mod local;
mod waker;
mod yield_now;

pub use crate::current::{CurrentTask, RunningTask};
pub use crate::spawner::{SpawnError, Spawner, TaskBuilder};
pub use join_handle::{JoinError, JoinHandle};
pub(crate) use waker::NOBODY;
pub use yield_now::{YieldNow, yield_now};

use crate::task::header::Header;
use crate::time::Duration;

/// The class a task is queued in. Every class gets its batch in every turn, so none starves; a
/// higher one gets it earlier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// First in the turn: Runners of devices, whose completions make others ready.
    High,
    /// For everything else.
    #[default]
    Normal,
    /// Last in the turn: housekeeping, logs.
    Low,
}

impl Priority {
    pub(crate) const COUNT: usize = 3;
    /// In the order of their batches.
    pub(crate) const ALL: [Priority; Priority::COUNT] =
        [Priority::High, Priority::Normal, Priority::Low];
}

/// What is known of one live task, from [`Spawner::for_each_task`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskInfo {
    /// Unique in the reactor, counted from 1.
    pub id: u64,
    /// The name it was spawned with.
    pub name: &'static str,
    /// The class it is queued in.
    pub priority: Priority,
    /// How many times it was polled.
    pub polls: u64,
    /// How long its polls took together.
    pub busy: Duration,
}

impl From<&Header> for TaskInfo {
    fn from(header: &Header) -> TaskInfo {
        TaskInfo {
            id: header.id,
            name: header.name,
            priority: header.priority.get(),
            polls: header.polls.get(),
            busy: Duration::from_nanos(header.busy_nanos.get()),
        }
    }
}
