//! What a workload's `main` is handed: the machine's devices, clock, tasks and arguments, as values.
//!
//! Built once by `runtime`. There are no globals beside it: a function that is not given the
//! context, or something out of it, cannot reach the machine.

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use drivers::block::Disk;
use netstack::Stack;
use reactor::task::{JoinHandle, TaskBuilder};
use reactor::{Clock, Spawner};
use trace::Trace;

use crate::bundle::Bundle;
use crate::policy::{DiskAccess, NetworkAccess, Policy};
use crate::random::Random;
use crate::shutdown::Shutdown;
use crate::stats::{Gauges, Stats};
use crate::tracing::Tracing;

/// The machine, as the workload sees it. Cheap to clone; used from tasks; not `Send`. Dropping it
/// stops nothing.
///
/// ```no_run
/// # extern crate alloc;
/// use ukernel::{Context, Result};
///
/// # fn main() {} // there is none on bare metal
/// #[ukernel::main]
/// async fn work(ctx: Context) -> Result {
///     let disk = ctx.disk(0)?;
///     log::info!("demo: disk bytes={} arguments={:?}", disk.len_bytes(), ctx.args());
///     ctx.shutdown().await;
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct Context(Rc<Parts>);

/// What a context hands out; filled in by `runtime`.
pub struct Parts {
    /// The network stacks, in the order of their devices.
    pub networks: Vec<Stack>,
    /// The disks, in the order of their devices; `None`: one that the policy does not allow.
    pub disks: Vec<Option<Disk>>,
    /// The bundle of a workload that asks for one, if there is one.
    pub bundle: Option<&'static Bundle>,
    /// The reactor's clock.
    pub clock: Clock,
    /// The reactor's tasks.
    pub spawner: Spawner,
    /// What the workload may do. Networks and disks that are handed out can do no more.
    pub policy: Policy,
    /// The workload's arguments.
    pub arguments: Vec<&'static str>,
    /// The workload's variables and their values.
    pub variables: Vec<(&'static str, &'static str)>,
    /// The boot modules.
    pub modules: &'static [&'static [u8]],
    /// The random source.
    pub random: Random,
    /// The request to stop.
    pub shutdown: Shutdown,
    /// The trace, once the workload has one.
    pub tracing: Tracing,
    /// The gauges that the machine itself keeps.
    pub gauges: Gauges,
}

/// There is no device of that number, or the policy does not allow it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct NoDevice {
    kind: &'static str,
    number: usize,
    /// How many the machine has; `None`: it does not matter, the policy forbids this one.
    count: Option<usize>,
}

impl NoDevice {
    /// Whether it is the policy (`allow=`) that forbids it.
    pub fn is_forbidden(&self) -> bool {
        self.count.is_none()
    }
}

impl fmt::Display for NoDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NoDevice {
            kind,
            number,
            count,
        } = self;
        match count {
            Some(count) => write!(f, "there is no {kind} {number}: the machine has {count}"),
            None => write!(f, "the policy does not allow {kind} {number}"),
        }
    }
}

/// As [`Display`](fmt::Display): a list of fields would bring a kilobyte of formatting into images that have no
/// other use for it.
impl fmt::Debug for NoDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl core::error::Error for NoDevice {}

/// There is no volume of that name, or the policy does not allow its disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoVolume {
    name: String,
    forbidden: bool,
}

impl NoVolume {
    /// Whether it is the policy (`allow=`) that forbids it.
    pub fn is_forbidden(&self) -> bool {
        self.forbidden
    }
}

impl fmt::Display for NoVolume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NoVolume { name, forbidden } = self;
        if *forbidden {
            write!(f, "the policy does not allow the disk of the volume {name}")
        } else {
            write!(f, "the bundle names no volume {name}")
        }
    }
}

impl core::error::Error for NoVolume {}

impl Context {
    /// Puts a context together, and takes from it what the policy does not allow. A workload is given one; this is for
    /// `runtime` and for tests.
    pub fn new(mut parts: Parts) -> Self {
        match parts.policy.network() {
            NetworkAccess::All => {}
            NetworkAccess::None => parts.networks.clear(),
            NetworkAccess::Some(rules) => {
                for stack in &mut parts.networks {
                    *stack = stack.restricted(rules.clone());
                }
            }
        }
        for (number, slot) in parts.disks.iter_mut().enumerate() {
            *slot = slot
                .take()
                .and_then(|disk| match parts.policy.disk(number) {
                    DiskAccess::None => None,
                    DiskAccess::ReadOnly => Some(disk.read_only_view()),
                    DiskAccess::ReadWrite => Some(disk),
                });
        }
        Context(Rc::new(parts))
    }

    /// What the workload may do.
    pub fn policy(&self) -> &Policy {
        &self.0.policy
    }

    /// The first network. It may still be without an address: binding works at once, and
    /// `wait_config_up` waits for one.
    ///
    /// # Errors
    /// The machine has no network interface, or none that is used, or the policy allows nothing there.
    pub fn network(&self) -> Result<&Stack, NoDevice> {
        let forbidden = self.0.policy.network() == NetworkAccess::None;
        let missing = NoDevice {
            kind: "network",
            number: 0,
            count: (!forbidden).then_some(0),
        };
        self.0.networks.first().ok_or(missing)
    }

    /// All networks, in the order of their devices; those that `net=off` names are left out.
    pub fn networks(&self) -> &[Stack] {
        &self.0.networks
    }

    /// Disk `number`, counted from 0 in the order of their devices.
    ///
    /// # Errors
    /// The machine has no such disk, or the policy does not allow it.
    pub fn disk(&self, number: usize) -> Result<Disk, NoDevice> {
        let disks = &self.0.disks;
        let missing = |count| NoDevice {
            kind: "disk",
            number,
            count,
        };
        let disk = disks.get(number).ok_or(missing(Some(disks.len())))?;
        disk.clone().ok_or(missing(None))
    }

