//! IPv6: neighbours, routers, addresses, echo.

use crate::pair::{CLIENT_MAC, Pair, SERVER_MAC, configs, exchange, pattern};
use crate::raw::{Lone, PEER_MAC, frame};
use core::net::{IpAddr, Ipv6Addr, SocketAddr};
use netstack::testing::Conditions;
use netstack::{Config, DropCause, Ipv4Config, Ipv6Config, ListenOptions, StaticIpv6, TcpStream};
use reactor::time::Duration;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    EthernetAddress, EthernetProtocol, Icmpv6Packet, Icmpv6Repr, IpProtocol, Ipv6Packet, Ipv6Repr,
    NdiscNeighborFlags, NdiscRepr,
};

const ROUTER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const PREFIX: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0);
/// What the prefix and the interface identifier of `SERVER_MAC` make.
const GLOBAL: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0xff, 0xfe00, 2);
const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0xff, 0xfe00, 2);
const RESOLVER: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x53);

fn slaac() -> Config {
    let mut config = Config::new(SERVER_MAC);
    config.ipv4 = Ipv4Config::None;
    config.ipv6 = Ipv6Config::Slaac;
    config
}

pub(crate) fn icmpv6(source: Ipv6Addr, target: Ipv6Addr, hops: u8, message: &[u8]) -> Vec<u8> {
    let repr = Ipv6Repr {
        src_addr: source,
        dst_addr: target,
        next_header: IpProtocol::Icmpv6,
        payload_len: message.len(),
        hop_limit: hops,
    };
    let octets = target.octets();
    let group = [0x33, 0x33, octets[12], octets[13], octets[14], octets[15]];
    let to = if target.is_multicast() {
        group
    } else {
        SERVER_MAC
    };
    let len = repr.buffer_len() + message.len();
    frame(EthernetAddress(to), EthernetProtocol::Ipv6, len, |bytes| {
        let mut packet = Ipv6Packet::new_unchecked(bytes);
        repr.emit(&mut packet);
        packet.payload_mut().copy_from_slice(message);
        Icmpv6Packet::new_unchecked(packet.payload_mut()).fill_checksum(&source, &target);
    })
}

/// A router's advertisement of `PREFIX` and `RESOLVER`, with lifetimes in seconds.
fn advertisement(router: u16, valid: u32) -> Vec<u8> {
    let mut message = vec![134, 0, 0, 0, 64, 0];
    message.extend(router.to_be_bytes());
    message.extend([0; 8]);
    message.extend([1, 1]);
    message.extend(PEER_MAC.0);
    message.extend([3, 4, 64, 0xc0]);
    message.extend(valid.to_be_bytes());
    message.extend(valid.to_be_bytes());
    message.extend([0; 4]);
    message.extend(PREFIX.octets());
    message.extend([25, 3, 0, 0]);
    message.extend(valid.to_be_bytes());
    message.extend(RESOLVER.octets());
    icmpv6(ROUTER, ALL_NODES, 255, &message)
}

fn ndisc(source: Ipv6Addr, target: Ipv6Addr, message: NdiscRepr<'_>) -> Vec<u8> {
    let message = Icmpv6Repr::Ndisc(message);
    let mut bytes = vec![0; message.buffer_len()];
    let mut packet = Icmpv6Packet::new_unchecked(&mut bytes[..]);
    message.emit(
        &source,
        &target,
        &mut packet,
        &ChecksumCapabilities::ignored(),
    );
    icmpv6(source, target, 255, &bytes)
}

/// Type of the ICMPv6 message in a frame.
fn kind(frame: &[u8]) -> Option<u8> {
    (frame.get(12..14)? == [0x86, 0xdd] && frame.get(20) == Some(&58)).then(|| frame[54])
}

fn addresses(lone: &Lone) -> Vec<IpAddr> {
    lone.stack
        .addresses()
        .iter()
        .map(|own| own.address)
        .collect()
}

