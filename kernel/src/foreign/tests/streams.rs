//! Streams: connecting, accepting, sending, ending, options.

use alloc::rc::Rc;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use abi::Error;
use abi::handle::Handle;
use abi::number::*;
use calls::Task;
use netstack::{ListenOptions, TcpListener, TcpStream};

use super::bench::{Bench, OWN, PEER, failed, stream};

const BOTH: u32 = IO_READABLE | IO_WRITABLE;

fn listen_at_peer(bench: &Bench, port: u16) -> TcpListener {
    TcpListener::bind(bench.machine.peer(), port, ListenOptions::default()).unwrap()
}

async fn connect_from_peer(bench: &Bench, port: u16) -> TcpStream {
    let at = bench.machine.address(port);
    TcpStream::connect(bench.machine.peer(), at).await.unwrap()
}

/// A connection from the program to the peer, both ends.
async fn connected(bench: &Bench, task: &Task) -> (Handle, TcpStream) {
    let listener = listen_at_peer(bench, 7);
    let socket = stream(task);
    let to = bench.address(PEER, 7);
    task.net_connect(socket, to.argument()).await.unwrap();
    (socket, listener.accept().await.0)
}

fn listener(bench: &Bench, task: &Task, port: u16) -> Handle {
    let socket = stream(task);
    let at = bench.address(Ipv4Addr::UNSPECIFIED, port);
    task.net_bind(socket, at.argument()).unwrap();
    task.net_listen(socket, 0).unwrap();
    socket
}

#[test]
fn bytes_go_both_ways() {
    Bench::new().run(async |bench, task| {
        let (socket, mut peer) = connected(bench, &task).await;
        let hello = bench.input(b"hello");
        assert_eq!(task.net_send(socket, hello.input(), 0).await, Ok(5));
        let mut got = [0; 8];
        assert_eq!(peer.read(&mut got).await, Ok(5));
        peer.write_all(b"back").await.unwrap();
        let room = bench.room(8);
        assert_eq!(task.net_recv(socket, room.output(), 0).await, Ok(4));
        assert_eq!(room.bytes(4), b"back");
        let own = task.net_local_address(socket).unwrap();
        assert_eq!((own.ip(), own), (IpAddr::V4(OWN), peer.peer_addr()));
        let at = SocketAddr::new(PEER.into(), 7);
        assert_eq!(task.net_peer_address(socket), Ok(at));
        peer.shutdown().await.unwrap();
        assert_eq!(task.net_recv(socket, room.output(), 0).await, Ok(0));
        assert_eq!(task.net_close(socket), Ok(()));
        assert_eq!(peer.read(&mut got).await, Ok(0));
    });
}

#[test]
fn accepting_gives_the_socket_and_its_peer_to_one_task_each() {
    Bench::new().run(async |bench, task| {
        let socket = listener(bench, &task, 80);
        let accepted = move |task: Rc<Task>| async move {
            let (accepted, peer) = task.net_accept(socket, 0).await?;
            assert_eq!(peer.ip(), IpAddr::V4(PEER));
            task.net_close(accepted)
        };
        let others = [bench.spawn(accepted), bench.spawn(accepted)];
        task.task_yield().await.unwrap();
        let _first = connect_from_peer(bench, 80).await;
        let _second = connect_from_peer(bench, 80).await;
        bench.settle().await;
        for other in others {
            assert_eq!(other.status(), Some(0));
        }
        assert_eq!(
            failed(task.net_accept(socket, NET_NONBLOCK).await),
            (Error::WouldBlock, 0)
        );
        assert_eq!(
            failed(task.net_accept(socket, 2).await),
            (Error::Invalid, 2)
        );
    });
}

