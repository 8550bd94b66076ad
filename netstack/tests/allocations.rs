//! What is allocated in steady state: nothing, for an echo or a datagram. And what becomes of a stack
//! whose memory is gone: it drops and counts, and works again when there is some.
#![allow(
    unsafe_code,
    reason = "a global allocator that counts, and fails when told to"
)]
#![allow(clippy::unwrap_used, reason = "tests; their helpers are tests too")]

use core::future::poll_fn;
use core::net::{Ipv4Addr, SocketAddr};
use core::pin::pin;
use core::task::{Context, Poll};
use netstack::testing::{Conditions, Received, Sending, Wire, WireEnd, random};
use netstack::{
    Config, DropCause, Ipv4Config, ListenOptions, Stack, StaticIpv4, TcpListener, TcpStream,
    UdpOptions, UdpSocket,
};
use reactor::Reactor;
use reactor::hardware::Hardware;
use reactor::testing::VirtualClock;
use reactor::time::Duration;
use smoltcp::phy::{Device, DeviceCapabilities, TxToken};
use smoltcp::time::Instant;
use smoltcp::wire::{Ipv4Packet, TcpPacket};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::rc::Rc;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    /// Whether allocations fail now.
    static EXHAUSTED: Cell<bool> = const { Cell::new(false) };
    static FAILED: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: passes everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if EXHAUSTED.get() {
            FAILED.set(FAILED.get() + 1);
            return core::ptr::null_mut();
        }
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's contract.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations on this thread during the second half of `rounds`, when everything has grown.
async fn steady(rounds: usize, mut round: impl AsyncFnMut()) -> usize {
    let mut before = 0;
    for index in 0..rounds {
        if index == rounds / 2 {
            before = ALLOCATIONS.with(Cell::get);
        }
        round().await;
    }
    ALLOCATIONS.with(Cell::get) - before
}

fn run(test: impl AsyncFnOnce(&Reactor, Stack)) {
    let reactor = Reactor::new(VirtualClock::new());
    let clock = reactor.clock();
    let (_wire, end, _) = Wire::new(&clock, 1, Conditions::default());
    let mut config = Config::new([2, 0, 0, 0, 0, 1]);
    config.ipv4 = Ipv4Config::None;
    let (stack, runner) = netstack::new(end, config, clock, random(1)).unwrap();
    reactor.spawner().spawn(runner.run()).detach();
    reactor.block_on(test(&reactor, stack));
}

#[test]
fn an_echo_allocates_nothing() {
    run(async |reactor, stack| {
        let listener = TcpListener::bind(&stack, 7, ListenOptions::default()).unwrap();
        reactor.spawner().spawn(async move {
            let (mut stream, _) = listener.accept().await;
            let mut buffer = [0; 64];
            while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                stream.write_all(&buffer[..read]).await.unwrap();
            }
        });
        let peer = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 7);
        let mut stream = TcpStream::connect(&stack, peer).await.unwrap();
        let allocations = steady(2000, async || {
            stream.write_all(&[7; 64]).await.unwrap();
            let mut answer = [0; 64];
            assert_eq!(stream.read(&mut answer).await, Ok(64));
        });
        assert_eq!(allocations.await, 0);
    });
}

/// Opened, used and closed, one after the other: each has the socket of one before it.
#[test]
fn a_connection_after_others_allocates_nothing() {
    run(async |reactor, stack| {
        let listener = TcpListener::bind(&stack, 7, ListenOptions::default()).unwrap();
        reactor.spawner().spawn(async move {
            let mut buffer = [0; 64];
            loop {
                let (mut stream, _) = listener.accept().await;
                while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                    stream.write_all(&buffer[..read]).await.unwrap();
                }
            }
        });
        let peer = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 7);
        // TIME-WAIT is full in the second half.
        let rounds = 4 * netstack::Limits::default().time_wait;
        let allocations = steady(rounds, async || {
            let mut stream = TcpStream::connect(&stack, peer).await.unwrap();
            stream.write_all(&[7; 64]).await.unwrap();
            let mut answer = [0; 64];
            assert_eq!(stream.read(&mut answer).await, Ok(64));
        });
        assert_eq!(allocations.await, 0);
    });
}

#[test]
fn a_datagram_allocates_nothing() {
    run(async |_, stack| {
        let bind = |port| UdpSocket::bind_with(&stack, port, UdpOptions::default()).unwrap();
        let (one, other) = (bind(1000), bind(2000));
        let peer = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 2000);
        let allocations = steady(2000, async || {
            one.send_to(&[7; 64], peer).await.unwrap();
            let mut buffer = [0; 64];
            assert_eq!(other.recv_from(&mut buffer).await.0, 64);
        });
        assert_eq!(allocations.await, 0);
    });
}

/// An end of the wire that has memory even when the stack on it has none.
struct Spared<D>(D);

impl Hardware for Spared<WireEnd> {
    fn flush(&mut self) {
        self.0.flush();
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        with_memory(|| self.0.poll_event(cx))
    }

    fn is_up(&self) -> bool {
        self.0.is_up()
    }
}

