//! Addresses as C programs hand them over and get them back; what does not fit loses nothing.
#![allow(clippy::unwrap_used, reason = "tests; their helpers are tests too")]
#![allow(
    unsafe_code,
    clippy::undocumented_unsafe_blocks,
    reason = "calls functions as a C program does; one note holds for all calls"
)]

use std::rc::Rc;
use std::time::Duration;

use abi::capability::{Kind, Kinds};
use abi::layout::{ErrorInfo, NetAddressV4, NetAddressV6};
use abi::number::{
    NET_DGRAM, NET_INET, NET_INET6, NET_NONBLOCK, NET_OPT_KEEPALIVE_NS, NET_OPT_NODELAY,
    NET_OPT_NONBLOCK, NET_OPT_TIMEOUT_NS, NET_STREAM,
};
use abi::{Error, OK};
use calls::entry::net::*;
use calls::testing::{Buffer, Current, Host, Loopback, Told, be_a_task};
use calls::user::Plain;
use reactor::sync::Event;

const LOCALHOST: u32 = 0x7f00_0001;

/// A program on a machine of sockets, which this thread is a task of.
struct Program {
    host: Rc<Host>,
    task: Current,
}

impl Program {
    fn new() -> Program {
        let host = Rc::new(Host::with(|machine| {
            machine.network = Some(Rc::new(Loopback::default()));
        }));
        let task = be_a_task(&host, Kinds::ALL);
        let net = task.0.cap_acquire(Kind::Net as u32).unwrap();
        let list = host.memory.numbers(&[net.to_bits()]);
        task.0.cap_enter(&list.list()).unwrap();
        Program { host, task }
    }

    fn value<T: Plain>(&self, value: T) -> Buffer {
        let buffer = self.host.memory.buffer(size_of::<T>());
        buffer.place().put(value);
        buffer
    }

    fn socket(&self, domain: u32, kind: u32) -> u64 {
        let place = self.value(0_u64);
        // SAFETY of all calls here: the buffers outlive them.
        let code = unsafe { net_socket(domain, kind, 0, place.address()) };
        assert_eq!(code, OK);
        place.values::<u64>()[0]
    }

    fn bind(&self, socket: u64, address: &Buffer) -> u32 {
        unsafe { net_bind(socket, address.address(), address.len() as u32) }
    }

    fn connect(&self, socket: u64, address: &Buffer) -> u32 {
        unsafe { net_connect(socket, address.address(), address.len() as u32) }
    }

    /// A listener at a port of every address of a family.
    fn listener(&self, domain: u32, port: u16) -> u64 {
        let socket = self.socket(domain, NET_STREAM);
        let address = if domain == NET_INET {
            self.value(ipv4(0, port))
        } else {
            self.value(ipv6([0; 16], port))
        };
        assert_eq!(self.bind(socket, &address), OK);
        assert_eq!(unsafe { net_listen(socket, 0) }, OK);
        socket
    }

    /// Code, argument and its value of the last failure.
    fn failure(&self) -> (u32, u32, u64) {
        let ErrorInfo {
            code, detail, arg0, ..
        } = self.task.0.last_error();
        (code, detail, arg0)
    }
}

fn ipv4(ip4: u32, port: u16) -> NetAddressV4 {
    NetAddressV4 {
        ip4,
        port,
        reserved: 0xdead,
    }
}

fn ipv6(ip: [u8; 16], port: u16) -> NetAddressV6 {
    NetAddressV6 {
        ip,
        port,
        reserved: 0xdead,
        scope: 0,
    }
}

fn mapped(last: [u8; 4]) -> [u8; 16] {
    std::net::Ipv4Addr::from(last).to_ipv6_mapped().octets()
}

const INVALID: u32 = Error::Invalid.code();

#[test]
fn an_address_has_three_forms() {
    let program = Program::new();
    let packed = program.host.memory.bytes(&[127, 0, 0, 1, 0x1f, 0x90]);
    let long = program.value(ipv4(LOCALHOST, 8081));
    let room = program.host.memory.buffer(8);
    for (address, port) in [(&packed, 8080), (&long, 8081)] {
        let socket = program.socket(NET_INET, NET_STREAM);
        assert_eq!(program.bind(socket, address), OK);
        let len = program.value(8_u32);
        let code = unsafe { net_local_address(socket, room.address(), len.address()) };
        assert_eq!((code, len.values::<u32>()[0]), (OK, 8));
        let expected = NetAddressV4 {
            reserved: 0,
            ..ipv4(LOCALHOST, port)
        };
        assert_eq!(room.values::<NetAddressV4>(), [expected]);
    }
    let socket = program.socket(NET_INET6, NET_STREAM);
    assert_eq!(
        program.bind(socket, &program.value(ipv6(mapped([127, 0, 0, 1]), 8082))),
        OK
    );
    let (room, len) = (program.host.memory.buffer(30), program.value(30_u32));
    let code = unsafe { net_local_address(socket, room.address(), len.address()) };
    assert_eq!((code, len.values::<u32>()[0]), (OK, 24));
    let bytes = room.to_vec();
    assert_eq!(bytes[..16], mapped([127, 0, 0, 1]));
    assert_eq!(
        bytes[16..],
        [&8082_u16.to_ne_bytes()[..], &[0; 12]].concat()
    );
}

