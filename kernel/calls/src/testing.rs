//! A machine on the host for tests of calls: virtual time, tasks that are futures, memory that tells who may touch it.
//!
//! Owns [`Host`], which puts a [`Program`] onto a reactor of its own. Uses std; not part of the kernel. Networks
//! and disks are for those to add who test them: [`Host::with`].
//!
//! ```
//! use calls::{Outcome, testing::Host};
//! let host = Host::new();
//! let outcome: Outcome = host.run(async |task| {
//!     let child = host.spawn(async |child| child.task_sleep(9_000_000_000).await);
//!     task.task_sleep(5_000_000_000).await?;
//!     assert_eq!(task.time_now()?, 5_000_000_000); // virtual: took no time
//!     child.cancel();
//!     task.task_yield().await
//! });
//! assert_eq!(outcome, Ok(()));
//! ```

mod door;
mod drawer;
mod exercise;
mod loopback;
mod memory;
mod runner;
mod settings;

use alloc::rc::Rc;
use core::fmt;
use std::sync::Arc;

use abi::capability::Kinds;
use reactor::Reactor;
use reactor::testing::VirtualClock;
use trace::Trace;

use crate::backend::{File, Start, Storage};
use crate::failure::Outcome;
use crate::program::{DEFAULT_STACK, Machine, Program};
use crate::task::Task;

pub use door::{Current, be_a_task};
pub use drawer::Drawer;
pub use exercise::{MAX_CALLS, exercise};
pub use loopback::{Loopback, Told};
pub use memory::{Buffer, Memory};
pub use runner::Functions;
pub use settings::Settings;

/// A program on a machine of its own.
pub struct Host {
    /// The program. First, so that it goes before what it runs on.
    pub program: Rc<Program>,
    /// What C functions are in a program: futures under numbers.
    pub functions: Rc<Functions>,
    /// The program's memory.
    pub memory: Rc<Memory>,
    /// Arguments, variables and the like.
    pub settings: Rc<Settings>,
    /// The time.
    pub clock: Arc<VirtualClock>,
    /// What runs everything.
    pub reactor: Reactor,
}

impl Default for Host {
    fn default() -> Host {
        Host::new()
    }
}

impl Host {
    /// A machine without network and disks, and with every capability in its policy.
    pub fn new() -> Host {
        Host::with(|_| {})
    }

    /// The same, changed.
    pub fn with(change: impl FnOnce(&mut Machine)) -> Host {
        let clock = VirtualClock::new();
        let reactor = Reactor::new(clock.clone());
        let functions = Rc::new(Functions::new(reactor.spawner()));
        let (memory, settings) = (Rc::<Memory>::default(), Rc::<Settings>::default());
        let mut machine = Machine {
            clock: reactor.clock(),
            spawner: reactor.spawner(),
            policy: Kinds::ALL,
            network: None,
            storage: Rc::new(Nothing),
            environment: Rc::clone(&settings) as Rc<_>,
            space: Rc::clone(&memory) as Rc<_>,
            runner: Rc::clone(&functions) as Rc<_>,
            trace: Trace::new(&reactor.spawner(), &reactor.clock()),
        };
        change(&mut machine);
        Host {
            program: Program::new(machine),
            functions,
            memory,
            settings,
            clock,
            reactor,
        }
    }

    /// Starts a task in which every capability is active. It ends with status 0, or, after a failure, with the
    /// failure's code. Runs once somebody waits in [`Host::run`].
    pub fn spawn<F>(&self, body: impl FnOnce(Rc<Task>) -> F + 'static) -> Rc<Task>
    where
        F: Future<Output = Outcome> + 'static,
    {
        self.spawn_with(Kinds::ALL, body)
    }

    /// The same with these capabilities active, and no others to be had.
    pub fn spawn_with<F>(
        &self,
        kinds: Kinds,
        body: impl FnOnce(Rc<Task>) -> F + 'static,
    ) -> Rc<Task>
    where
        F: Future<Output = Outcome> + 'static,
    {
        self.functions.spawn(&self.program, kinds, body)
    }

    /// The start of a task that does nothing.
    pub fn program_start(&self) -> Start {
        Start {
            entry: self.functions.add(async |_, _| 0),
            argument: 0,
            stack: DEFAULT_STACK,
        }
    }

    /// Runs everything until `body` is over, which is a task with every capability.
    ///
    /// # Panics
    /// With any panic of a task, and where everything waits and nothing can wake it.
    pub fn run<R: 'static>(&self, body: impl AsyncFnOnce(Rc<Task>) -> R) -> R {
        // The body may borrow what a spawned task may not: so this task's waits are the reactor's main task's.
        let idle = self.spawn(|_| core::future::pending());
        let output = self.reactor.block_on(body(Rc::clone(&idle)));
        idle.end(0);
        output
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host")
            .field("program", &self.program)
            .finish_non_exhaustive()
    }
}

/// A machine with nothing to open.
struct Nothing;

impl Storage for Nothing {
    fn open(&self, _: &str, _: bool, _: bool) -> Result<Rc<dyn File>, abi::Error> {
        Err(abi::Error::NoEntry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Failure;
    use crate::user::AddressSpace;
    use abi::Error;
    use abi::number::TASK_CANCELLED;

    #[test]
    fn a_task_ends_by_itself_by_failure_or_by_cancellation() {
        let host = Host::new();
        let done = host.spawn(async |_| Ok(()));
        let failed = host.spawn(async |_| Err(Failure::from(Error::Busy)));
        let asleep = host.spawn(async |task| task.task_sleep(u64::MAX - 1).await);
        host.run(async |task| {
            task.task_yield().await.unwrap();
            assert_eq!(
                (done.status(), failed.status(), asleep.status()),
                (Some(0), Some(4), None)
            );
            asleep.cancel();
            task.task_yield().await.unwrap();
            assert_eq!(asleep.status(), Some(TASK_CANCELLED));
        });
    }

    #[test]
    fn memory_is_its_buffers() {
        let host = Host::new();
        let (buffer, fixed) = (host.memory.buffer(8), host.memory.read_only(b"fixed"));
        let (start, fixed_at) = (buffer.address() as usize, fixed.address() as usize);
        for (address, len, write, allowed) in [
            (start, 8, true, true),
            (start + 7, 1, true, true),
            (start, 9, false, false),
            (start + 8, 1, false, false),
            (start - 1, 2, false, false),
            (fixed_at, 5, false, true),
            (fixed_at, 5, true, false),
        ] {
            assert_eq!(host.memory.allows(address, len, write), allowed);
        }
        buffer.place().put(77_u64);
        assert_eq!(buffer.values::<u64>(), [77]);
        drop(buffer);
        assert!(!host.memory.allows(start, 1, false));
    }
}