#[test]
fn a_router_gives_prefix_route_and_dns() {
    Lone::new(slaac()).run(async |lone| {
        let sent = lone.sent().await;
        assert_eq!(
            sent.iter()
                .filter_map(|frame| kind(frame))
                .collect::<Vec<_>>(),
            [135, 133]
        );
        assert_eq!(addresses(lone), [IpAddr::V6(LINK_LOCAL)]);
        let sent = lone.tell(advertisement(1800, 86_400)).await;
        lone.stack.wait_config_up().await;
        assert_eq!(
            addresses(lone),
            [IpAddr::V6(LINK_LOCAL), IpAddr::V6(GLOBAL)]
        );
        assert_eq!(lone.stack.gateways(), [IpAddr::V6(ROUTER)]);
        assert_eq!(lone.stack.dns_servers(), [IpAddr::V6(RESOLVER)]);
        // The new address is probed for.
        assert_eq!(
            sent.iter()
                .filter_map(|frame| kind(frame))
                .collect::<Vec<_>>(),
            [135]
        );
    });
}

#[test]
fn routers_are_asked_three_times() {
    Lone::new(slaac()).run(async |lone| {
        lone.sleep(Duration::from_secs(100)).await;
        let sent = lone.sent().await;
        assert_eq!(
            sent.iter().filter(|frame| kind(frame) == Some(133)).count(),
            3
        );
    });
}

#[test]
fn what_routers_gave_expires() {
    Lone::new(slaac()).run(async |lone| {
        lone.tell(advertisement(100, 300)).await;
        lone.sleep(Duration::from_secs(101)).await;
        assert!(lone.stack.gateways().is_empty());
        assert_eq!(addresses(lone).len(), 2);
        lone.tell(advertisement(100, 300)).await;
        lone.sleep(Duration::from_secs(299)).await;
        assert_eq!(addresses(lone).len(), 2);
        lone.sleep(Duration::from_secs(2)).await;
        assert_eq!(addresses(lone), [IpAddr::V6(LINK_LOCAL)]);
        assert!(lone.stack.dns_servers().is_empty());
    });
}

#[test]
fn a_short_lifetime_does_not_cut_a_long_one_off() {
    Lone::new(slaac()).run(async |lone| {
        lone.tell(advertisement(1800, 86_400)).await;
        lone.tell(advertisement(1800, 1)).await;
        lone.sleep(Duration::from_secs(7000)).await;
        assert_eq!(addresses(lone).len(), 2);
        lone.sleep(Duration::from_secs(300)).await;
        assert_eq!(addresses(lone).len(), 1);
    });
}

#[test]
fn a_taken_address_is_given_back_but_only_at_first() {
    Lone::new(slaac()).run(async |lone| {
        lone.tell(advertisement(1800, 86_400)).await;
        let claim = || {
            let lladdr = Some(PEER_MAC.into());
            let flags = NdiscNeighborFlags::OVERRIDE;
            let claim = NdiscRepr::NeighborAdvert {
                flags,
                target_addr: GLOBAL,
                lladdr,
            };
            ndisc(GLOBAL, ALL_NODES, claim)
        };
        lone.tell(claim()).await;
        assert_eq!(addresses(lone), [IpAddr::V6(LINK_LOCAL)]);
    });
    Lone::new(slaac()).run(async |lone| {
        lone.tell(advertisement(1800, 86_400)).await;
        lone.sleep(Duration::from_secs(2)).await;
        let flags = NdiscNeighborFlags::OVERRIDE;
        let lladdr = Some(PEER_MAC.into());
        let claim = NdiscRepr::NeighborAdvert {
            flags,
            target_addr: GLOBAL,
            lladdr,
        };
        lone.tell(ndisc(GLOBAL, ALL_NODES, claim)).await;
        assert_eq!(
            addresses(lone).len(),
            2,
            "a late claim is an attack or a mistake"
        );
    });
}

#[test]
fn solicitations_are_answered() {
    Lone::new(slaac()).run(async |lone| {
        lone.sent().await;
        let asker = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 9);
        let lladdr = Some(PEER_MAC.into());
        let question = NdiscRepr::NeighborSolicit {
            target_addr: LINK_LOCAL,
            lladdr,
        };
        let sent = lone.tell(ndisc(asker, LINK_LOCAL, question)).await;
        assert_eq!(kind(&sent[0]), Some(136));
        assert_eq!(&sent[0][..6], PEER_MAC.as_bytes());
        // And whoever checks whether our address is free hears that it is not.
        let probe = NdiscRepr::NeighborSolicit {
            target_addr: LINK_LOCAL,
            lladdr: None,
        };
        let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 2);
        let sent = lone.tell(ndisc(Ipv6Addr::UNSPECIFIED, group, probe)).await;
        assert_eq!(
            (kind(&sent[0]), &sent[0][..2]),
            (Some(136), &[0x33, 0x33][..])
        );
    });
}

