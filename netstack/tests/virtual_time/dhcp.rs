//! The DHCP client against a server that the test plays, over days of virtual time.

use crate::pair::SERVER_MAC;
use crate::raw::{Lone, arp, as_arp, udp};
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use netstack::{Config, DropCause, ListenOptions, TcpListener, TcpStream};
use reactor::time::{Duration, Instant};
use smoltcp::wire::{
    ArpOperation, DhcpMessageType, DhcpOption, DhcpPacket, DhcpRepr, EthernetAddress,
};

const SERVER: Ipv4Addr = Ipv4Addr::new(192, 168, 7, 1);
const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 168, 7, 20);
const LEASE: u32 = 3600;

fn client() -> Lone {
    let mut config = Config::new(SERVER_MAC);
    config.hostname = "guest".into();
    Lone::new(config)
}

/// What the client asked, and whether it asked everybody.
#[derive(Debug)]
pub(crate) struct Asked {
    kind: DhcpMessageType,
    pub(crate) transaction: u32,
    requested: Option<Ipv4Addr>,
    server: Option<Ipv4Addr>,
    client_ip: Ipv4Addr,
    broadcast: bool,
    hostname: Option<Vec<u8>>,
}

pub(crate) fn as_dhcp(frame: &[u8]) -> Option<Asked> {
    if frame.get(12..14)? != [8, 0] || frame.get(36..38)? != [0, 67] {
        return None;
    }
    let packet = DhcpPacket::new_checked(&frame[42..]).unwrap();
    let repr = DhcpRepr::parse(&packet).unwrap();
    Some(Asked {
        kind: repr.message_type,
        transaction: repr.transaction_id,
        requested: repr.requested_ip,
        server: repr.server_identifier,
        client_ip: repr.client_ip,
        broadcast: frame[..6] == [0xff; 6],
        hostname: packet
            .options()
            .find(|o| o.kind == 12)
            .map(|o| o.data.to_vec()),
    })
}

