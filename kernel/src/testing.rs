//! A machine for tests of workloads on the host: virtual time, no devices but a network and disks in memory, and at
//! the other end of the wire a peer to talk to the workload from.
//!
//! Time moves only when everything waits, so a test of an hour takes no time, and a hang fails as
//! "nothing can wake". Needs the feature `testing`, which needs std; not part of a kernel.
//!
//! ```
//! use ukernel::net::{ListenOptions, TcpListener, TcpStream};
//! use ukernel::testing::Machine;
//!
//! let machine = Machine::new();
//! let ctx = machine.context();
//! let done: ukernel::Result = machine.block_on(async {
//!     let listener = TcpListener::bind(ctx.network()?, 80, ListenOptions::default())?;
//!     let client = TcpStream::connect(machine.peer(), machine.address(80)).await?;
//!     let (server, peer) = listener.accept().await;
//!     assert_eq!(client.local_addr(), peer);
//!     Ok(())
//! });
//! assert!(done.is_ok());
//! ```

use alloc::rc::Rc;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::net::{Ipv4Addr, SocketAddr};

use drivers::block::{self, Disk, DiskConfig};
use drivers::testing::FakeBlock;
use drivers::virtio::Features;
use netstack::testing::{Conditions, Wire, WireEnd, random};
use netstack::{Config, Ipv4Config, Stack, StaticIpv4};
use reactor::Reactor;
use reactor::platform::Platform;
use reactor::testing::VirtualClock;

use crate::Context;
use crate::bundle::load::{self, Places};
use crate::bundle::{Bundle, Demand, LoadError};
use crate::command_line::CommandLine;
use crate::context::Parts;
use crate::random::Random;
use crate::shutdown::Shutdown;
use crate::stats::{Gauges, MachineStats, MemoryStats, SerialStats};
use crate::tracing::Tracing;

/// The workload's address.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// The peer's address.
const PEER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
/// What a context says that the machine has.
const MEMORY: MemoryStats = MemoryStats {
    ram_bytes: 64 << 20,
    heap_used_bytes: 1 << 20,
    heap_free_bytes: 63 << 20,
    allocations: 1000,
};

/// A machine, and a peer beside it.
pub struct Machine {
    reactor: Reactor,
    context: Context,
    peer: Stack,
    shutdown: Shutdown,
}

impl Machine {
    /// A machine without arguments.
    pub fn new() -> Self {
        Self::with_arguments(&[])
    }

