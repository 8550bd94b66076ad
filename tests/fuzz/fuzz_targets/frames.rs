//! Frames from the wire, into a whole stack at work, in virtual time. Afterwards it must still serve: a
//! peer on the same wire connects.
#![no_main]

use core::net::{IpAddr, SocketAddr};

use arbitrary::Arbitrary;
use fuzz::packet::{self, OURS_IPV4, PEER_IPV4};
use fuzz::peer::{Peer, Step};
use libfuzzer_sys::fuzz_target;
use netstack::testing::{Conditions, Wire, random};
use netstack::{
    Config, Ipv4Config, Ipv6Config, ListenOptions, Stack, StaticIpv4, TcpListener, TcpStream,
    UdpSocket,
};
use reactor::testing::VirtualClock;
use reactor::time::Duration;
use reactor::{Clock, Reactor};

/// Beyond it a whole input takes too long for what it may find.
const MAX_STEPS: usize = 64;
/// Longer than everything that a bad peer may leave behind: half-open connections, neighbours, leases.
const RECOVERY: Duration = Duration::from_secs(300);

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    /// The stack asks for its address; the peer may answer.
    dhcp: bool,
    steps: Vec<Step<'a>>,
}

fn config(last: u8, ipv4: Ipv4Config, ipv6: Ipv6Config) -> Config {
    Config {
        ipv4,
        ipv6,
        ..Config::new([2, 0, 0, 0, 0, last])
    }
}

fn fixed(last: u8) -> Ipv4Config {
    let [a, b, c, _] = OURS_IPV4;
    let address = [a, b, c, last].into();
    Ipv4Config::Static(StaticIpv4 {
        address,
        prefix: 24,
        gateway: None,
        dns: vec![PEER_IPV4.into()],
    })
}

/// Echoes on port 80, one connection at a time, and on UDP port 7.
async fn serve(stack: Stack) {
    let listener = TcpListener::bind(&stack, 80, ListenOptions::default()).expect("free");
    loop {
        let (mut stream, _) = listener.accept().await;
        let mut buffer = [0; 512];
        while let Ok(count @ 1..) = stream.read(&mut buffer).await {
            if stream.write_all(&buffer[..count]).await.is_err() {
                break;
            }
        }
        let _ = stream.shutdown().await;
    }
}

async fn serve_datagrams(stack: Stack) {
    let socket = UdpSocket::bind(&stack, 7).expect("free");
    let mut buffer = [0; 512];
    loop {
        let (count, from) = socket.recv_from(&mut buffer).await;
        let _ = socket.send_to(&buffer[..count], from).await;
    }
}

/// Asks the peer for names and connects to it, over and over.
async fn ask(stack: Stack, clock: Clock) {
    let peer = SocketAddr::new(IpAddr::V4(PEER_IPV4.into()), 99);
    loop {
        let _ = stack.resolve("a.example").await;
        if let Ok(mut stream) = TcpStream::connect(&stack, peer).await {
            let _ = stream.write_all(b"hello").await;
            let _ = stream.read(&mut [0; 64]).await;
        }
        clock.sleep(Duration::from_secs(1)).await;
    }
}

fuzz_target!(|input: Input| {
    let reactor = Reactor::new(VirtualClock::new());
    let clock = reactor.clock();
    let (wire, ours, end) = Wire::new(&clock, 1, Conditions::default());
    let address = if input.dhcp {
        Ipv4Config::Dhcp
    } else {
        fixed(1)
    };
    let ours = netstack::new(
        ours,
        config(1, address, Ipv6Config::Slaac),
        clock.clone(),
        random(1),
    );
    let theirs = config(2, fixed(2), Ipv6Config::None);
    let (stack, runner) = ours.expect("valid");
    reactor.spawner().spawn(runner.run()).detach();
    reactor.spawner().spawn(serve(stack.clone())).detach();
    reactor
        .spawner()
        .spawn(serve_datagrams(stack.clone()))
        .detach();
    let asking = reactor.spawner().spawn(ask(stack, clock.clone()));
    wire.record();
    wire.inject(0, packet::arp(1, OURS_IPV4));
    reactor.block_on(async {
        let mut peer = Peer::default();
        for step in input.steps.iter().take(MAX_STEPS) {
            if let Step::Wait(millis) = step {
                clock.sleep(Duration::from_millis((*millis).into())).await;
            }
            for next in [Peer::frame, Peer::following_frame] {
                peer.see(wire.sent(0));
                if let Some(frame) = next(&peer, step) {
                    wire.inject(0, frame);
                    clock.sleep(Duration::from_millis(1)).await;
                }
            }
        }
        asking.cancel(); // in the middle of anything
        clock.sleep(RECOVERY).await;
    });
    if input.dhcp {
        return; // its address may be anything by now
    }
    let (peer, runner) = netstack::new(end, theirs, clock.clone(), random(2)).expect("valid");
    reactor.spawner().spawn(runner.run()).detach();
    reactor.block_on(async {
        let address = SocketAddr::new(IpAddr::V4(OURS_IPV4.into()), 80);
        let connected = clock.timeout(Duration::from_secs(60), TcpStream::connect(&peer, address));
        connected.await.expect("an answer").expect("a connection");
    });
});