#[test]
fn a_refused_connection_and_one_without_an_answer() {
    Bench::new().run(async |bench, task| {
        let socket = stream(&task);
        let to = bench.address(PEER, 9);
        let refused = task.net_connect(socket, to.argument()).await;
        assert_eq!(failed(refused), (Error::Io, 1));
        let code = u64::from(Error::Io.code());
        assert_eq!(task.net_get_option(socket, NET_OPT_ERROR), Ok(code));
        assert_eq!(
            failed(task.net_connect(socket, to.argument()).await),
            (Error::Invalid, 1)
        );
        let data = bench.input(b"x");
        assert_eq!(
            failed(task.net_send(socket, data.input(), 0).await),
            (Error::Io, 1)
        );
        let nobody = bench.address(Ipv4Addr::new(192, 0, 2, 99), 9);
        let unanswered = task.net_connect(stream(&task), nobody.argument()).await;
        assert_eq!(failed(unanswered), (Error::Timeout, 1));
        let far = bench.address(Ipv4Addr::new(8, 8, 8, 8), 9);
        let unreachable = task.net_connect(stream(&task), far.argument()).await;
        assert_eq!(failed(unreachable), (Error::Io, 2));
        for (ip, port) in [
            (PEER, 0),
            (Ipv4Addr::UNSPECIFIED, 80),
            (Ipv4Addr::BROADCAST, 80),
        ] {
            let to = bench.address(ip, port);
            let wrong = task.net_connect(stream(&task), to.argument()).await;
            assert_eq!(failed(wrong), (Error::Invalid, 2), "{ip} {port}");
        }
    });
}

#[test]
fn a_connect_that_does_not_wait_is_told_by_readiness() {
    Bench::new().run(async |bench, task| {
        let _listener = listen_at_peer(bench, 7);
        for (port, expected) in [(7, Ok(())), (9, Err(Error::Io))] {
            let socket = stream(&task);
            task.net_set_option(socket, NET_OPT_NONBLOCK, 1).unwrap();
            let to = bench.address(PEER, port);
            let begun = task.net_connect(socket, to.argument()).await;
            assert_eq!(failed(begun), (Error::WouldBlock, 0));
            assert_eq!(
                failed(task.net_connect(socket, to.argument()).await),
                (Error::Busy, 1)
            );
            assert_eq!(failed(task.net_peer_address(socket)), (Error::Invalid, 1));
            assert_eq!(
                failed(task.io_wait(socket, BOTH, 0).await),
                (Error::WouldBlock, 0)
            );
            assert_eq!(task.net_get_option(socket, NET_OPT_ERROR), Ok(0));
            let ready = task.io_wait(socket, IO_WRITABLE, FOREVER).await.unwrap();
            let code = task.net_get_option(socket, NET_OPT_ERROR).unwrap() as u32;
            match expected {
                Ok(()) => assert_eq!((ready, code), (IO_WRITABLE, 0)),
                Err(error) => {
                    assert_eq!(ready, IO_WRITABLE | IO_HANGUP | IO_ERROR);
                    assert_eq!(code, error.code());
                }
            }
            let room = bench.room(1);
            let read = task.net_recv(socket, room.output(), 0).await;
            let expected = expected.err().unwrap_or(Error::WouldBlock);
            assert_eq!(failed(read).0, expected);
        }
    });
}

#[test]
fn a_second_reader_and_a_second_writer_are_busy() {
    Bench::new().run(async |bench, task| {
        let (socket, mut peer) = connected(bench, &task).await;
        let (room, much) = (bench.room(8), bench.input(&[7; 200_000]));
        let reader = {
            let into = room.output();
            bench.spawn(move |task| async move { task.net_recv(socket, into, 0).await.map(|_| ()) })
        };
        let writer = {
            let from = much.input();
            bench.spawn(move |task| async move {
                loop {
                    task.net_send(socket, from, 0).await?;
                }
            })
        };
        task.task_yield().await.unwrap();
        let other = bench.room(8);
        for flags in [0, NET_NONBLOCK] {
            let read = task.net_recv(socket, other.output(), flags).await;
            assert_eq!(failed(read), (Error::Busy, 1));
            let written = task.net_send(socket, other.input(), flags).await;
            assert_eq!(failed(written), (Error::Busy, 1));
        }
        assert_eq!(
            failed(task.io_read(socket, other.output()).await),
            (Error::Busy, 1)
        );
        peer.write_all(b"x").await.unwrap();
        bench.settle().await;
        assert_eq!(reader.status(), Some(0));
        assert_eq!(
            failed(task.net_recv(socket, other.output(), NET_NONBLOCK).await).0,
            Error::WouldBlock
        );
        task.net_close(socket).unwrap();
        task.task_yield().await.unwrap();
        assert_eq!(writer.status(), Some(Error::Closed.code() as i32));
    });
}

