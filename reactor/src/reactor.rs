//! The run loop.
//!
//! Owns [`Reactor`], which ties platform, tasks, timers and interrupts together. A turn is: take
//! raised lines, accept wakes from other threads, fire due timers, run a batch of each priority;
//! then sleep if nothing is ready. Nothing else in the kernel may wait.

use alloc::rc::Rc;
use alloc::sync::Arc;
use core::cell::Cell;
use core::fmt;
use core::future::Future;

use crate::clock::Clock;
use crate::executor::Core;
use crate::irq::IrqEvent;
use crate::main_task::MainTask;
use crate::platform::Platform;
use crate::shared::Shared;
use crate::spawner::Spawner;
use crate::stats::Stats;
use crate::task::{CurrentTask, JoinError, TaskInfo};
use crate::time::Duration;

/// A run loop with its tasks and timers.
///
/// Belongs to the thread (the core) that makes it: neither `Send` nor `Sync`; only wakers may
/// leave. Dropping it drops the futures of all tasks, whose join handles then give
/// [`JoinError::Cancelled`].
///
/// ```
/// use reactor::{Reactor, testing::VirtualClock, time::Duration};
/// let reactor = Reactor::new(VirtualClock::new());
/// let clock = reactor.clock();
/// let hour = reactor.spawner().spawn(async move {
///     clock.sleep(Duration::from_secs(3600)).await; // virtual: takes no time
///     "done"
/// });
/// assert_eq!(reactor.block_on(hour), Ok("done"));
/// assert_eq!(reactor.stats().parks, 1);
/// ```
pub struct Reactor {
    core: Rc<Core>,
    entered: Cell<bool>,
}

impl Reactor {
    /// A reactor for the calling context. Allocates its tables; reads the clock.
    pub fn new(platform: Arc<dyn Platform>) -> Reactor {
        let shared = Arc::new(Shared::new(platform));
        Reactor {
            core: Rc::new(Core::new(shared)),
            entered: Cell::new(false),
        }
    }

    /// A handle to spawn tasks with.
    pub fn spawner(&self) -> Spawner {
        Spawner::new(self.core.clone())
    }

    /// A handle to tell the time and make timers with.
    pub fn clock(&self) -> Clock {
        Clock::new(self.core.clone())
    }

    /// An event for an interrupt line. One for a line from 64 on never fires; that is logged.
    pub fn irq_event(&self, line: u8) -> IrqEvent {
        IrqEvent::new(self.core.clone(), line)
    }

    /// The counters.
    pub fn stats(&self) -> Stats {
        self.core.stats()
    }

    /// Calls `f` with every task that has not ended, oldest first.
    pub fn for_each_task(&self, f: impl FnMut(TaskInfo)) {
        self.core.for_each_task(f);
    }

    /// A view of the task being polled, for panic handlers, watchdogs and other threads.
    pub fn current_task(&self) -> CurrentTask {
        CurrentTask(self.core.shared.clone())
    }

    /// Sets how long a poll may take before its task is named in the log; 10 ms unless set.
    pub fn set_poll_budget(&self, budget: Duration) {
        self.core.budget.set(budget);
    }

