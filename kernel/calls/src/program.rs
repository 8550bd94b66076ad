//! A foreign program: what all of its tasks share.

use alloc::collections::BTreeMap;
use alloc::rc::{Rc, Weak};
use core::cell::{Cell, RefCell};
use core::fmt;
use core::future::poll_fn;
use core::task::Poll;

use abi::Error;
use abi::capability::Kinds;
use abi::handle::Handle;
use reactor::sync::WakerSlot;
use reactor::task::JoinHandle;
use reactor::{Clock, Spawner};
use trace::Trace;

use crate::backend::{Environment, Network, Runner, Start, Storage};
use crate::capability::Generations;
use crate::channel::Offers;
use crate::memory::Heap;
use crate::object::{Entry, Object};
use crate::table::Table;
use crate::task::Task;
use crate::user::AddressSpace;

/// The most handles of a program at a time. Beyond, whatever makes one gives [`Error::NoMemory`].
pub const MAX_HANDLES: usize = 65_536;
/// The most tasks of a program at a time, likewise.
pub const MAX_TASKS: usize = 16_384;
/// Bytes of the stack of a task that does not ask for another.
pub const DEFAULT_STACK: usize = 64 << 10;
/// Bytes that a program's calls leave to the kernel.
const RESERVE: usize = 256 << 10;

/// What a program runs on.
pub struct Machine {
    /// The time.
    pub clock: Clock,
    /// Where tasks go.
    pub spawner: Spawner,
    /// What capabilities there may be.
    pub policy: Kinds,
    /// The network, if there is one.
    pub network: Option<Rc<dyn Network>>,
    /// What `io_open` opens.
    pub storage: Rc<dyn Storage>,
    /// Arguments and the like.
    pub environment: Rc<dyn Environment>,
    /// Which memory is the program's, beside what it allocates.
    pub space: Rc<dyn AddressSpace>,
    /// What runs its tasks.
    pub runner: Rc<dyn Runner>,
    /// Where its spans and events go, beside those of tasks in Rust.
    pub trace: Trace,
}

/// A program of another language, as all of its tasks share it.
pub struct Program {
    pub(crate) machine: Machine,
    pub(crate) generations: RefCell<Generations>,
    pub(crate) handles: RefCell<Table<Rc<Entry>>>,
    pub(crate) heap: Heap,
    pub(crate) offers: Offers,
    /// Those that have not ended, by number.
    tasks: RefCell<BTreeMap<u64, Weak<Task>>>,
    /// Who waits for the last of them.
    ended: WakerSlot,
    last_task: Cell<u64>,
    pub(crate) member_looks: Cell<u64>,
}

impl Program {
    /// A program that has no task yet.
    pub fn new(machine: Machine) -> Rc<Program> {
        Rc::new(Program {
            machine,
            generations: RefCell::default(),
            handles: RefCell::new(Table::new(MAX_HANDLES)),
            heap: Heap::default(),
            offers: Offers::default(),
            tasks: RefCell::default(),
            ended: WakerSlot::new(),
            last_task: Cell::new(0),
            member_looks: Cell::new(0),
        })
    }

    /// Starts a task that may have what `ceiling` says, and has `active` of it.
    ///
    /// # Errors
    /// [`Error::NoMemory`]: no stack, or [`MAX_TASKS`]; [`Error::Invalid`]: the entry is no code.
    pub fn start(
        self: &Rc<Program>,
        start: Start,
        ceiling: Kinds,
        active: Kinds,
    ) -> Result<Rc<Task>, Error> {
        if self.task_count() >= MAX_TASKS {
            return Err(Error::NoMemory);
        }
        self.leaves_enough(start.stack)?;
        let task = self.adopt(ceiling, active);
        match self.machine.runner.start(&task, start) {
            Ok(job) => task.runs_as(job),
            Err(error) => {
                self.task_ended(task.id());
                return Err(error);
            }
        }
        Ok(task)
    }

    /// A task whose stack is the caller's own: a thread of a process, a test. It is over when somebody calls its
    /// [`end`](Task::end).
    pub fn adopt(self: &Rc<Program>, ceiling: Kinds, active: Kinds) -> Rc<Task> {
        let task = Task::new(self, self.last_task.get() + 1, ceiling, active);
        self.last_task.set(task.id());
        let mut tasks = self.tasks.borrow_mut();
        tasks.insert(task.id(), Rc::downgrade(&task));
        task
    }

