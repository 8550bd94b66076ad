//! A program's way to start tasks.

use alloc::alloc::{Layout, handle_alloc_error};
use alloc::rc::Rc;
use core::fmt;
use core::future::Future;

use crate::executor::Core;
use crate::irq::IrqEvent;
use crate::stats::Stats;
use crate::task::cell;
use crate::task::header::Header;
use crate::task::{CurrentTask, JoinHandle, Priority, TaskInfo};

/// Spawns tasks onto its reactor; from [`Reactor::spawner`](crate::Reactor::spawner).
///
/// Cheap to clone, and not `Send`: futures need not be either. May be used inside and outside of
/// [`block_on`](crate::Reactor::block_on), but tasks run inside only. A task that is spawned after
/// its reactor was dropped is cancelled at once.
///
/// ```
/// use reactor::{Reactor, task::Priority, testing::VirtualClock};
/// let reactor = Reactor::new(VirtualClock::new());
/// let spawner = reactor.spawner();
/// let answer = spawner.task("answer").priority(Priority::High).spawn(async { 42 });
/// spawner.for_each_task(|task| assert_eq!((task.name, task.polls), ("answer", 0)));
/// assert_eq!(reactor.block_on(answer), Ok(42));
/// assert_eq!(spawner.stats().tasks_live, 0);
/// ```
#[derive(Clone)]
pub struct Spawner {
    core: Rc<Core>,
}

impl Spawner {
    pub(crate) fn new(core: Rc<Core>) -> Spawner {
        Spawner { core }
    }

    /// Spawns a task named "task" of normal priority. It is polled for the first time in this or
    /// the next turn, never inside this call. Allocates once.
    ///
    /// Where the allocator has no memory, the program's allocation error handler runs, as for a
    /// `Box`;
    /// [`TaskBuilder::try_spawn`] gives an error instead.
    pub fn spawn<F: Future + 'static>(&self, future: F) -> JoinHandle<F::Output> {
        self.task("task").spawn(future)
    }

    /// Begins to describe a task.
    pub fn task(&self, name: &'static str) -> TaskBuilder<'_> {
        TaskBuilder {
            core: &self.core,
            name,
            priority: Priority::Normal,
        }
    }

    /// The reactor's counters.
    pub fn stats(&self) -> Stats {
        self.core.stats()
    }

    /// A view of the task being polled, as [`Reactor::current_task`](crate::Reactor::current_task) gives it.
    pub fn current_task(&self) -> CurrentTask {
        CurrentTask(self.core.shared.clone())
    }

    /// A task's view of an interrupt line, as [`Reactor::irq_event`](crate::Reactor::irq_event) gives it.
    pub fn irq_event(&self, line: u8) -> IrqEvent {
        IrqEvent::new(self.core.clone(), line)
    }

    /// Calls `f` with every task that has not ended, oldest first; also with those that `f` spawns.
    pub fn for_each_task(&self, f: impl FnMut(TaskInfo)) {
        self.core.for_each_task(f);
    }
}

impl fmt::Debug for Spawner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spawner")
            .field("stats", &self.stats())
            .finish()
    }
}

/// A task to be spawned; from [`Spawner::task`].
#[must_use = "a task has to be spawned"]
pub struct TaskBuilder<'a> {
    core: &'a Core,
    name: &'static str,
    priority: Priority,
}

impl TaskBuilder<'_> {
    /// Sets the class it is queued in; [`Priority::Normal`] unless set.
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Spawns the task, as [`Spawner::spawn`] does.
    pub fn spawn<F: Future + 'static>(self, future: F) -> JoinHandle<F::Output> {
        match self.try_spawn(future) {
            Ok(handle) => handle,
            Err(SpawnError(_)) => handle_alloc_error(Layout::new::<F>()),
        }
    }

    /// Spawns the task, or hands the future back if the allocator has no memory for it.
    pub fn try_spawn<F: Future + 'static>(
        self,
        future: F,
    ) -> Result<JoinHandle<F::Output>, SpawnError<F>> {
        let header = |vtable| {
            let shared = self.core.shared.clone();
            Header::new(
                shared,
                vtable,
                self.core.next_id(),
                self.name,
                self.priority,
            )
        };
        let (task, handle) = cell::allocate(future, header).map_err(SpawnError)?;
        self.core.start(task);
        Ok(handle)
    }
}

impl fmt::Debug for TaskBuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskBuilder")
            .field("name", &self.name)
            .field("priority", &self.priority)
            .finish()
    }
}

/// There is no memory for a task; holds the future that was to run.
pub struct SpawnError<F>(pub F);

impl<F> fmt::Debug for SpawnError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SpawnError")
    }
}

impl<F> fmt::Display for SpawnError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no memory for another task")
    }
}

impl<F> core::error::Error for SpawnError<F> {}
