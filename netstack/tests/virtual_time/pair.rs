//! Two stacks on a wire.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use netstack::testing::{Conditions, Wire, random};
use netstack::{Config, Ipv4Config, Stack, StaticIpv4};
use reactor::testing::VirtualClock;
use reactor::time::Duration;
use reactor::{Clock, Reactor, Spawner};

pub(crate) const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
pub(crate) const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
pub(crate) const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub(crate) const SERVER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];

/// A client at end 0 and a server at end 1, both with static addresses.
pub(crate) struct Pair {
    pub(crate) reactor: Reactor,
    pub(crate) clock: Clock,
    pub(crate) spawner: Spawner,
    #[expect(dead_code)]
    pub(crate) wire: Wire,
    pub(crate) client: Stack,
    pub(crate) server: Stack,
}

pub(crate) fn config(mac: [u8; 6], address: Ipv4Addr) -> Config {
    let mut config = Config::new(mac);
    config.ipv4 = Ipv4Config::Static(StaticIpv4 {
        address,
        prefix: 24,
        gateway: None,
        dns: Vec::new(),
    });
    config
}

impl Pair {
    pub(crate) fn new(seed: u64, conditions: Conditions) -> Pair {
        let configs = [config(CLIENT_MAC, CLIENT), config(SERVER_MAC, SERVER)];
        Pair::with_configs(seed, conditions, configs)
    }

    pub(crate) fn with_configs(seed: u64, conditions: Conditions, configs: [Config; 2]) -> Pair {
        let reactor = Reactor::new(VirtualClock::new());
        let (clock, spawner) = (reactor.clock(), reactor.spawner());
        let (wire, client_end, server_end) = Wire::new(&clock, seed, conditions);
        let [client, server] = configs;
        let (client, client_runner) =
            netstack::new(client_end, client, clock.clone(), random(seed + 1)).unwrap();
        let (server, server_runner) =
            netstack::new(server_end, server, clock.clone(), random(seed + 2)).unwrap();
        spawner
            .task("client network")
            .spawn(client_runner.run())
            .detach();
        spawner
            .task("server network")
            .spawn(server_runner.run())
            .detach();
        Pair {
            reactor,
            clock,
            spawner,
            wire,
            client,
            server,
        }
    }

    /// Runs a test, at most a virtual day long.
    pub(crate) fn run<R>(&self, test: impl AsyncFnOnce(&Pair) -> R) -> R {
        let day = Duration::from_secs(24 * 60 * 60);
        let done = self.reactor.block_on(self.clock.timeout(day, test(self)));
        done.expect("the test ends within a virtual day")
    }

    pub(crate) fn server_at(&self, port: u16) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(SERVER), port)
    }
}

/// Bytes that tell where they belong.
pub(crate) fn pattern(len: usize, seed: u64) -> Vec<u8> {
    let mut random = random(seed);
    (0..len).map(|_| random() as u8).collect()
}
