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

/// The bit of a frame's length that asks for a right checksum, which chance would not find.
const MEND: u8 = 0x80;

/// Makes the checksum of an IPv4 header right, if the frame has one.
fn mend(frame: &mut [u8]) {
    let Some(packet) = frame.get_mut(14..) else {
        return;
    };
    let length = packet.first().map_or(0, |byte| usize::from(byte & 0xf) * 4);
    let Some(header) = packet.get_mut(..length).filter(|header| header.len() >= 20) else {
        return;
    };
    header[10..12].fill(0);
    let words = header.chunks_exact(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])));
    let sum = words.sum::<u32>() % 0xffff;
    header[10..12].copy_from_slice(&(!(sum as u16)).to_be_bytes());
}

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
            let mut frame = tail[..length].to_vec();
            if head[1] & MEND != 0 {
                mend(&mut frame);
            }
            wire.inject(0, frame);
            rest = &tail[length..];
            clock.sleep(Duration::from_millis(1)).await;
        }
        let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 80);
        let connected = clock.timeout(Duration::from_secs(60), TcpStream::connect(&peer, address));
        connected.await.expect("an answer").expect("a connection");
        drop(listener);
    });
});