#[test]
fn what_is_no_address_of_the_family() {
    let program = Program::new();
    let scoped = NetAddressV6 {
        scope: 1,
        ..ipv6([0; 16], 80)
    };
    let (short, long, scoped) = (
        program.value(ipv4(0, 80)),
        program.value(ipv6([0; 16], 80)),
        program.value(scoped),
    );
    for (domain, address, argument) in [
        (NET_INET, &long, 3),
        (NET_INET6, &short, 3),
        (NET_INET6, &scoped, 2),
    ] {
        let socket = program.socket(domain, NET_STREAM);
        assert_eq!(program.bind(socket, address), INVALID);
        assert_eq!(program.failure().1, argument);
    }
    let socket = program.socket(NET_INET, NET_STREAM);
    for len in [0, 1, 5, 7, 9, 16, 23, 25, u32::MAX] {
        let code = unsafe { net_bind(socket, long.address(), len) };
        assert_eq!(
            (code, program.failure()),
            (INVALID, (INVALID, 3, len.into()))
        );
    }
    let code = unsafe { net_bind(socket, 0, 8) };
    assert_eq!((code, program.failure()), (INVALID, (INVALID, 2, 0)));
    let end = short.address() + 1;
    let code = unsafe { net_bind(socket, end, 8) };
    assert_eq!((code, program.failure()), (INVALID, (INVALID, 2, end)));
}

#[test]
fn accepting_takes_nothing_that_finds_no_room() {
    let program = Program::new();
    for (domain, needed) in [(NET_INET, 8), (NET_INET6, 24)] {
        let listener = program.listener(domain, 80 + domain as u16);
        let client = program.socket(NET_INET, NET_STREAM);
        let to = program.value(ipv4(LOCALHOST, 80 + domain as u16));
        assert_eq!(program.connect(client, &to), OK);
        let (out, room) = (program.value(0_u64), program.host.memory.buffer(24));
        let accept = |address, len| unsafe {
            net_accept(listener, NET_NONBLOCK, out.address(), address, len)
        };
        for given in [0, 6, needed - 1] {
            let len = program.value(given);
            assert_eq!(accept(room.address(), len.address()), INVALID);
            assert_eq!(program.failure(), (INVALID, 5, given.into()));
            assert_eq!(len.values::<u32>(), [needed], "what it takes");
        }
        let len = program.value(needed);
        assert_eq!(accept(0, len.address()), INVALID);
        assert_eq!(accept(room.address(), 0), INVALID);
        let beyond = room.address() + 24 - u64::from(needed) + 1;
        assert_eq!(accept(beyond, len.address()), INVALID);
        assert_eq!(
            accept(room.address(), len.address()),
            OK,
            "it is still there"
        );
        assert_eq!(len.values::<u32>(), [needed]);
        let ip = room.to_vec();
        if domain == NET_INET {
            assert_eq!(ip[..4], LOCALHOST.to_ne_bytes());
        } else {
            assert_eq!(ip[..16], mapped([127, 0, 0, 1]));
        }
        assert_eq!(accept(0, 0), Error::WouldBlock.code());
    }
}

#[test]
fn no_connection_is_taken_when_the_table_is_full() {
    let program = Program::new();
    let listener = program.listener(NET_INET, 80);
    let client = program.socket(NET_INET, NET_STREAM);
    let to = program.value(ipv4(LOCALHOST, 80));
    assert_eq!(program.connect(client, &to), OK);
    let mut filling = Vec::new();
    while let Ok(socket) = program.task.0.net_socket(NET_INET, NET_DGRAM, 0) {
        filling.push(socket);
    }
    let out = program.value(0_u64);
    let accept = || unsafe { net_accept(listener, NET_NONBLOCK, out.address(), 0, 0) };
    assert_eq!(accept(), Error::NoMemory.code());
    program.task.0.net_close(filling.pop().unwrap()).unwrap();
    assert_eq!(accept(), OK);
}