#[test]
fn a_cancelled_reader_leaves_the_direction_free() {
    Bench::new().run(async |bench, task| {
        let (socket, mut peer) = connected(bench, &task).await;
        let room = bench.room(8);
        let into = room.output();
        let reader = bench
            .spawn(move |task| async move { task.net_recv(socket, into, 0).await.map(|_| ()) });
        task.task_yield().await.unwrap();
        reader.cancel();
        task.task_yield().await.unwrap();
        peer.write_all(b"kept").await.unwrap();
        assert_eq!(task.net_recv(socket, room.output(), 0).await, Ok(4));
    });
}

#[test]
fn shutting_down_each_way() {
    Bench::new().run(async |bench, task| {
        let (socket, mut peer) = connected(bench, &task).await;
        let room = bench.room(8);
        let into = room.output();
        let reader = bench.spawn(move |task| async move {
            assert_eq!(task.net_recv(socket, into, 0).await?, 0);
            Ok(())
        });
        task.task_yield().await.unwrap();
        assert_eq!(failed(task.net_shutdown(socket, 4)), (Error::Invalid, 2));
        assert_eq!(failed(task.net_shutdown(socket, 0)), (Error::Invalid, 2));
        task.net_shutdown(socket, NET_SHUT_READ).unwrap();
        task.task_yield().await.unwrap();
        assert_eq!(reader.status(), Some(0), "who waits is told");
        let ready = task.io_wait(socket, IO_READABLE, 0).await;
        assert_eq!(ready, Ok(IO_READABLE));
        // Far more than the buffers hold: what comes is dropped, and does not hold the peer up.
        peer.write_all(&[1; 300_000]).await.unwrap();
        assert_eq!(task.net_recv(socket, room.output(), 0).await, Ok(0));
        assert_eq!(
            task.net_send(socket, bench.input(b"on").input(), 0).await,
            Ok(2)
        );
        task.net_shutdown(socket, NET_SHUT_WRITE).unwrap();
        let more = task.net_send(socket, room.input(), 0).await;
        assert_eq!(failed(more), (Error::Closed, 1));
        let mut got = [0; 4];
        assert_eq!(peer.read(&mut got).await, Ok(2));
        assert_eq!(peer.read(&mut got).await, Ok(0));
    });
}

#[test]
fn a_reset_is_an_error_and_data_before_the_end_is_not_lost() {
    Bench::new().run(async |bench, task| {
        let (socket, mut peer) = connected(bench, &task).await;
        peer.write_all(b"last").await.unwrap();
        peer.shutdown().await.unwrap();
        bench.settle().await;
        let room = bench.room(8);
        assert_eq!(task.net_recv(socket, room.output(), 0).await, Ok(4));
        assert_eq!(task.net_recv(socket, room.output(), 0).await, Ok(0));
        // Both ways are over, as wanted: that is no failure, and there is still a peer to name.
        task.net_shutdown(socket, NET_SHUT_WRITE).unwrap();
        bench.settle().await;
        assert_eq!(task.net_recv(socket, room.output(), 0).await, Ok(0));
        assert_eq!(task.net_get_option(socket, NET_OPT_ERROR), Ok(0));
        let ready = task.io_wait(socket, BOTH, 0).await;
        assert_eq!(ready, Ok(BOTH | IO_HANGUP));
        assert!(task.net_peer_address(socket).is_ok());
        let (socket, peer) = connected(bench, &task).await;
        peer.abort();
        let read = task.net_recv(socket, room.output(), 0).await;
        assert_eq!(failed(read), (Error::Io, 1));
        let ready = task.io_wait(socket, BOTH, 0).await.unwrap();
        assert_eq!(ready, BOTH | IO_HANGUP | IO_ERROR);
    });
}

