//! What is allocated in steady state: nothing, for an echo or a datagram.
#![allow(unsafe_code, reason = "a global allocator that counts")]
#![allow(clippy::unwrap_used, reason = "tests; their helpers are tests too")]

use core::net::{Ipv4Addr, SocketAddr};
use netstack::testing::{Conditions, Wire, random};
use netstack::{
    Config, Ipv4Config, ListenOptions, Stack, TcpListener, TcpStream, UdpOptions, UdpSocket,
};
use reactor::Reactor;
use reactor::testing::VirtualClock;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: passes everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
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