    /// How many handles are open.
    pub fn handle_count(&self) -> usize {
        self.handles.borrow().len()
    }

    /// How many tasks have not ended.
    pub fn task_count(&self) -> usize {
        self.tasks.borrow().len()
    }

    /// How often waits have looked at a member of an interest set.
    pub fn member_looks(&self) -> u64 {
        self.member_looks.get()
    }

    /// What it runs on.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Where its spans and events go.
    pub fn trace(&self) -> &Trace {
        &self.machine.trace
    }

    /// Tells all tasks to end, each in its present or next wait.
    pub fn cancel(&self) {
        for task in self.tasks.borrow().values().filter_map(Weak::upgrade) {
            task.cancel();
        }
    }

    /// Has the reactor drop all tasks, each when its turn comes: for who does not wait for the program's end.
    pub fn abandon(&self) {
        for task in self.tasks.borrow().values().filter_map(Weak::upgrade) {
            task.with_job(JoinHandle::cancel);
        }
    }

    /// Waits until no task is left. One may wait at a time.
    pub async fn ended(&self) {
        poll_fn(|cx| {
            if self.task_count() == 0 {
                return Poll::Ready(());
            }
            self.ended.register(cx.waker());
            Poll::Pending
        })
        .await;
    }

    pub(crate) fn task_ended(&self, number: u64) {
        let mut tasks = self.tasks.borrow_mut();
        tasks.remove(&number);
        if tasks.is_empty() {
            self.ended.wake();
        }
    }

    /// Whether there is still a reserve when a call takes so many bytes. Much of what the kernel does for a program has no
    /// way to fail for want of memory, so a call asks here before it makes something that stays.
    pub(crate) fn leaves_enough(&self, bytes: usize) -> Result<(), Error> {
        let wanted = bytes.saturating_add(RESERVE);
        let has_room = self.machine.space.has_room(wanted, self.heap.bytes());
        has_room.then_some(()).ok_or(Error::NoMemory)
    }

    /// Puts an object under a handle of its own.
    pub(crate) fn insert(&self, object: Object) -> Result<(Handle, Rc<Entry>), Error> {
        self.leaves_enough(0)?;
        let tag = object.tag();
        let entry = Rc::new(Entry::new(object));
        let inserted = self.handles.borrow_mut().insert(tag, Rc::clone(&entry));
        let handle = inserted.map_err(|_| Error::NoMemory)?;
        Ok((handle, entry))
    }

    pub(crate) fn entry(&self, handle: Handle) -> Option<Rc<Entry>> {
        self.handles.borrow().get(handle).cloned()
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program")
            .field("tasks", &self.task_count())
            .field("handles", &self.handles.borrow().len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use abi::number::TASK_CANCELLED;

    use crate::testing::Host;

    #[test]
    fn an_abandoned_program_has_no_tasks_left() {
        let host = Host::new();
        let sleeper = host.spawn(async |task| task.task_sleep(u64::MAX / 2).await);
        host.reactor.block_on(async {
            reactor::task::yield_now().await;
            host.program.abandon();
            assert_eq!(host.program.task_count(), 1, "not inside the call");
            reactor::task::yield_now().await;
            assert_eq!(std::rc::Rc::strong_count(&sleeper), 1, "the future is gone");
        });
    }

    #[test]
    fn tasks_that_wait_end_when_the_program_is_cancelled() {
        let host = Host::new();
        let sleeper = host.spawn(async |task| task.task_sleep(u64::MAX / 2).await);
        let fresh = host.spawn(async |task| task.task_sleep(u64::MAX / 2).await);
        host.reactor.block_on(async {
            reactor::task::yield_now().await;
            assert_eq!(host.program.task_count(), 2);
            host.program.cancel();
            host.program.ended().await;
        });
        let ends = [&sleeper, &fresh].map(|task| task.status());
        assert_eq!(ends, [Some(TASK_CANCELLED); 2]);
        assert_eq!(host.program.task_count(), 0);
    }
}