#[test]
fn what_a_socket_cannot_do_in_its_state() {
    Bench::new().run(async |bench, task| {
        let room = bench.room(8);
        let fresh = stream(&task);
        let invalid = (Error::Invalid, 1);
        assert_eq!(failed(task.net_send(fresh, room.input(), 0).await), invalid);
        assert_eq!(
            failed(task.net_recv(fresh, room.output(), 0).await),
            invalid
        );
        assert_eq!(failed(task.net_accept(fresh, 0).await), invalid);
        assert_eq!(failed(task.net_shutdown(fresh, NET_SHUT_BOTH)), invalid);
        assert_eq!(failed(task.net_peer_address(fresh)), invalid);
        assert_eq!(
            failed(task.io_wait(fresh, BOTH, 1).await),
            (Error::Timeout, 0)
        );
        let listening = listener(bench, &task, 80);
        let at = bench.address(Ipv4Addr::UNSPECIFIED, 81);
        assert_eq!(failed(task.net_bind(listening, at.argument())), invalid);
        assert_eq!(failed(task.net_listen(listening, 1)), invalid);
        assert_eq!(
            failed(task.net_connect(listening, at.argument()).await),
            invalid
        );
        assert_eq!(
            failed(task.net_recv(listening, room.output(), 0).await),
            invalid
        );
        let taken = bench.address(Ipv4Addr::UNSPECIFIED, 80);
        assert_eq!(
            failed(task.net_bind(fresh, taken.argument())),
            (Error::Busy, 2)
        );
        let foreign = bench.address(PEER, 80);
        assert_eq!(
            failed(task.net_bind(fresh, foreign.argument())),
            (Error::Invalid, 2)
        );
        task.net_bind(fresh, at.argument()).unwrap();
        assert_eq!(failed(task.net_bind(fresh, at.argument())), invalid);
        let (connected, _peer) = connected(bench, &task).await;
        assert_eq!(failed(task.net_listen(connected, 0)), invalid);
    });
}

#[test]
fn a_bound_port_becomes_a_listener_or_the_end_of_a_connection() {
    Bench::new().run(async |bench, task| {
        let socket = stream(&task);
        let any = bench.packed(OWN, 0);
        task.net_bind(socket, any.argument()).unwrap();
        let local = task.net_local_address(socket).unwrap();
        assert!(local.ip() == IpAddr::V4(OWN) && local.port() >= 49_152);
        let peers = listen_at_peer(bench, 7);
        let to = bench.packed(PEER, 7);
        task.net_connect(socket, to.argument()).await.unwrap();
        assert_eq!(peers.accept().await.1, local);
        // Without an address: any free port.
        let socket = stream(&task);
        task.net_listen(socket, 1).unwrap();
        let port = task.net_local_address(socket).unwrap().port();
        let _client = connect_from_peer(bench, port).await;
        assert!(task.net_accept(socket, 0).await.is_ok());
    });
}

#[test]
fn pieces_are_filled_and_sent_one_after_the_other() {
    Bench::new().run(async |bench, task| {
        let (socket, mut peer) = connected(bench, &task).await;
        let parts = [bench.input(b"ab"), bench.input(b""), bench.input(b"cde")];
        let pieces = parts.each_ref().map(|part| part.input());
        assert_eq!(task.io_writev(socket, &pieces).await, Ok(5));
        let mut got = [0; 8];
        assert_eq!(peer.read(&mut got).await, Ok(5));
        assert_eq!(&got[..5], b"abcde");
        peer.write_all(b"12345").await.unwrap();
        let rooms = [bench.room(3), bench.room(0), bench.room(4)];
        let pieces = rooms.each_ref().map(|room| room.output());
        assert_eq!(task.io_readv(socket, &pieces).await, Ok(5));
        assert_eq!(
            (rooms[0].bytes(3), rooms[2].bytes(2)),
            (b"123".into(), b"45".into())
        );
        assert_eq!(task.io_readv(socket, &[]).await, Ok(0));
        task.net_set_option(socket, NET_OPT_NONBLOCK, 1).unwrap();
        assert_eq!(
            failed(task.io_read(socket, rooms[0].output()).await).0,
            Error::WouldBlock
        );
    });
}