    /// All disks that the policy allows, in the order of their devices.
    pub fn disks(&self) -> impl Iterator<Item = &Disk> {
        self.0.disks.iter().flatten()
    }

    /// The files and settings that were packed beside the workload, if it asks for them with `#[ukernel::main(bundle)]`
    /// and there are some.
    pub fn bundle(&self) -> Option<&'static Bundle> {
        self.0.bundle
    }

    /// The disk that the bundle calls `name`; one that may only be read, where the bundle says so.
    ///
    /// # Errors
    /// The bundle names no such volume, or the policy does not allow its disk.
    ///
    /// ```
    /// use ukernel::{Context, Result};
    /// async fn first_byte(ctx: &Context) -> Result<u8> {
    ///     Ok(ctx.volume("data")?.read(0, 1).await?[0])
    /// }
    /// # let machine = ukernel::testing::Machine::new();
    /// # assert!(machine.block_on(first_byte(&machine.context())).is_err());
    /// ```
    pub fn volume(&self, name: &str) -> Result<Disk, NoVolume> {
        let volume = self.0.bundle.and_then(|bundle| bundle.volume(name));
        let missing = |forbidden| NoVolume {
            name: name.into(),
            forbidden,
        };
        let (number, volume) = volume.ok_or_else(|| missing(false))?;
        let disk = self.disk(number).map_err(|_| missing(true))?;
        Ok(if volume.read_only {
            disk.read_only_view()
        } else {
            disk
        })
    }

    /// Time since boot, and everything that waits for it.
    pub fn clock(&self) -> Clock {
        self.0.clock.clone()
    }

    /// Spawns tasks; can be kept without the rest of the context.
    pub fn spawner(&self) -> Spawner {
        self.0.spawner.clone()
    }

    /// Spawns a task of normal priority. Dropping the handle leaves the task running.
    pub fn spawn<F: Future + 'static>(&self, future: F) -> JoinHandle<F::Output> {
        self.0.spawner.spawn(future)
    }

    /// Begins a task with a name, which logs and statistics show.
    pub fn task(&self, name: &'static str) -> TaskBuilder<'_> {
        self.0.spawner.task(name)
    }

    /// The request to stop (Ctrl-Alt-Del), which can be awaited. Returning from `main` is then the
    /// workload's answer; nothing stops by itself.
    pub fn shutdown(&self) -> Shutdown {
        self.0.shutdown.clone()
    }

    /// The words behind ` -- ` on the kernel's command line.
    pub fn args(&self) -> &[&'static str] {
        &self.0.arguments
    }

    /// The value of a variable, which `env=NAME=VALUE` on the kernel's command line has set.
    pub fn variable(&self, name: &str) -> Option<&'static str> {
        let mut variables = self.0.variables.iter();
        variables.find(|known| known.0 == name).map(|known| known.1)
    }

    /// The boot modules (what QEMU and Firecracker call the initrd), where the loader put them.
    pub fn modules(&self) -> &'static [&'static [u8]] {
        self.0.modules
    }

    /// The cryptographic random source.
    pub fn random(&self) -> Random {
        self.0.random.clone()
    }

    /// The time since 1 January 1970, UTC, where the hypervisor tells it. It may jump; spans are
    /// measured with [`clock`](Self::clock).
    pub fn wall_clock(&self) -> Option<Duration> {
        (self.0.gauges.wall_clock)()
    }

    /// The trace: spans and events of tasks, the same for everybody in the machine, and for a program in C. It is off
    /// unless `trace=on` stands on the kernel's command line, or somebody [enables](Trace::enable) it.
    ///
    /// ```
    /// use ukernel::{Context, Result};
    /// async fn answer(ctx: &Context) -> Result {
    ///     let trace = ctx.trace();
    ///     trace.enable()?;
    ///     let request = trace.span("request");
    ///     request.attribute("path=/");
    ///     {
    ///         let _query = request.span("query"); // within it, until the end of the block
    ///         ctx.clock().sleep(core::time::Duration::from_millis(1)).await;
    ///     }
    ///     request.event("found", "rows=3");
    ///     Ok(())
    /// }
    /// # let machine = ukernel::testing::Machine::new();
    /// # machine.block_on(answer(&machine.context())).unwrap();
    /// # let lines: Vec<String> = machine.context().trace().drain().map(|line| line.to_string()).collect();
    /// # assert!(lines.contains(&"#trace s 0 f4240 3 3 3 1 query".to_string()), "{lines:?}");
    /// ```
    ///
    /// What is recorded goes out on the serial line when the machine ends, however it does, and when the line `#trace`
    /// comes in there: `ukernel trace` makes a file for a trace viewer of that log. From the first call on the machine
    /// listens for such lines, until the workload itself [reads](crate::arch::serial::receive) the port's input.
    pub fn trace(&self) -> Trace {
        self.0.tracing.trace(&self.0.spawner, &self.0.clock)
    }

    /// What the kernel has counted up to now. Copies some hundred numbers.
    pub fn stats(&self) -> Stats {
        let Parts {
            networks,
            disks,
            spawner,
            clock,
            gauges,
            ..
        } = &*self.0;
        Stats {
            uptime: clock.now().duration_since(reactor::time::Instant::ZERO),
            reactor: spawner.stats(),
            memory: (gauges.memory)(),
            machine: (gauges.machine)(),
            log_lines_dropped: (gauges.log_lines_dropped)(),
            serial: (gauges.serial)(),
            networks: networks.iter().map(Stack::stats).collect(),
            disks: disks.iter().flatten().map(Disk::stats).collect(),
        }
    }
}

#[cfg(test)]
mod tests;
