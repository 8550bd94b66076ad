//! One kernel: a reactor on Linux, a program, and its first task, whose stack is that of whichever thread is in it.
//!
//! Made, entered and ended by the [`registry`]; used by the [`door`](mod@crate::door) while a thread is in it.

use std::os::fd::RawFd;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use abi::Error;
use abi::capability::Kinds;
use calls::coroutines::Coroutines;
use calls::{Machine, Program, Task};
use reactor::Reactor;
use reactor::platform::Platform;
use reactor::task::{JoinHandle, Priority};
use trace::Trace;

use crate::alias::Alias;
use crate::coroutine::Stacks;
use crate::descriptor::Descriptor;
use crate::descriptors::{self, Descriptors};
use crate::environment::Surroundings;
use crate::network::Sockets;
use crate::platform::{FOUND, Linux, SIGNALLED};
use crate::settings;
use crate::space::Process;
use crate::storage::Files;
use crate::wake::{self, Wakes};
use crate::{fault, logger, registry};

/// How long tasks may take to end when their kernel ends. They end in their next wait.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long a task may keep the others waiting before it is named in the log.
const POLL_BUDGET: Duration = Duration::from_secs(1);

/// A kernel.
pub(crate) struct Kernel {
    number: usize,
    made_in: u32,
    first: Rc<Task>,
    /// What the first task is woken by.
    alias: Arc<Alias>,
    waker: Waker,
    program: Rc<Program>,
    wakes: Rc<Wakes>,
    descriptors: Rc<Descriptors>,
    /// The tasks without which nothing is heard from outside.
    ears: [JoinHandle<()>; 2],
    reactor: Reactor,
}

impl Kernel {
    /// A kernel of that number, with its first task.
    ///
    /// # Errors
    /// [`Error::NoMemory`]: no descriptors are left; [`Error::Unsupported`]: Linux is older than 5.11.
    pub(crate) fn new(number: usize) -> Result<Rc<Kernel>, Error> {
        fault::catch();
        let platform = Linux::new().map_err(|_| Error::NoMemory)?;
        platform.probe()?;
        let mut kernel = None;
        // Its reactor's context is that of whoever enters it.
        crate::thread::with_context(number, || kernel = Some(Kernel::on(number, &platform)));
        kernel.ok_or(Error::NoMemory)
    }

    fn on(number: usize, platform: &Arc<Linux>) -> Rc<Kernel> {
        let reactor = Reactor::new(platform.clone());
        // Linux takes the processor away whenever it likes: what is short says nothing.
        reactor.set_poll_budget(POLL_BUDGET);
        let descriptors = Descriptors::new(platform.clone());
        let wakes = Rc::new(Wakes::new(platform.clone()));
        let settings = settings::get();
        let spawner = reactor.spawner();
        let machine = Machine {
            clock: reactor.clock(),
            spawner: spawner.clone(),
            policy: settings.policy.kinds(),
            network: Sockets::open(&descriptors, settings),
            storage: Rc::new(Files::new(&descriptors, settings)),
            environment: Rc::new(Surroundings::new(&wakes, settings)),
            space: Rc::new(Process::new(settings)),
            runner: Rc::new(Coroutines::new(Stacks::default())),
            trace: Trace::new(&spawner, &reactor.clock()),
        };
        let policy = machine.policy;
        let program = Program::new(machine);
        let ear = |name| spawner.task(name).priority(Priority::High);
        let found = reactor.irq_event(FOUND);
        let signalled = reactor.irq_event(SIGNALLED);
        let alias = Arc::new(Alias::new(number, platform.clone()));
        Rc::new(Kernel {
            number,
            waker: Waker::from(Arc::clone(&alias)),
            alias,
            made_in: registry::forks(),
            first: program.adopt(policy, Kinds::EMPTY),
            ears: [
                ear("descriptors").spawn(descriptors::pass_on(descriptors.clone(), found)),
                ear("wakes").spawn(wake::pass_on(wakes.clone(), signalled)),
            ],
            program,
            wakes,
            descriptors,
            reactor,
        })
    }

    /// Its number, from 1.
    pub(crate) fn number(&self) -> usize {
        self.number
    }

    /// Whether it was made by this process, and not by one that this one was forked from.
    pub(crate) fn is_ours(&self) -> bool {
        self.made_in == registry::forks()
    }

    /// The task that is the thread itself.
    pub(crate) fn first(&self) -> &Rc<Task> {
        &self.first
    }

    /// Its descriptors.
    pub(crate) fn descriptors(&self) -> &Rc<Descriptors> {
        &self.descriptors
    }

    /// Its handles that other threads wake.
    pub(crate) fn wakes(&self) -> &Rc<Wakes> {
        &self.wakes
    }

    /// Waits on the thread's own stack: everything runs meanwhile. `false`: the first task was cancelled.
    pub(crate) fn wait(&self, mut future: Pin<&mut dyn Future<Output = ()>>) -> bool {
        let is_deaf = self.ears.iter().any(JoinHandle::is_finished);
        assert!(!is_deaf, "a part of the kernel has failed before");
        let platform = self.descriptors.platform();
        let looks = platform.looks();
        let finished = match self.wait_alone(future.as_mut()) {
            true => true,
            false => self.wait_with_others(future),
        };
        if platform.looks() == looks {
            platform.pass(); // it did not sleep, and perhaps never does
        }
        finished
    }

