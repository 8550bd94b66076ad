//! What a policy refuses, asked by a native workload and by a program on the same machine.

use core::net::{Ipv4Addr, SocketAddr};

use abi::Error;
use abi::capability::{Kind, Kinds};
use abi::number::*;
use netstack::{
    BindError, ConnectError, ListenOptions, ResolveError, TcpListener, TcpStream, UdpSocket,
};

use super::bench::{Bench, PEER, datagram, failed, stream};

const ANY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

/// Whether native code may, and whether a program may.
type Both = (bool, bool);

#[track_caller]
fn agreed((native, program): Both) -> bool {
    assert_eq!(native, program, "both are refused the same");
    native
}

#[test]
fn listening_and_connecting_are_refused_alike() {
    let words = "allow=io,net:listen:tcp:80-90,net:connect:tcp:192.0.2.2/32:7";
    Bench::booted(words, &[]).run(async |bench, task| {
        let ctx = bench.machine.context();
        let stack = ctx.network().unwrap();
        for (port, allowed) in [(79, false), (80, true), (90, true), (91, false)] {
            let native = TcpListener::bind(stack, port, ListenOptions::default());
            assert!(native.is_ok() || native.as_ref().err() == Some(&BindError::Forbidden));
            let native = native.is_ok(); // and it is dropped
            let at = bench.address(ANY, port);
            let program = task.net_bind(stream(&task), at.argument());
            assert!(program.is_ok() || failed(program) == (Error::Permission, 2));
            assert_eq!(agreed((native, program.is_ok())), allowed, "{port}");
        }
        let _peer = TcpListener::bind(bench.machine.peer(), 7, ListenOptions::default()).unwrap();
        for (ip, port, allowed) in [
            (PEER, 7, true),
            (PEER, 8, false),
            (Ipv4Addr::LOCALHOST, 7, false),
        ] {
            let native = TcpStream::connect(stack, SocketAddr::new(ip.into(), port)).await;
            assert!(native.is_ok() || native.as_ref().err() == Some(&ConnectError::Forbidden));
            let to = bench.address(ip, port);
            let program = task.net_connect(stream(&task), to.argument()).await;
            assert!(program.is_ok() || failed(program) == (Error::Permission, 2));
            assert_eq!(
                agreed((native.is_ok(), program.is_ok())),
                allowed,
                "{ip}:{port}"
            );
        }
        // A free port to connect from is no right to listen there.
        let socket = stream(&task);
        task.net_bind(socket, bench.address(ANY, 0).argument())
            .unwrap();
        assert_eq!(failed(task.net_listen(socket, 1)), (Error::Permission, 1));
        let to = bench.address(PEER, 7);
        assert_eq!(task.net_connect(socket, to.argument()).await, Ok(()));
    });
}

#[test]
fn datagrams_and_names_are_refused_alike() {
    for (words, allowed) in [
        (
            "allow=net:connect:udp:192.0.2.0/24:53",
            [false, true, false, false],
        ),
        ("allow=net:listen:udp:9", [true, false, false, false]),
        ("allow=net:resolve", [false, false, false, true]),
        ("allow=net", [true, true, true, true]),
    ] {
        Bench::booted(words, &[]).run(async |bench, task| {
            let ctx = bench.machine.context();
            let stack = ctx.network().unwrap();
            let native = UdpSocket::bind(stack, 9).is_ok();
            let program = task.net_bind(datagram(&task), bench.address(ANY, 9).argument());
            assert_eq!(
                agreed((native, program.is_ok())),
                allowed[0],
                "{words} bind"
            );
            for (index, port) in [(1, 53), (2, 54)] {
                let native = match UdpSocket::bind(stack, 0) {
                    Ok(socket) => socket
                        .send_to(b"x", SocketAddr::new(PEER.into(), port))
                        .await
                        .is_ok(),
                    Err(_) => false,
                };
                let (data, to) = (bench.input(b"x"), bench.address(PEER, port));
                let sent = task
                    .net_send_to(datagram(&task), data.input(), 0, to.as_argument(5))
                    .await;
                assert!(sent.is_ok() || failed(sent).0 == Error::Permission);
                assert_eq!(
                    agreed((native, sent.is_ok())),
                    allowed[index],
                    "{words} {port}"
                );
            }
            let native = stack.resolve("localhost").await;
            assert!(native.is_ok() || native == Err(ResolveError::Forbidden));
            let (name, room) = (bench.input(b"localhost"), bench.room(48));
            let asked = task.net_resolve(name.input(), &room.0.room()).await;
            assert_eq!(
                agreed((native.is_ok(), asked.is_ok())),
                allowed[3],
                "{words} resolve"
            );
        });
    }
}

#[test]
fn disks_are_refused_alike() {
    let words = "allow=io:disk:0:ro,io:disk:1";
    Bench::booted(words, &[&[1; 512], &[2; 512], &[3; 512]]).run(async |bench, task| {
        let ctx = bench.machine.context();
        for (number, path, reads, writes) in [
            (0, b"disk:0\0", true, false),
            (1, b"disk:1\0", true, true),
            (2, b"disk:2\0", false, false),
        ] {
            let path = bench.memory.read_only(path);
            let open = |flags| task.io_open(bench.memory.alleged(1, path.address(), 0), flags);
            let native = ctx.disk(number);
            assert_eq!(agreed((native.is_ok(), open(IO_OPEN_READ).is_ok())), reads);
            let opened = open(IO_OPEN_WRITE);
            assert!(opened.is_ok() || failed(opened) == (Error::Permission, 1));
            let native = match native {
                Ok(disk) => disk.write_at(0, &[9; 512]).await.is_ok(),
                Err(error) => {
                    assert!(error.is_forbidden());
                    false
                }
            };
            assert_eq!(agreed((native, opened.is_ok())), writes);
            // Opened for whatever is allowed, it writes no more than it may.
            if let Ok(disk) = open(0) {
                let data = bench.input(&[8; 512]);
                let written = task.io_write(disk, data.input()).await;
                assert_eq!(written.is_ok(), writes);
            }
        }
        let serial = bench.memory.read_only(b"serial\0");
        let opened = task.io_open(bench.memory.alleged(1, serial.address(), 0), 0);
        assert_eq!(failed(opened), (Error::Permission, 1));
        let missing = bench.memory.read_only(b"disk:3\0");
        let opened = task.io_open(bench.memory.alleged(1, missing.address(), 0), 0);
        assert_eq!(failed(opened), (Error::NoEntry, 1));
    });
}

#[test]
fn a_kind_that_is_not_allowed_cannot_be_had() {
    let bench = Bench::booted("allow=log,io:serial", &[&[1; 512]]);
    assert_eq!(
        bench.program.machine().policy,
        Kinds::EMPTY.with(Kind::Log).with(Kind::Io)
    );
    bench.run(async |bench, task| {
        let refused = task.cap_acquire(Kind::Net as u32);
        assert_eq!(failed(refused), (Error::Permission, 1));
        assert_eq!(
            failed(task.net_socket(NET_INET, NET_STREAM, 0)),
            (Error::Permission, 0)
        );
        assert!(
            bench
                .machine
                .context()
                .network()
                .is_err_and(|error| error.is_forbidden())
        );
        assert!(task.cap_acquire(Kind::Io as u32).is_ok());
    });
}
