//! Frames from the wire, into a whole stack with listeners, in virtual time. Afterwards it must still
//! serve: a peer on the same wire connects.
#![no_main]

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use libfuzzer_sys::fuzz_target;
use netstack::testing::{Conditions, Wire, random};
use netstack::{
    Config, Ipv4Config, Ipv6Config, ListenOptions, StaticIpv4, TcpListener, TcpStream, UdpSocket,
};
use reactor::Reactor;
use reactor::testing::VirtualClock;
use reactor::time::Duration;

/// The longest frame that a device hands over.
const MAX_FRAME: usize = 1514;

fn config(last: u8, ipv6: Ipv6Config) -> Config {
    let ipv4 = StaticIpv4 {
        address: Ipv4Addr::new(192, 0, 2, last),
        prefix: 24,
        gateway: None,
        dns: Vec::new(),
    };
    let mac = [2, 0, 0, 0, 0, last];
    Config { ipv4: Ipv4Config::Static(ipv4), ipv6, ..Config::new(mac) }
}

fuzz_target!(|input: &[u8]| {
    let reactor = Reactor::new(VirtualClock::new());
    let clock = reactor.clock();
    let (wire, ours, theirs) = Wire::new(&clock, 1, Conditions::default());
    let ours = netstack::new(ours, config(1, Ipv6Config::Slaac), clock.clone(), random(1));
    let theirs = netstack::new(theirs, config(2, Ipv6Config::None), clock.clone(), random(2));
    let ((stack, runner), (peer, peer_runner)) = (ours.expect("valid"), theirs.expect("valid"));
    reactor.spawner().spawn(runner.run()).detach();
    reactor.spawner().spawn(peer_runner.run()).detach();
    reactor.block_on(async {
        let listener = TcpListener::bind(&stack, 80, ListenOptions::default()).expect("free");
        let _udp = UdpSocket::bind(&stack, 7).expect("free");
        let mut rest = input;
        while let Some((head, tail)) = rest.split_first_chunk::<2>() {
            let length = (u16::from_le_bytes(*head) as usize % (MAX_FRAME + 1)).min(tail.len());
            wire.inject(0, tail[..length].to_vec());
            rest = &tail[length..];
            clock.sleep(Duration::from_millis(1)).await;
        }
        let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 80);
        let connected = clock.timeout(Duration::from_secs(60), TcpStream::connect(&peer, address));
        connected.await.expect("an answer").expect("a connection");
        drop(listener);
    });
});