    /// Runs everything until `future` is ready; gives its output.
    ///
    /// The future is queued and polled as a task named "main" of normal priority, only when it was
    /// woken, but may borrow. Sleeps through the platform while nothing is ready. Other tasks stay
    /// when it returns, and go on in the next call. Allocates once.
    ///
    /// # Panics
    ///
    /// When called from a task of this reactor: a run loop inside a poll could wait for the very
    /// task that waits for it. And with any panic of a task, after that task has ended: the others
    /// stay intact.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        let _entered = Entered::new(&self.entered);
        self.core.refresh_now();
        MainTask::with(&self.core, future, |main| {
            loop {
                self.turn();
                match main.result() {
                    Some(Ok(output)) => return output,
                    Some(Err(JoinError::Cancelled | JoinError::Panicked)) => {
                        unreachable!("the main task has no other handle, and its panic unwinds")
                    }
                    None => self.park_if_idle(),
                }
            }
        })
    }

    /// Sleeps as [`block_on`](Reactor::block_on) does between two turns, unless there is something to run. Whether it slept.
    ///
    /// For a caller with one future that it polls itself while no task has anything to do: that saves the turns, and what
    /// `block_on` allocates. Nothing runs here, no timer fires and no line is taken: what has come meanwhile is for the
    /// next turn. `has_work`, asked again once a wake from elsewhere would end the sleep, says whether the caller
    /// has been woken.
    ///
    /// # Panics
    ///
    /// When called from a task of this reactor.
    ///
    /// ```
    /// use reactor::{Reactor, testing::VirtualClock, time::Duration};
    /// let reactor = Reactor::new(VirtualClock::new());
    /// let clock = reactor.clock();
    /// let task = reactor.spawner().spawn(async move { clock.sleep(Duration::from_secs(60)).await });
    /// assert!(!reactor.sleep_if_idle(&|| false), "the task is to be polled first");
    /// reactor.block_on(reactor::task::yield_now());
    /// assert!(reactor.sleep_if_idle(&|| false)); // until its timer is due
    /// assert!(!reactor.sleep_if_idle(&|| false), "which is to be fired");
    /// assert_eq!(reactor.block_on(task), Ok(()));
    /// ```
    pub fn sleep_if_idle(&self, has_work: &dyn Fn() -> bool) -> bool {
        let _entered = Entered::new(&self.entered);
        self.is_idle() && self.park(has_work)
    }

    /// Whether no task is ready to be polled, and nothing has come that a turn would take. Timers are left out.
    pub fn is_idle(&self) -> bool {
        let shared = &self.core.shared;
        shared.queue.is_empty()
            && !shared.has_injected()
            && !shared.platform().irq_lines().pending()
    }

    /// One round: interrupts, wakes from elsewhere, timers, then a batch of each priority. Does not
    /// wait.
    fn turn(&self) {
        let core = &*self.core;
        core.counters.turns.add(1);
        self.deliver_irqs();
        core.shared.accept_injected();
        core.timers.fire_due(core.now());
        core.run_batches();
    }

    fn deliver_irqs(&self) {
        let lines = self.core.shared.platform().irq_lines();
        if lines.pending() {
            let raised = lines.take();
            self.core.counters.irqs.add(u64::from(raised.count_ones()));
            self.core.irqs.deliver(raised);
        }
    }

    /// Sleeps until the next deadline, interrupt or wake from elsewhere, unless there is something
    /// to do.
    fn park_if_idle(&self) {
        if self.core.shared.queue.is_empty() {
            self.park(&|| false);
        } else {
            self.core.shared.platform().pass();
        }
    }

    /// Whether it slept, perhaps for no time.
    fn park(&self, has_work: &dyn Fn() -> bool) -> bool {
        let core = &*self.core;
        let platform = core.shared.platform();
        let (before, until) = (core.now(), core.timers.next_deadline());
        if until.is_some_and(|until| until <= before) || platform.irq_lines().pending() {
            return false;
        }
        core.counters.parks.add(1);
        platform.park(until, &|| core.shared.has_injected() || has_work());
        let after = core.refresh_now();
        core.counters.idle_nanos.add(after.nanos_since(before));
        true
    }
}

impl Drop for Reactor {
    fn drop(&mut self) {
        self.core.close();
    }
}

impl fmt::Debug for Reactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reactor")
            .field("stats", &self.stats())
            .finish()
    }
}

/// Marks a reactor as running; dropping it (also by unwinding) as free.
struct Entered<'a>(&'a Cell<bool>);

impl<'a> Entered<'a> {
    fn new(entered: &'a Cell<bool>) -> Entered<'a> {
        assert!(
            !entered.replace(true),
            "block_on was called inside block_on of the same reactor: await the future instead"
        );
        Entered(entered)
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}