#[test]
fn receiving_takes_nothing_that_finds_no_room_for_its_sender() {
    let program = Program::new();
    let receiver = program.socket(NET_INET, NET_DGRAM);
    let at = program.value(ipv4(LOCALHOST, 9));
    assert_eq!(program.bind(receiver, &at), OK);
    let (data, sender) = (
        program.host.memory.bytes(b"here"),
        program.socket(NET_INET, NET_DGRAM),
    );
    let code = unsafe { net_send_to(sender, data.address(), 4, 0, at.address(), 8) };
    assert_eq!(code, OK);
    let (buffer, read, room) = (
        program.host.memory.buffer(8),
        program.value(99_u64),
        program.host.memory.buffer(8),
    );
    let receive = |read: u64, address: u64, len: u64| unsafe {
        net_recv_from(
            receiver,
            buffer.address(),
            8,
            NET_NONBLOCK,
            read,
            address,
            len,
        )
    };
    let short = program.value(7_u32);
    assert_eq!(
        receive(read.address(), room.address(), short.address()),
        INVALID
    );
    assert_eq!(
        (read.values::<u64>(), short.values::<u32>()),
        (vec![99], vec![8])
    );
    assert_eq!(receive(0, room.address(), short.address()), INVALID);
    assert_eq!(receive(read.address(), room.address(), short.address()), OK);
    assert_eq!(read.values::<u64>(), [4]);
    assert_eq!(buffer.to_vec()[..4], *b"here");
}

#[test]
fn what_needs_an_address_waits_for_the_first() {
    let address = Rc::new(Event::new());
    let network = Loopback::late(&address);
    let host = Host::with(|machine| machine.network = Some(Rc::new(network)));
    // To an address that is not there: with one of its own the machine finds that out at once.
    let far = host.memory.bytes(&[10, 0, 0, 1, 0, 80]);
    let name = host.memory.bytes(b"localhost");
    let room = host.memory.buffer(24);
    let to = host.memory.alleged(2, far.address(), 6);
    let (text, found) = (name.input(), room.room::<NetAddressV6>());
    let connecting = host.spawn(async move |task| {
        let socket = task.net_socket(NET_INET, NET_STREAM, 0)?;
        task.net_connect(socket, to).await
    });
    let resolving = host.spawn(async move |task| {
        assert_eq!(task.net_resolve(text, &found).await?, 1);
        Ok(())
    });
    host.run(async |task| {
        let socket = task.net_socket(NET_INET, NET_STREAM, 0).unwrap();
        task.net_set_option(socket, NET_OPT_NONBLOCK, 1).unwrap();
        let failed = task.net_connect(socket, to).await.unwrap_err();
        assert_eq!(failed.error, Error::Io, "it does not wait for anything");
        task.task_sleep(1_000_000_000).await.unwrap();
        assert_eq!((connecting.status(), resolving.status()), (None, None));
        address.set();
        task.task_yield().await.unwrap();
        let io = Error::Io.code() as i32;
        assert_eq!(
            (connecting.status(), resolving.status()),
            (Some(io), Some(0))
        );
    });
}

#[test]
fn streams_are_told_what_was_set_before_and_after_they_were_there() {
    let network = Loopback::default();
    let machines = network.clone();
    let host = Host::with(|machine| machine.network = Some(Rc::new(machines)));
    let at = host.memory.bytes(&[127, 0, 0, 1, 0, 80]);
    let to = host.memory.alleged(2, at.address(), 6);
    let second = Duration::from_secs(1);
    let all = [
        Told::Nodelay(false),
        Told::KeepAlive(Some(second)),
        Told::Timeout(second),
    ];
    host.run(async |task| {
        let set = |socket| {
            let values = [
                (NET_OPT_NODELAY, 0),
                (NET_OPT_KEEPALIVE_NS, 1_000_000_000),
                (NET_OPT_TIMEOUT_NS, 1_000_000_000),
            ];
            for (option, value) in values {
                task.net_set_option(socket, option, value).unwrap();
            }
        };
        let [listener, first, second] =
            [(); 3].map(|()| task.net_socket(NET_INET, NET_STREAM, 0).unwrap());
        set(listener);
        task.net_bind(listener, to).unwrap();
        task.net_listen(listener, 0).unwrap();
        set(first);
        assert_eq!(network.told(), []);
        task.net_connect(first, to).await.unwrap();
        assert_eq!(network.told(), all, "before it was there");
        task.net_accept(listener, 0).await.unwrap();
        assert_eq!(network.told(), all, "by the listener");
        task.net_connect(second, to).await.unwrap();
        assert_eq!(network.told(), [], "as it begins");
        set(second);
        assert_eq!(network.told(), all, "since then");
    });
}
