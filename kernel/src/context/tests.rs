//! Tests of what a policy takes from a workload's context.

use alloc::string::ToString;
use core::net::SocketAddr;

use drivers::block::DiskError;
use netstack::{
    BindError, ConnectError, ListenOptions, ResolveError, TcpListener, TcpStream, UdpSocket,
};

use crate::testing::Machine;

const SECTOR: &[u8] = &[1; 512];

#[test]
fn without_a_policy_everything_is_there() {
    let machine = Machine::booted("", &[SECTOR]);
    let ctx = machine.context();
    let disk = ctx.disk(0).unwrap();
    let written = machine.block_on(async {
        let listener = TcpListener::bind(ctx.network().unwrap(), 80, ListenOptions::default());
        assert!(listener.is_ok());
        disk.write_at(0, SECTOR).await
    });
    assert_eq!(written, Ok(()));
    let missing = ctx.disk(1).unwrap_err();
    assert!(!missing.is_forbidden());
    let said = "there is no disk 1: the machine has 1";
    assert_eq!(missing.to_string(), said);
}

#[test]
fn a_network_does_what_its_rules_say() {
    let words = "allow=net:listen:tcp:80,net:connect:udp:192.0.2.0/24:53";
    let machine = Machine::booted(words, &[]);
    let ctx = machine.context();
    machine.block_on(async {
        for stack in [ctx.network().unwrap(), &ctx.networks()[0]] {
            let bind = |port| TcpListener::bind(stack, port, ListenOptions::default());
            assert!(bind(80).is_ok());
            assert_eq!(bind(81).err(), Some(BindError::Forbidden));
            let peer: SocketAddr = "192.0.2.2:80".parse().unwrap();
            let stream = TcpStream::connect(stack, peer).await;
            assert_eq!(stream.err(), Some(ConnectError::Forbidden));
            assert_eq!(
                stack.resolve("localhost").await,
                Err(ResolveError::Forbidden)
            );
            let socket = UdpSocket::bind(stack, 0).unwrap();
            assert!(socket.send_to(b"x", peer).await.is_err());
            let allowed = SocketAddr::new(peer.ip(), 53);
            assert_eq!(socket.send_to(b"x", allowed).await, Ok(()));
        }
    });
}

#[test]
fn a_network_and_a_disk_that_are_not_allowed_are_not_there() {
    let machine = Machine::booted("allow=log,io:disk:1,io:disk:2:ro", &[SECTOR; 3]);
    let ctx = machine.context();
    assert!(ctx.networks().is_empty());
    let forbidden = ctx.network().err().unwrap();
    assert_eq!(forbidden.to_string(), "the policy does not allow network 0");
    assert!(ctx.disk(0).unwrap_err().is_forbidden());
    assert_eq!(ctx.disks().count(), 2);
    let (second, third) = (ctx.disk(1).unwrap(), ctx.disk(2).unwrap());
    machine.block_on(async {
        assert_eq!(second.write_at(0, SECTOR).await, Ok(()));
        assert_eq!(third.write_at(0, SECTOR).await, Err(DiskError::ReadOnly));
        assert_eq!(third.read(0, 512).await.unwrap(), SECTOR);
    });
}