impl Device for Spared<WireEnd> {
    type RxToken<'a> = Received;
    type TxToken<'a> = Spared<Sending<'a>>;

    fn receive(&mut self, now: Instant) -> Option<(Received, Spared<Sending<'_>>)> {
        let (received, answer) = with_memory(|| self.0.receive(now))?;
        Some((received, Spared(answer)))
    }

    fn transmit(&mut self, now: Instant) -> Option<Spared<Sending<'_>>> {
        with_memory(|| self.0.transmit(now)).map(Spared)
    }

    fn capabilities(&self) -> DeviceCapabilities {
        self.0.capabilities()
    }
}

impl TxToken for Spared<Sending<'_>> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, fill: F) -> R {
        with_memory(|| self.0.consume(len, fill))
    }
}

fn with_memory<R>(call: impl FnOnce() -> R) -> R {
    let before = EXHAUSTED.replace(false);
    let result = call();
    EXHAUSTED.set(before);
    result
}

fn host(mac: u8, last: u8) -> Config {
    let mut config = Config::new([2, 0, 0, 0, 0, mac]);
    config.ipv4 = Ipv4Config::Static(StaticIpv4 {
        address: Ipv4Addr::new(10, 0, 0, last),
        prefix: 24,
        gateway: None,
        dns: Vec::new(),
    });
    config
}

/// Turns of the server's Runner find no memory at all while this is set.
type Switch = Rc<Cell<bool>>;

/// A client and a server whose memory can be switched off.
fn run_pair(test: impl AsyncFnOnce(&Reactor, &Wire, [Stack; 2], Switch)) {
    let reactor = Reactor::new(VirtualClock::new());
    let clock = reactor.clock();
    let (wire, one, other) = Wire::new(&clock, 1, Conditions::default());
    let (client, runner) = netstack::new(one, host(1, 1), clock.clone(), random(1)).unwrap();
    reactor.spawner().spawn(runner.run()).detach();
    let other = Spared(other);
    let (server, runner) = netstack::new(other, host(2, 2), clock, random(2)).unwrap();
    let switch = Switch::default();
    let exhausted = switch.clone();
    let turns = async move {
        let mut turns = pin!(runner.run());
        poll_fn(|cx| {
            EXHAUSTED.set(exhausted.get());
            let never = turns.as_mut().poll(cx);
            EXHAUSTED.set(false);
            never
        })
        .await
    };
    reactor.spawner().spawn(turns).detach();
    reactor.block_on(test(&reactor, &wire, [client, server], switch));
}

/// The frame as another host of the link would have sent it.
fn from_host(last: u8, mut frame: Vec<u8>) -> Vec<u8> {
    let host = Ipv4Addr::new(10, 0, 0, last);
    if frame[12..14] == [8, 6] {
        frame[28..32].copy_from_slice(&host.octets());
        return frame;
    }
    frame[26..30].copy_from_slice(&host.octets());
    Ipv4Packet::new_unchecked(&mut frame[14..]).fill_checksum();
    let mut segment = TcpPacket::new_unchecked(&mut frame[34..]);
    segment.fill_checksum(&host.into(), &Ipv4Addr::new(10, 0, 0, 2).into());
    frame
}

#[test]
fn a_turn_without_memory_drops_and_the_next_one_with_memory_serves() {
    run_pair(async |reactor, wire, [client, server], exhausted| {
        let (clock, spawner) = (reactor.clock(), reactor.spawner());
        let listener = TcpListener::bind(&server, 7, ListenOptions::default()).unwrap();
        let _datagrams = UdpSocket::bind(&server, 7).unwrap();
        let peer = SocketAddr::new(Ipv4Addr::new(10, 0, 0, 2).into(), 7);
        wire.record();
        let mut connections = Vec::new();
        for _ in 0..4 {
            connections.push(TcpStream::connect(&client, peer).await.unwrap());
        }
        let frames = wire.sent(0);
        exhausted.set(true);
        let waiting = spawner.spawn(async move { TcpStream::connect(&client, peer).await });
        // All that a peer can send, from this host and from others that the server has to ask for.
        for last in 1..=250 {
            for frame in &frames {
                wire.inject(1, from_host(last, frame.clone()));
            }
            drop(connections.pop());
            clock.sleep(Duration::from_millis(10)).await;
        }
        assert!(!waiting.is_finished());
        let stats = server.stats();
        assert!(FAILED.get() > 100, "{} allocations failed", FAILED.get());
        for cause in [DropCause::ConnectionLimit, DropCause::QueueFull] {
            assert!(stats.dropped(cause) > 0, "{cause:?} in {stats:?}");
        }
        exhausted.set(false);
        let mut stream = waiting.await.unwrap().unwrap();
        stream.write_all(b"hello").await.unwrap();
        let mut greeted = false;
        while let Some((mut accepted, _)) = listener.try_accept() {
            let mut buffer = [0; 5];
            greeted |= accepted.read(&mut buffer).await == Ok(5) && buffer == *b"hello";
        }
        assert!(greeted);
    });
}