fn message(kind: DhcpMessageType, transaction: u32, options: &[DhcpOption<'_>]) -> Vec<u8> {
    let repr = DhcpRepr {
        message_type: kind,
        transaction_id: transaction,
        secs: 0,
        client_hardware_address: EthernetAddress(SERVER_MAC),
        client_ip: Ipv4Addr::UNSPECIFIED,
        your_ip: ADDRESS,
        server_ip: SERVER,
        router: Some(SERVER),
        subnet_mask: Some(Ipv4Addr::new(255, 255, 255, 0)),
        relay_agent_ip: Ipv4Addr::UNSPECIFIED,
        broadcast: false,
        requested_ip: None,
        client_identifier: None,
        server_identifier: Some(SERVER),
        parameter_request_list: None,
        dns_servers: Some([SERVER].into_iter().collect()),
        max_size: None,
        lease_duration: Some(LEASE),
        renew_duration: None,
        rebind_duration: None,
        additional_options: options,
    };
    let mut bytes = vec![0; repr.buffer_len()];
    repr.emit(&mut DhcpPacket::new_unchecked(&mut bytes[..]))
        .unwrap();
    // Like a real server, it sends to the address it gives, before the client has it.
    udp((SERVER.into(), 67), (ADDRESS.into(), 68), &bytes)
}

/// The next DHCP message within `limit`.
async fn next(lone: &Lone, limit: Duration) -> Option<Asked> {
    let end = lone.clock.now() + limit;
    while lone.clock.now() < end {
        let sent = lone.sent().await;
        if let Some(asked) = sent.iter().find_map(|frame| as_dhcp(frame)) {
            return Some(asked);
        }
        lone.sleep(Duration::from_millis(100)).await;
    }
    None
}

async fn expect(lone: &Lone, kind: DhcpMessageType, limit: u64) -> Asked {
    let asked = next(lone, Duration::from_secs(limit)).await;
    let asked = asked.unwrap_or_else(|| panic!("no {kind:?} within {limit} s"));
    assert_eq!(asked.kind, kind, "{asked:?}");
    asked
}

/// Discover, offer, request, acknowledgement.
async fn bind(lone: &Lone, options: &[DhcpOption<'_>]) {
    let discover = expect(lone, DhcpMessageType::Discover, 200).await;
    lone.wire.inject(
        1,
        message(DhcpMessageType::Offer, discover.transaction, &[]),
    );
    let request = expect(lone, DhcpMessageType::Request, 1).await;
    lone.wire.inject(
        1,
        message(DhcpMessageType::Ack, request.transaction, options),
    );
    lone.stack.wait_config_up().await;
}

fn addresses(lone: &Lone) -> Vec<IpAddr> {
    lone.stack
        .addresses()
        .iter()
        .map(|own| own.address)
        .collect()
}

#[test]
fn a_lease_gives_address_gateway_and_dns() {
    client().run(async |lone| {
        let discover = expect(lone, DhcpMessageType::Discover, 1).await;
        assert!(discover.broadcast && discover.hostname.as_deref() == Some(b"guest"));
        lone.wire.inject(
            1,
            message(DhcpMessageType::Offer, discover.transaction, &[]),
        );
        let request = expect(lone, DhcpMessageType::Request, 1).await;
        assert!(request.broadcast && request.transaction == discover.transaction);
        assert_eq!(
            (request.requested, request.server),
            (Some(ADDRESS), Some(SERVER))
        );
        lone.wire
            .inject(1, message(DhcpMessageType::Ack, request.transaction, &[]));
        lone.stack.wait_config_up().await;
        assert_eq!(addresses(lone), [IpAddr::V4(ADDRESS)]);
        assert_eq!(lone.stack.addresses()[0].prefix, 24);
        assert_eq!(lone.stack.gateways(), [IpAddr::V4(SERVER)]);
        assert_eq!(lone.stack.dns_servers(), [IpAddr::V4(SERVER)]);
        let announced = lone.sent().await;
        let expected = Some((ArpOperation::Request, ADDRESS, ADDRESS));
        assert!(announced.iter().any(|frame| as_arp(frame) == expected));
    });
}

#[test]
fn a_silent_server_is_asked_ever_more_slowly() {
    client().run(async |lone| {
        let mut times = Vec::new();
        for _ in 0..10 {
            expect(lone, DhcpMessageType::Discover, 200).await;
            times.push(lone.clock.now());
        }
        let gaps: Vec<u64> = times
            .windows(2)
            .map(|pair| pair[1].duration_since(pair[0]).as_secs())
            .collect();
        assert!(gaps[0] <= 1 && gaps[4] >= 11 && gaps[8] >= 47, "{gaps:?}");
        assert!(gaps.iter().all(|gap| *gap <= 81), "{gaps:?}");
        assert!(addresses(lone).is_empty());
        bind(lone, &[]).await;
    });
}

#[test]
fn a_lease_is_renewed_at_half_time_with_its_server_only() {
    client().run(async |lone| {
        bind(lone, &[]).await;
        let mut bound = lone.clock.now();
        for _ in 0..50 {
            // The server asks where we are before it answers, as ARP caches expire meanwhile.
            lone.sleep(Duration::from_secs(u64::from(LEASE) / 2 - 10))
                .await;
            lone.tell(arp(ArpOperation::Request, SERVER, ADDRESS)).await;
            let renew = expect(lone, DhcpMessageType::Request, 20).await;
            assert!(!renew.broadcast && renew.client_ip == ADDRESS, "{renew:?}");
            assert_eq!((renew.requested, renew.server), (None, None));
            let waited = lone.clock.now().duration_since(bound).as_secs();
            assert!((1800..=1801).contains(&waited), "{waited}");
            lone.wire
                .inject(1, message(DhcpMessageType::Ack, renew.transaction, &[]));
            bound = lone.clock.now();
        }
        assert_eq!(addresses(lone), [IpAddr::V4(ADDRESS)]);
    });
}

#[test]
fn without_its_server_a_lease_is_rebound_with_any() {
    client().run(async |lone| {
        bind(lone, &[]).await;
        let bound = lone.clock.now();
        let rebind = loop {
            let asked = expect(lone, DhcpMessageType::Request, 4000).await;
            if asked.broadcast {
                break asked;
            }
        };
        let waited = lone.clock.now().duration_since(bound).as_secs();
        assert!(
            (3150..=3151).contains(&waited),
            "seven eighths of the lease: {waited}"
        );
        lone.wire
            .inject(1, message(DhcpMessageType::Ack, rebind.transaction, &[]));
        lone.sleep(Duration::from_secs(1000)).await;
        assert_eq!(addresses(lone), [IpAddr::V4(ADDRESS)]);
    });
}

#[test]
fn a_lease_that_nobody_renews_ends_and_with_it_its_connections() {
    client().run(async |lone| {
        bind(lone, &[]).await;
        let stack = lone.stack.clone();
        let peer = SocketAddr::new(Ipv4Addr::new(192, 168, 7, 99).into(), 80);
        lone.sleep(Duration::from_secs(u64::from(LEASE) - 10)).await;
        let listener = TcpListener::bind(&lone.stack, 80, ListenOptions::default()).unwrap();
        let ourselves = SocketAddr::new(ADDRESS.into(), 80);
        let mut to_ourselves = TcpStream::connect(&lone.stack, ourselves).await.unwrap();
        let _accepted = listener.accept().await;
        let connecting = lone
            .spawner
            .spawn(async move { TcpStream::connect(&stack, peer).await });
        lone.sleep(Duration::from_secs(11)).await;
        lone.sent().await;
        assert!(addresses(lone).is_empty() && lone.stack.gateways().is_empty());
        let ended = to_ourselves.read(&mut [0; 1]).await;
        assert_eq!(ended, Err(netstack::StreamError::Aborted));
        let error = connecting.await.unwrap().err();
        assert_eq!(error, Some(netstack::ConnectError::Unreachable));
        bind(lone, &[]).await;
        assert_eq!(addresses(lone), [IpAddr::V4(ADDRESS)]);
    });
}

#[test]
fn a_refusal_starts_the_search_again() {
    client().run(async |lone| {
        let discover = expect(lone, DhcpMessageType::Discover, 1).await;
        lone.wire.inject(
            1,
            message(DhcpMessageType::Offer, discover.transaction, &[]),
        );
        let request = expect(lone, DhcpMessageType::Request, 1).await;
        lone.wire
            .inject(1, message(DhcpMessageType::Nak, request.transaction, &[]));
        bind(lone, &[]).await;
        // And the same when it refuses to renew.
        lone.sleep(Duration::from_secs(u64::from(LEASE) / 2 - 10))
            .await;
        lone.tell(arp(ArpOperation::Request, SERVER, ADDRESS)).await;
        let renew = expect(lone, DhcpMessageType::Request, 20).await;
        lone.wire
            .inject(1, message(DhcpMessageType::Nak, renew.transaction, &[]));
        lone.sleep(Duration::from_millis(10)).await;
        assert!(addresses(lone).is_empty());
        bind(lone, &[]).await;
    });
}

#[test]
fn a_server_that_offers_and_then_is_silent_is_left() {
    client().run(async |lone| {
        let discover = expect(lone, DhcpMessageType::Discover, 1).await;
        lone.wire.inject(
            1,
            message(DhcpMessageType::Offer, discover.transaction, &[]),
        );
        for _ in 0..4 {
            expect(lone, DhcpMessageType::Request, 20).await;
        }
        bind(lone, &[]).await;
    });
}

#[test]
fn strange_messages_change_nothing() {
    client().run(async |lone| {
        let discover = expect(lone, DhcpMessageType::Discover, 1).await;
        let other = discover.transaction.wrapping_add(1);
        // An offer with a bit of the message turned over, and without a UDP checksum.
        let wrong = |byte: usize| {
            let mut offer = message(DhcpMessageType::Offer, discover.transaction, &[]);
            offer[42 + byte] ^= 4;
            offer[40..42].copy_from_slice(&[0, 0]);
            offer
        };
        for frame in [
            message(DhcpMessageType::Offer, other, &[]),
            udp((SERVER.into(), 67), (ADDRESS.into(), 68), b"nonsense"),
            // Who speaks, kind and length of addresses, whom to, the cookie.
            wrong(0),
            wrong(1),
            wrong(2),
            wrong(28),
            wrong(239),
        ] {
            let before = lone.stack.stats().dropped(DropCause::Dhcp);
            lone.wire.inject(1, frame);
            lone.sleep(Duration::from_micros(1)).await;
            assert_eq!(lone.stack.stats().dropped(DropCause::Dhcp), before + 1);
        }
        // An acknowledgement that nobody asked for.
        lone.wire
            .inject(1, message(DhcpMessageType::Ack, discover.transaction, &[]));
        lone.sleep(Duration::from_micros(1)).await;
        assert!(addresses(lone).is_empty());
        bind(lone, &[]).await;
    });
}

#[test]
fn the_default_route_of_the_classless_option_wins() {
    client().run(async |lone| {
        let routes = [32, 10, 0, 0, 1, 0, 0, 0, 0, 0, 169, 254, 1, 1];
        bind(
            lone,
            &[DhcpOption {
                kind: 121,
                data: &routes,
            }],
        )
        .await;
        assert_eq!(lone.stack.gateways(), [IpAddr::from([169, 254, 1, 1])]);
    });
}

#[test]
fn the_lease_is_confirmed_when_the_cable_is_back() {
    client().run(async |lone| {
        bind(lone, &[]).await;
        lone.wire.set_up(false);
        lone.sleep(Duration::from_secs(10)).await;
        lone.wire.set_up(true);
        let confirm = expect(lone, DhcpMessageType::Request, 1).await;
        assert!(confirm.broadcast && confirm.client_ip == ADDRESS);
        lone.wire
            .inject(1, message(DhcpMessageType::Ack, confirm.transaction, &[]));
        lone.sleep(Duration::from_secs(1)).await;
        assert_eq!(addresses(lone), [IpAddr::V4(ADDRESS)]);
    });
}

/// Requests within an hour of a server that gives these times to renew and to rebind.
fn requests_in_an_hour(renew: u32, rebind: u32) -> usize {
    client().run(async |lone| {
        let times = [(58, renew.to_be_bytes()), (59, rebind.to_be_bytes())];
        let options = times.each_ref().map(|(kind, data)| DhcpOption {
            kind: *kind,
            data: &data[..],
        });
        bind(lone, &options).await;
        let end = lone.clock.now() + Duration::from_secs(3600);
        let mut requests = 0;
        while lone.clock.now() < end {
            // The server asks where we are, as ARP caches expire meanwhile.
            lone.wire
                .inject(1, arp(ArpOperation::Request, SERVER, ADDRESS));
            if let Some(asked) = next(lone, Duration::from_secs(10)).await {
                requests += 1;
                let ack = message(DhcpMessageType::Ack, asked.transaction, &options);
                lone.wire.inject(1, ack);
            }
        }
        assert_eq!(addresses(lone), [IpAddr::V4(ADDRESS)]);
        requests
    })
}

#[test]
fn no_server_can_make_us_renew_all_the_time() {
    for (renew, rebind) in [(0, 0), (0, 3150), (1800, 0), (1, 2), (59, 59)] {
        let requests = requests_in_an_hour(renew, rebind);
        assert!(
            (1..=2).contains(&requests),
            "T1={renew} T2={rebind}: {requests} requests"
        );
    }
}

#[test]
fn a_bound_client_rests() {
    client().run(async |lone| {
        bind(lone, &[]).await;
        lone.sleep(Duration::from_secs(100)).await;
        let before = lone.stack.stats();
        lone.sleep(Duration::from_secs(1600)).await;
        assert_eq!(lone.stack.stats(), before);
        assert!(lone.clock.now() > Instant::ZERO);
    });
}
