//! The handle by which everybody else knows the stack.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{RefCell, RefMut};
use core::future::poll_fn;
use core::net::IpAddr;
use core::task::Poll;
use reactor::Clock;

use crate::engine::Engine;
use crate::stats::Stats;
use policy::AddressPrefix;
use policy::network::{Access, Policy};

/// A network stack. Cheap to clone; names no device; all calls are for task context.
///
/// The stack works as long as its [`Runner`](crate::Runner) is polled.
///
/// ```
/// # use netstack::testing::{Conditions, Wire, random};
/// # use reactor::{Reactor, testing::VirtualClock};
/// use netstack::{Config, Ipv4Config, ListenOptions, TcpListener, TcpStream};
/// # let reactor = Reactor::new(VirtualClock::new());
/// # let clock = reactor.clock();
/// # let (_wire, device, _) = Wire::new(&clock, 1, Conditions::default());
/// # let mut config = Config::new([2, 0, 0, 0, 0, 1]);
/// # config.ipv4 = Ipv4Config::None;
/// let (stack, runner) = netstack::new(device, config, clock, random(1))?;
/// reactor.spawner().task("network").spawn(runner.run()).detach();
/// reactor.block_on(async {
///     let listener = TcpListener::bind(&stack, 7, ListenOptions::default())?;
///     let mut client = TcpStream::connect(&stack, "127.0.0.1:7".parse()?).await?;
///     client.write_all(b"hello").await?;
///     let (mut server, _) = listener.accept().await;
///     let mut buffer = [0; 5];
///     server.read(&mut buffer).await?;
///     assert_eq!(&buffer, b"hello");
///     stack.drain().await;
///     # Ok::<(), Box<dyn std::error::Error>>(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Stack {
    shared: Rc<Shared>,
}

struct Shared {
    core: Rc<Core>,
    /// With what it was restricted from; `None`: everything is allowed.
    restriction: Option<(Policy, Stack)>,
}

struct Core {
    engine: RefCell<Engine>,
    clock: Clock,
}

impl Stack {
    pub(crate) fn new(engine: Engine, clock: Clock) -> Stack {
        let core = Rc::new(Core {
            engine: RefCell::new(engine),
            clock,
        });
        Stack {
            shared: Rc::new(Shared {
                core,
                restriction: None,
            }),
        }
    }

    /// The same stack for somebody who may only do what `policy` allows, and what this handle may do itself. Ports,
    /// connections and sockets made with it are theirs to use and to pass on.
    ///
    /// ```
    /// # use netstack::testing::{Conditions, Wire, random};
    /// # use reactor::{Reactor, testing::VirtualClock};
    /// use netstack::{BindError, Config, Policy, UdpSocket};
    /// # let reactor = Reactor::new(VirtualClock::new());
    /// # let clock = reactor.clock();
    /// # let (_wire, device, _) = Wire::new(&clock, 1, Conditions::default());
    /// # let config = Config::new([2, 0, 0, 0, 0, 1]);
    /// # let (stack, _runner) = netstack::new(device, config, clock, random(1)).unwrap();
    /// let nothing = stack.restricted(Policy::default());
    /// assert_eq!(UdpSocket::bind(&nothing, 53).err(), Some(BindError::Forbidden));
    /// assert!(UdpSocket::bind(&stack, 53).is_ok());
    /// ```
    #[must_use]
    pub fn restricted(&self, policy: Policy) -> Stack {
        Stack {
            shared: Rc::new(Shared {
                core: Rc::clone(&self.shared.core),
                restriction: Some((policy, self.clone())),
            }),
        }
    }

    /// Whether the holder of this handle may do something.
    pub fn allows(&self, access: Access) -> bool {
        let mut stack = self;
        while let Some((policy, wider)) = &stack.shared.restriction {
            if !policy.allows(access) {
                return false;
            }
            stack = wider;
        }
        true
    }

    /// The handle that everything is allowed to, for what the stack itself does.
    pub(crate) fn unrestricted(&self) -> &Stack {
        let mut stack = self;
        while let Some((_, wider)) = &stack.shared.restriction {
            stack = wider;
        }
        stack
    }

    /// Borrowed for single calls only, never across an await; wakers queue tasks and run nothing,
    /// so no call can begin within another.
    pub(crate) fn engine(&self) -> RefMut<'_, Engine> {
        self.shared.core.engine.borrow_mut()
    }

    /// As [`engine`](Self::engine), for calls to which the time matters: between turns the engine
    /// knows the time of the last one.
    pub(crate) fn engine_now(&self) -> RefMut<'_, Engine> {
        let mut engine = self.engine();
        engine.link.now = self.shared.core.clock.now();
        engine
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.shared.core.clock
    }

    /// Waits until there is an address to be reached at: an IPv4 one where IPv4 is configured,
    /// else an IPv6 one beyond the link. Returns at once where there is; never, where nothing is
    /// configured or nobody answers (use `Clock::timeout`).
    pub async fn wait_config_up(&self) {
        poll_fn(|cx| {
            let mut engine = self.engine();
            if engine.is_configured() {
                return Poll::Ready(());
            }
            engine.configured.register(cx.waker());
            Poll::Pending
        })
        .await;
    }

    /// Waits until everything that was written is acknowledged or given up: on every connection,
    /// whether its stream is still held or was dropped, and in every UDP socket. For the end of a
    /// program, since a machine that stops sends nothing more; give it a `Clock::timeout`, as a
    /// peer may take its time.
    pub async fn drain(&self) {
        poll_fn(|cx| {
            let mut engine = self.engine();
            if engine.is_drained() {
                return Poll::Ready(());
            }
            engine.draining.register(cx.waker());
            Poll::Pending
        })
        .await;
    }

    /// Our addresses now, without the loopback ones.
    pub fn addresses(&self) -> Vec<AddressPrefix> {
        self.engine().link.routes.addresses().to_vec()
    }

    /// The next hops for what is not on the link.
    pub fn gateways(&self) -> Vec<IpAddr> {
        let engine = self.engine();
        let routes = &engine.link.routes;
        let v4 = routes.gateway_v4().map(IpAddr::V4);
        let v6 = routes.gateway_v6().map(IpAddr::V6);
        v4.into_iter().chain(v6).collect()
    }

    /// The DNS servers known now, in the order they are asked.
    pub fn dns_servers(&self) -> Vec<IpAddr> {
        self.engine().dns_servers()
    }

    /// What happened so far.
    pub fn stats(&self) -> Stats {
        let mut engine = self.engine();
        let engine = &mut *engine;
        engine.tcp.count(&mut engine.link.stats);
        engine.link.stats
    }
}