    /// Waits while no other task has anything to do, which is the usual case of an event loop: polls and sleeps, without
    /// a turn of the run loop. `false`: it is not over, and the run loop has to go on with it.
    fn wait_alone(&self, mut future: Pin<&mut dyn Future<Output = ()>>) -> bool {
        let lines = self.descriptors.platform().irq_lines();
        let mut alias = Context::from_waker(&self.waker);
        loop {
            if lines.take_only(FOUND) {
                self.descriptors.tell();
            }
            if !self.reactor.is_idle() {
                return false;
            }
            self.alias.listen();
            if future.as_mut().poll(&mut alias).is_ready() {
                return true;
            }
            // It may have looked for itself.
            if !lines.pending() && !self.sleep() {
                return false;
            }
        }
    }

    /// Sleeps unless there is something to run. Whether it did.
    fn sleep(&self) -> bool {
        let slept = self.reactor.sleep_if_idle(&|| self.alias.was_woken());
        if slept {
            self.first.switched();
            self.first.switched();
        }
        slept
    }

    fn wait_with_others(&self, future: Pin<&mut dyn Future<Output = ()>>) -> bool {
        self.reactor.block_on(Outermost {
            kernel: self,
            future,
            has_paused: false,
        })
    }

    /// Ends the program: its tasks, in their waits, and its handles. A thread is in it.
    pub(crate) fn end(&self) {
        self.first.end(0);
        self.program.cancel();
        let clock = self.reactor.clock();
        let ended = clock.timeout(PATIENCE, self.program.ended());
        if self.reactor.block_on(ended).is_err() {
            let count = self.program.task_count();
            log::warn!(
                "kernel: tasks do not end kernel={} count={count}",
                self.number
            );
        }
        for line in self.program.trace().drain() {
            logger::plain(format_args!("{line}"));
        }
    }

    /// Ends what it cannot do without, as a panic there would.
    #[cfg(feature = "test-hooks")]
    pub(crate) fn deafen(&self) {
        self.ears.iter().for_each(JoinHandle::cancel);
    }

    /// Gives up a kernel that belongs to the process that this one was forked from: closes its descriptors here, and
    /// touches nothing else. Its epoll instance is the parent's, too.
    pub(crate) fn abandon(self: Rc<Self>) {
        let own = self.descriptors.all();
        let own = own.iter().filter(|descriptor| descriptor.is_own());
        let numbers = own.map(|descriptor| Descriptor::raw(descriptor));
        let machine = self.descriptors.platform().descriptors();
        let all: Vec<RawFd> = numbers.chain(machine).collect();
        std::mem::forget(self);
        all.into_iter().for_each(crate::descriptor::close);
    }
}

/// A wait of the first task. Gives whether the future was ready before the task was cancelled.
struct Outermost<'a> {
    kernel: &'a Kernel,
    future: Pin<&'a mut dyn Future<Output = ()>>,
    has_paused: bool,
}

/// Also where the run loop ends by a panic: the next wait's wakes are not for this one.
impl Drop for Outermost<'_> {
    fn drop(&mut self) {
        self.kernel.alias.stands_for_nobody();
    }
}

impl Future for Outermost<'_> {
    type Output = bool;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<bool> {
        let kernel = self.kernel;
        let task = &kernel.first;
        if task.is_cancelled() {
            return Poll::Ready(false);
        }
        if self.has_paused {
            task.switched();
        } else {
            kernel.alias.stands_for(cx.waker()); // which stays the same
        }
        let mut alias = Context::from_waker(&kernel.waker);
        let polled = self.future.as_mut().poll(&mut alias);
        if polled.is_pending() {
            self.has_paused = true;
            task.switched();
            task.sleeps(&kernel.waker);
        }
        polled.map(|()| true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::pin::pin;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc;

    use reactor::task::yield_now;

    /// Longer than anything takes that ends.
    const DEADLINE: Duration = Duration::from_secs(20);

    /// Calls `test` within a kernel.
    fn within(test: impl FnOnce(&Kernel)) {
        let number = registry::create().unwrap();
        registry::enter(number).unwrap();
        test(&crate::thread::current().unwrap());
        registry::leave().unwrap();
        registry::destroy(number).unwrap();
    }

    #[test]
    fn another_thread_ends_a_wait_that_is_alone() {
        within(|kernel| {
            let (give, take) = mpsc::channel::<(Waker, Arc<AtomicBool>)>();
            let other = std::thread::spawn(move || {
                for (waker, done) in take {
                    done.store(true, Ordering::Release);
                    waker.wake();
                }
            });
            for _ in 0..1000 {
                let done = Arc::<AtomicBool>::default();
                let mut asked = false;
                let answer = poll_fn(|cx| {
                    if done.load(Ordering::Acquire) {
                        return Poll::Ready(());
                    }
                    if !std::mem::replace(&mut asked, true) {
                        give.send((cx.waker().clone(), Arc::clone(&done))).unwrap();
                    }
                    Poll::Pending
                });
                let answer = kernel.reactor.clock().timeout(DEADLINE, answer);
                assert!(kernel.wait(pin!(async { answer.await.expect("it was woken") })));
            }
            drop(give);
            other.join().unwrap();
        });
    }

    #[test]
    fn a_timer_of_another_task_is_heard_beside_one_that_never_sleeps() {
        within(|kernel| {
            let clock = kernel.reactor.clock();
            let end = clock.now() + DEADLINE;
            let sleep = clock.sleep(Duration::from_millis(1));
            let other = kernel.reactor.spawner().spawn(sleep);
            while !other.is_finished() {
                assert!(kernel.wait(pin!(yield_now())));
                assert!(clock.now() < end, "its timer was not fired");
            }
        });
    }
}