#[test]
fn a_solicitation_that_is_not_whole_is_counted_and_not_answered() {
    /// A solicitation for our address with these options behind it.
    fn question(options: &[u8]) -> Vec<u8> {
        let mut message = vec![135, 0, 0, 0, 0, 0, 0, 0];
        message.extend(LINK_LOCAL.octets());
        message.extend(options);
        message
    }
    fn whole() -> Vec<u8> {
        question(&[1, 1, 2, 0, 0, 0, 0, 0x99])
    }
    let asker = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 9);
    let tell = async |lone: &Lone, message: &[u8], sum: u8| {
        let mut frame = icmpv6(asker, LINK_LOCAL, 255, message);
        frame[57] ^= sum;
        let sent = lone.tell(frame).await;
        sent.iter().any(|frame| kind(frame) == Some(136))
    };
    Lone::new(slaac()).run(async |lone| {
        lone.sent().await;
        assert!(tell(lone, &whole(), 0).await);
        let mut code = whole();
        code[1] = 1;
        let wrong = [
            (whole(), 1),
            (code, 0),
            (question(&[1, 0, 2, 0, 0, 0, 0, 0x99]), 0),
            (question(&[1, 2, 2, 0, 0, 0, 0, 0x99]), 0),
            (question(&[1, 1, 2, 0, 0, 0, 0, 0x99, 5]), 0),
            (whole()[..20].to_vec(), 0),
        ];
        for (count, (message, sum)) in wrong.iter().enumerate() {
            assert!(!tell(lone, message, *sum).await, "{message:?}");
            let dropped = lone.stack.stats().dropped(DropCause::NeighborDiscovery);
            assert_eq!(dropped, count as u64 + 1, "{message:?}");
        }
    });
}

#[test]
fn what_came_through_a_router_is_no_discovery() {
    Lone::new(slaac()).run(async |lone| {
        let mut forwarded = advertisement(1800, 86_400);
        forwarded[21] = 254;
        lone.tell(forwarded).await;
        assert_eq!(addresses(lone), [IpAddr::V6(LINK_LOCAL)]);
        assert_eq!(lone.stack.stats().dropped(DropCause::NeighborDiscovery), 1);
    });
}

#[test]
fn echo_requests_are_answered() {
    Lone::new(slaac()).run(async |lone| {
        lone.tell(advertisement(1800, 86_400)).await;
        let far = Ipv6Addr::new(0x2a00, 0, 0, 0, 0, 0, 0, 1);
        let ping = [128, 0, 0, 0, 0, 7, 0, 1, b'h', b'i'];
        let sent = lone.tell(icmpv6(far, GLOBAL, 64, &ping)).await;
        assert_eq!(kind(&sent[0]), Some(129));
        assert_eq!(&sent[0][..6], PEER_MAC.as_bytes(), "through the router");
        assert_eq!(&sent[0][58..], &ping[4..]);
    });
}

#[test]
fn tcp_runs_over_ipv6_and_neighbors_find_each_other() {
    let mut configs = configs();
    for (config, last) in configs.iter_mut().zip([1, 2]) {
        config.ipv6 = Ipv6Config::Static(StaticIpv6 {
            address: Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, last),
            prefix: 64,
            gateway: None,
            dns: Vec::new(),
        });
    }
    let conditions = Conditions {
        loss: 50,
        ..Conditions::default()
    };
    Pair::with_configs(11, conditions, configs).run(async |pair| {
        pair.serve_echo(ListenOptions::default());
        let link_local = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0xff, 0xfe00, 2);
        for address in [Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2), link_local] {
            let peer = SocketAddr::new(address.into(), 7);
            let stream = TcpStream::connect(&pair.client, peer).await.unwrap();
            let sent = pattern(50_000, 1);
            assert_eq!(exchange(stream, sent.clone(), &pair.spawner).await, sent);
        }
        assert_ne!(CLIENT_MAC, SERVER_MAC);
    });
}
