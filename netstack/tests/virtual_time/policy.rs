//! Handles that may do less: what each refuses, and that the refusal is in the handle.

use crate::pair::{CLIENT, Pair, SERVER, server_at};
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use netstack::testing::Conditions;
use netstack::{
    AddressPrefix, BindError, ConnectError, ListenOptions, Policy, PortRange, Protocol,
    ResolveError, Rule, SendError, Stack, TcpListener, TcpSocket, TcpStream, UdpSocket,
};

fn listen(protocol: Protocol, port: u16) -> Rule {
    let ports = PortRange {
        first: port,
        last: port,
    };
    let protocol = Some(protocol);
    Rule::Listen { protocol, ports }
}

fn connect(protocol: Protocol, to: Ipv4Addr, port: u16) -> Rule {
    let to = AddressPrefix {
        address: to.into(),
        prefix: 32,
    };
    let ports = PortRange {
        first: port,
        last: port,
    };
    Rule::Connect {
        protocol: Some(protocol),
        to: Some(to),
        ports,
    }
}

fn run(test: impl AsyncFnOnce(&Pair)) {
    Pair::new(5, Conditions::default()).run(test);
}

fn restricted<const N: usize>(stack: &Stack, rules: [Rule; N]) -> Stack {
    stack.restricted(Policy::new(rules))
}

#[test]
fn a_listener_needs_its_port_allowed() {
    run(async |pair| {
        let stack = restricted(&pair.server, [listen(Protocol::Tcp, 80)]);
        let bind = |port| TcpListener::bind(&stack, port, ListenOptions::default());
        assert_eq!(bind(81).err(), Some(BindError::Forbidden));
        assert_eq!(bind(0).err(), Some(BindError::Forbidden));
        let listener = bind(80).unwrap();
        let _client = pair.connect(80).await;
        listener.accept().await;
        assert_eq!(
            UdpSocket::bind(&stack, 80).err(),
            Some(BindError::Forbidden)
        );
    });
}

#[test]
fn a_stream_needs_its_peer_allowed() {
    run(async |pair| {
        let _listener = pair.listen(80, ListenOptions::default());
        let stack = restricted(&pair.client, [connect(Protocol::Tcp, SERVER, 80)]);
        let other = TcpStream::connect(&stack, server_at(81)).await;
        assert_eq!(other.err(), Some(ConnectError::Forbidden));
        assert!(TcpStream::connect(&stack, server_at(80)).await.is_ok());
        // From a port of its own, which may not become a listener.
        let port = TcpSocket::bind(&stack, 0).unwrap();
        let other = port.begin_connect(server_at(81), ListenOptions::default());
        assert_eq!(other.err(), Some(ConnectError::Forbidden));
        let (_, error) = port.listen(ListenOptions::default()).err().unwrap();
        assert_eq!(error, BindError::Forbidden);
        let fixed = TcpSocket::bind(&stack, 999);
        assert_eq!(fixed.err(), Some(BindError::Forbidden));
    });
}

#[test]
fn a_datagram_needs_its_peer_or_its_port_allowed() {
    run(async |pair| {
        let stack = restricted(&pair.client, [connect(Protocol::Udp, SERVER, 53)]);
        let client = UdpSocket::bind(&stack, 0).unwrap();
        assert_eq!(client.send_to(b"x", server_at(53)).await, Ok(()));
        let other = client.send_to(b"x", server_at(54)).await;
        assert_eq!(other, Err(SendError::Forbidden));
        assert_eq!(client.connect(server_at(54)), Err(SendError::Forbidden));
        assert_eq!(UdpSocket::bind(&stack, 7).err(), Some(BindError::Forbidden));
        let stack = restricted(&pair.server, [listen(Protocol::Udp, 53)]);
        let server = UdpSocket::bind(&stack, 53).unwrap();
        let anybody = SocketAddr::new(CLIENT.into(), 1234);
        assert_eq!(server.send_to(b"x", anybody).await, Ok(()));
        assert_eq!(UdpSocket::bind(&stack, 0).err(), Some(BindError::Forbidden));
    });
}

#[test]
fn names_need_no_sockets_of_the_asker() {
    run(async |pair| {
        let asked = restricted(&pair.client, []).resolve("localhost").await;
        assert_eq!(asked, Err(ResolveError::Forbidden));
        let stack = restricted(&pair.client, [Rule::Resolve]);
        let found = stack.resolve("localhost").await.unwrap();
        assert_eq!(found[0], IpAddr::from(Ipv4Addr::LOCALHOST));
        // There is no server; it got as far as looking for one.
        let asked = stack.resolve("example.org").await;
        assert_eq!(asked, Err(ResolveError::NoServer));
    });
}

#[test]
fn nobody_gives_himself_more() {
    run(async |pair| {
        let narrow = restricted(&pair.server, [listen(Protocol::Tcp, 80)]);
        let wide = restricted(
            &narrow,
            [
                listen(Protocol::Tcp, 80),
                listen(Protocol::Tcp, 81),
                Rule::Resolve,
            ],
        );
        let bind = |port| TcpListener::bind(&wide, port, ListenOptions::default());
        assert!(bind(80).is_ok());
        assert_eq!(bind(81).err(), Some(BindError::Forbidden));
        let asked = wide.resolve("localhost").await;
        assert_eq!(asked, Err(ResolveError::Forbidden));
    });
}