    /// A machine whose kernel was given arguments for its workload.
    pub fn with_arguments(arguments: &[&'static str]) -> Self {
        let mut command_line = CommandLine::default();
        command_line.arguments = arguments.into();
        Self::start(command_line, Vec::new())
    }

    /// A machine whose kernel was given this command line, with disks that have these contents, in whole sectors. Of
    /// the command line counts what is for the workload: what it is allowed, its variables and arguments.
    ///
    /// ```
    /// use ukernel::testing::Machine;
    /// let machine = Machine::booted("allow=io:disk:0:ro env=MODE=fast -- now", &[&[7; 512]]);
    /// let ctx = machine.context();
    /// assert_eq!((ctx.variable("MODE"), ctx.args()), (Some("fast"), &["now"][..]));
    /// assert!(ctx.network().is_err_and(|error| error.is_forbidden()));
    /// let disk = ctx.disk(0).unwrap();
    /// assert!(disk.read_only());
    /// assert_eq!(machine.block_on(disk.read(0, 2)).unwrap(), [7, 7]);
    /// ```
    ///
    /// # Panics
    /// Where the kernel would warn about a word, and where a disk is no disk.
    pub fn booted(command_line: &'static str, disks: &[&[u8]]) -> Self {
        let command_line = CommandLine::parse(command_line);
        let warnings = command_line.warnings();
        assert!(warnings.is_empty(), "the kernel would ignore {warnings:?}");
        Self::start(
            command_line,
            disks.iter().map(|disk| disk.to_vec()).collect(),
        )
    }

    /// The same for a workload that asks for its bundle, which it finds on the first of the disks or in a boot module.
    ///
    /// # Errors
    /// Why the machine would end before the workload begins.
    ///
    /// # Panics
    /// As [`booted`](Self::booted), about words of the bundle, too.
    pub fn bundled(
        command_line: &'static str,
        disks: &[&[u8]],
        modules: &[&'static [u8]],
    ) -> Result<Self, LoadError> {
        let disks = disks.iter().map(|disk| disk.to_vec()).collect();
        let (base, modules) = (Base::new(disks), Vec::from(modules).leak());
        let (mut line, demand) = CommandLine::parse_with_bundle(command_line);
        let demand = Demand::parse(demand)?;
        let room = MEMORY.heap_free_bytes / 2;
        let places = Places {
            embedded: None,
            disks: &base.disks,
            modules,
            room,
        };
        let bundle = base.reactor.block_on(load::load(&places, demand))?;
        if let Some(bundle) = bundle {
            let said = bundle.command_line();
            let warnings = said.warnings();
            assert!(warnings.is_empty(), "the kernel would ignore {warnings:?}");
            line = said.overridden_by(command_line);
        }
        let warnings = line.warnings();
        assert!(warnings.is_empty(), "the kernel would ignore {warnings:?}");
        Ok(Self::with(base, line, bundle, modules))
    }

    fn start(command_line: CommandLine<'static>, disks: Vec<Vec<u8>>) -> Self {
        Self::with(Base::new(disks), command_line, None, &[])
    }

    fn with(
        base: Base,
        command_line: CommandLine<'static>,
        bundle: Option<&'static Bundle>,
        modules: &'static [&'static [u8]],
    ) -> Self {
        let Base { reactor, disks } = base;
        let (_, near, far) = Wire::new(&reactor.clock(), 1, Conditions::default());
        let shutdown = Shutdown::new();
        let context = Context::new(Parts {
            networks: [stack(&reactor, near, ADDRESS)].into(),
            disks: load::number(disks, bundle),
            bundle,
            clock: reactor.clock(),
            spawner: reactor.spawner(),
            policy: command_line.policy,
            arguments: command_line.arguments,
            variables: command_line.variables,
            modules,
            random: Random::from_seed([1; 32]),
            shutdown: shutdown.clone(),
            tracing: Tracing::new(command_line.trace),
            gauges: Gauges {
                wall_clock: || None,
                memory: || MEMORY,
                machine: MachineStats::default,
                log_lines_dropped: || 0,
                serial: SerialStats::default,
            },
        });
        let peer = stack(&reactor, far, PEER);
        Machine {
            reactor,
            context,
            peer,
            shutdown,
        }
    }

    /// What `main` is handed.
    pub fn context(&self) -> Context {
        self.context.clone()
    }

    /// The network stack of the peer.
    pub fn peer(&self) -> &Stack {
        &self.peer
    }

    /// Where the peer reaches a port of the workload.
    pub fn address(&self, port: u16) -> SocketAddr {
        SocketAddr::new(ADDRESS.into(), port)
    }

    /// Asks the workload to stop, as Ctrl-Alt-Del does.
    pub fn request_shutdown(&self) {
        self.shutdown.request();
    }

    /// Runs a future, and everything that is spawned meanwhile, until it is done.
    ///
    /// # Panics
    /// When nothing can wake the future any more.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.reactor.block_on(future)
    }
}

impl Default for Machine {
    fn default() -> Self {
        Self::new()
    }
}

/// What of a machine is there before its bundle is looked for.
struct Base {
    reactor: Reactor,
    disks: Vec<Disk>,
}

impl Base {
    fn new(disks: Vec<Vec<u8>>) -> Base {
        let clock = VirtualClock::new();
        let reactor = Reactor::new(clock.clone());
        let disks = (0..).zip(disks);
        let disks = disks.map(|(line, contents)| disk(&reactor, &clock, line, contents));
        let disks = disks.collect();
        Base { reactor, disks }
    }
}

/// A disk whose device serves at once.
fn disk(reactor: &Reactor, clock: &Arc<VirtualClock>, line: u8, contents: Vec<u8>) -> Disk {
    let platform: Arc<dyn Platform> = clock.clone();
    let device = FakeBlock::new(platform, line, Features::VERSION_1, contents);
    let (transport, irq) = (device.bus().transport(), reactor.irq_event(line));
    let (disk, runner) = block::new(transport, irq, reactor.clock(), DiskConfig::default())
        .expect("a fake disk starts");
    let spawner = reactor.spawner();
    spawner.task("disk").spawn(runner.run());
    let device = Rc::new(RefCell::new(device));
    spawner
        .task("disk device")
        .spawn(FakeBlock::serve_all(device));
    disk
}

fn stack(reactor: &Reactor, device: WireEnd, address: Ipv4Addr) -> Stack {
    let mut config = Config::new([2, 0, 0, 0, 0, address.octets()[3]]);
    config.ipv4 = Ipv4Config::Static(StaticIpv4 {
        address,
        prefix: 24,
        gateway: None,
        dns: Vec::new(),
    });
    let random = random(address.to_bits().into());
    let (stack, runner) = netstack::new(device, config, reactor.clock(), random)
        .expect("the addresses above are a host's");
    reactor.spawner().task("net").spawn(runner.run());
    stack
}