#[test]
fn options_are_kept_checked_and_handed_on() {
    Bench::new().run(async |bench, task| {
        let socket = stream(&task);
        for (option, start, good, bad) in [
            (NET_OPT_NODELAY, 1, 0, 2),
            (NET_OPT_KEEPALIVE_NS, 0, 1_000_000_000, 999_999_999),
            (NET_OPT_TIMEOUT_NS, 0, 5_000_000_000, 0),
            (NET_OPT_RECEIVE_BUFFER, 16 << 10, 5000, 0),
            (NET_OPT_SEND_BUFFER, 16 << 10, 6000, u64::MAX),
        ] {
            assert_eq!(task.net_get_option(socket, option), Ok(start), "{option}");
            assert_eq!(task.net_set_option(socket, option, good), Ok(()));
            let refused = task.net_set_option(socket, option, bad);
            assert_eq!(failed(refused), (Error::Invalid, 3), "{option}");
            assert_eq!(task.net_get_option(socket, option), Ok(good));
        }
        for option in [0, NET_OPT_ERROR, 99] {
            let refused = task.net_set_option(socket, option, 0);
            assert_eq!(failed(refused), (Error::Unsupported, 2));
        }
        task.net_set_option(socket, NET_OPT_NONBLOCK, 1).unwrap();
        let at = bench.address(Ipv4Addr::UNSPECIFIED, 80);
        task.net_bind(socket, at.argument()).unwrap();
        task.net_listen(socket, u32::MAX).unwrap();
        let late = task.net_set_option(socket, NET_OPT_SEND_BUFFER, 1000);
        assert_eq!(failed(late), (Error::Invalid, 1));
        let _client = connect_from_peer(bench, 80).await;
        task.io_wait(socket, IO_READABLE, FOREVER).await.unwrap();
        let (accepted, _) = task.net_accept(socket, 0).await.unwrap();
        assert_eq!(
            task.net_get_option(accepted, NET_OPT_RECEIVE_BUFFER),
            Ok(5000)
        );
        assert_eq!(task.net_get_option(accepted, NET_OPT_NODELAY), Ok(0));
        assert_eq!(task.net_get_option(accepted, NET_OPT_NONBLOCK), Ok(0));
    });
}

#[test]
fn an_ipv6_socket_talks_both() {
    Bench::new().run(async |bench, task| {
        let server = task.net_socket(NET_INET6, NET_STREAM, NET_TCP).unwrap();
        let at = bench.address6("[::]:80");
        task.net_bind(server, at.argument()).unwrap();
        task.net_listen(server, 0).unwrap();
        let _client = connect_from_peer(bench, 80).await;
        let (_, peer) = task.net_accept(server, 0).await.unwrap();
        assert_eq!(peer.ip(), IpAddr::V6(PEER.to_ipv6_mapped()));
        for to in ["[::1]:80", "[::ffff:127.0.0.1]:80"] {
            let client = task.net_socket(NET_INET6, NET_STREAM, 0).unwrap();
            let to = bench.address6(to);
            task.net_connect(client, to.argument()).await.unwrap();
            assert!(task.net_peer_address(client).unwrap().is_ipv6());
        }
        let short = bench.address(PEER, 80);
        let socket = task.net_socket(NET_INET6, NET_STREAM, 0).unwrap();
        assert_eq!(
            failed(task.net_bind(socket, short.argument())),
            (Error::Invalid, 3)
        );
    });
}

#[test]
fn an_ipv4_listener_is_not_reached_by_ipv6() {
    Bench::new().run(async |bench, task| {
        let _ipv4 = listener(bench, &task, 80);
        let client = task.net_socket(NET_INET6, NET_STREAM, 0).unwrap();
        let to = bench.address6("[::1]:80");
        let refused = task.net_connect(client, to.argument()).await;
        assert_eq!(failed(refused), (Error::Io, 1));
    });
}
