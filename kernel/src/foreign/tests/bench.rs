//! A machine, a program on it, and what tests write in short.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::net::{Ipv4Addr, SocketAddr};
use core::task::{Context, Poll};
use core::time::Duration;

use abi::Error;
use abi::handle::Handle;
use abi::layout::{NetAddressV4, NetAddressV6};
use abi::number::{NET_DGRAM, NET_INET, NET_STREAM};
use calls::backend::Runner;
use calls::testing::{Buffer, Functions, Memory};
use calls::user::{Alleged, UserIn, UserOut};
use calls::{Failure, Outcome, Program, Task};
use reactor::sync::Wakers;

use crate::foreign::{Console, Hands, machine};
use crate::testing::Machine;

/// The program's address.
pub(super) const OWN: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// The address of [`Machine::peer`].
pub(super) const PEER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

pub(super) struct Bench {
    pub(super) program: Rc<Program>,
    pub(super) functions: Rc<Functions>,
    pub(super) memory: Rc<Memory>,
    pub(super) console: Rc<Screen>,
    pub(super) machine: Machine,
}

impl Bench {
    pub(super) fn new() -> Bench {
        Bench::booted("", &[])
    }

    pub(super) fn booted(command_line: &'static str, disks: &[&[u8]]) -> Bench {
        Bench::on(Machine::booted(command_line, disks))
    }

    /// The program of a machine.
    pub(super) fn on(host: Machine) -> Bench {
        let context = host.context();
        let functions = Rc::new(Functions::new(context.spawner()));
        let (memory, console) = (Rc::<Memory>::default(), Rc::<Screen>::default());
        let hands = Hands {
            console: Rc::clone(&console) as Rc<_>,
            space: Rc::clone(&memory) as Rc<_>,
            runner: Rc::clone(&functions) as Rc<dyn Runner>,
        };
        Bench {
            program: Program::new(machine(&context, hands)),
            functions,
            memory,
            console,
            machine: host,
        }
    }

    /// Starts another task of the program, in which everything is active that the policy allows.
    pub(super) fn spawn<F>(&self, body: impl FnOnce(Rc<Task>) -> F + 'static) -> Rc<Task>
    where
        F: Future<Output = Outcome> + 'static,
    {
        let all = self.program.machine().policy;
        self.functions.spawn(&self.program, all, body)
    }

    /// Runs a test as a task of the program, at most a virtual day long.
    pub(super) fn run(&self, test: impl AsyncFnOnce(&Bench, Rc<Task>)) {
        let idle = self.spawn(|_| core::future::pending());
        let clock = self.machine.context().clock();
        let day = Duration::from_secs(24 * 60 * 60);
        let done = self
            .machine
            .block_on(clock.timeout(day, test(self, Rc::clone(&idle))));
        idle.end(0);
        assert!(done.is_ok(), "the test ends within a virtual day");
    }

    /// Lets everything happen that is under way.
    pub(super) async fn settle(&self) {
        let clock = self.machine.context().clock();
        clock.sleep(Duration::from_millis(1)).await;
    }

    pub(super) fn input(&self, bytes: &[u8]) -> Data {
        Data(self.memory.bytes(bytes))
    }

    pub(super) fn room(&self, len: usize) -> Data {
        Data(self.memory.buffer(len))
    }

    pub(super) fn address(&self, ip: Ipv4Addr, port: u16) -> Address {
        let bytes = long(NetAddressV4 {
            ip4: ip.to_bits(),
            port,
            reserved: 0xffff,
        });
        Address(self.memory.bytes(&bytes), Rc::clone(&self.memory))
    }

    pub(super) fn packed(&self, ip: Ipv4Addr, port: u16) -> Address {
        let mut bytes = Vec::from(ip.octets());
        bytes.extend(port.to_be_bytes());
        Address(self.memory.bytes(&bytes), Rc::clone(&self.memory))
    }

    pub(super) fn address6(&self, address: &str) -> Address {
        let address: SocketAddr = address.parse().unwrap();
        let SocketAddr::V6(v6) = address else {
            panic!("an IPv6 address")
        };
        let mut bytes = Vec::from(v6.ip().octets());
        bytes.extend(v6.port().to_ne_bytes());
        bytes.resize(size_of::<NetAddressV6>(), 0);
        Address(self.memory.bytes(&bytes), Rc::clone(&self.memory))
    }
}

fn long(address: NetAddressV4) -> Vec<u8> {
    let mut bytes = Vec::from(address.ip4.to_ne_bytes());
    bytes.extend(address.port.to_ne_bytes());
    bytes.extend(address.reserved.to_ne_bytes());
    bytes
}

/// Some memory of the program.
pub(super) struct Data(pub(super) Buffer);

impl Data {
    pub(super) fn input(&self) -> UserIn {
        self.0.input()
    }

    pub(super) fn output(&self) -> UserOut {
        self.0.output()
    }

    pub(super) fn bytes(&self, len: usize) -> Vec<u8> {
        self.0.to_vec()[..len].into()
    }
}

/// An address in the program's memory, as the second argument.
pub(super) struct Address(Buffer, Rc<Memory>);

impl Address {
    pub(super) fn argument(&self) -> Alleged {
        let len = self.0.len() as u64;
        self.1.alleged(2, self.0.address(), len)
    }

    pub(super) fn as_argument(&self, argument: u32) -> Alleged {
        let len = self.0.len() as u64;
        self.1.alleged(argument, self.0.address(), len)
    }
}

pub(super) fn stream(task: &Task) -> Handle {
    task.net_socket(NET_INET, NET_STREAM, 0).unwrap()
}

pub(super) fn datagram(task: &Task) -> Handle {
    task.net_socket(NET_INET, NET_DGRAM, 0).unwrap()
}

/// The code and the argument of a failure.
pub(super) fn failed<T: core::fmt::Debug>(outcome: Outcome<T>) -> (Error, u32) {
    let Failure {
        error, argument, ..
    } = outcome.unwrap_err();
    (error, argument)
}

/// A console that has room for as much as a test says.
#[derive(Default)]
pub(super) struct Screen {
    pub(super) shown: RefCell<Vec<u8>>,
    pub(super) room: Cell<usize>,
    waiting: RefCell<Wakers>,
}

impl Screen {
    pub(super) fn make_room(&self, bytes: usize) {
        self.room.set(bytes);
        self.waiting.borrow_mut().wake_all();
    }

    fn wait<T>(&self, cx: &mut Context<'_>) -> Poll<T> {
        self.waiting.borrow_mut().register(cx.waker());
        Poll::Pending
    }
}

impl Console for Screen {
    fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, abi::Error>> {
        let count = bytes.len().min(self.room.get());
        if count == 0 {
            return self.wait(cx);
        }
        self.room.set(self.room.get() - count);
        self.shown.borrow_mut().extend_from_slice(&bytes[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.room.get() > 0 {
            Poll::Ready(())
        } else {
            self.wait(cx)
        }
    }

    /// It is all sent once there is room again.
    fn poll_sent(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_room(cx)
    }
}
