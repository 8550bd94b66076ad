//! Two stacks on a wire, and what most tests do with them.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use netstack::testing::{Conditions, Wire, random};
use netstack::{
    Config, Ipv4Config, ListenOptions, Stack, StaticIpv4, StreamError, TcpListener, TcpStream,
};
use reactor::testing::VirtualClock;
use reactor::time::Duration;
use reactor::{Clock, Reactor, Spawner};

pub(crate) const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
pub(crate) const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
pub(crate) const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub(crate) const SERVER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];

/// A client at end 0 and a server at end 1, both with static addresses unless told otherwise.
pub(crate) struct Pair {
    pub(crate) reactor: Reactor,
    pub(crate) clock: Clock,
    pub(crate) spawner: Spawner,
    pub(crate) wire: Wire,
    pub(crate) client: Stack,
    pub(crate) server: Stack,
}

/// A static address in a /24.
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

pub(crate) fn configs() -> [Config; 2] {
    [config(CLIENT_MAC, CLIENT), config(SERVER_MAC, SERVER)]
}

impl Pair {
    pub(crate) fn new(seed: u64, conditions: Conditions) -> Pair {
        Pair::with_configs(seed, conditions, configs())
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

    pub(crate) fn listen(&self, port: u16, options: ListenOptions) -> TcpListener {
        TcpListener::bind(&self.server, port, options).unwrap()
    }

    pub(crate) async fn connect(&self, port: u16) -> TcpStream {
        TcpStream::connect(&self.client, server_at(port))
            .await
            .unwrap()
    }

    /// A connection, both ends of it: the client's and the server's.
    pub(crate) async fn connected(&self) -> (TcpStream, TcpStream) {
        let listener = self.listen(9, ListenOptions::default());
        let client = self.connect(9).await;
        let (server, _) = listener.accept().await;
        (client, server)
    }

    /// Serves echo on port 7, any number of connections.
    pub(crate) fn serve_echo(&self, options: ListenOptions) {
        let listener = self.listen(7, options);
        let spawner = self.spawner.clone();
        let accepting = async move {
            loop {
                let (stream, _) = listener.accept().await;
                spawner.task("echo").spawn(echo(stream)).detach();
            }
        };
        self.spawner.task("accept").spawn(accepting).detach();
    }

    pub(crate) async fn sleep(&self, span: Duration) {
        self.clock.sleep(span).await;
    }
}

/// Sends back what comes, until the peer is done or gone.
pub(crate) async fn echo(mut stream: TcpStream) {
    let mut buffer = [0; 2048];
    while let Ok(read) = stream.read(&mut buffer).await
        && read > 0
    {
        if stream.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

/// Reads to the end.
pub(crate) async fn read_all(stream: &mut TcpStream) -> Result<Vec<u8>, StreamError> {
    let mut all = Vec::new();
    let mut buffer = [0; 1500];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(all),
            read => all.extend_from_slice(&buffer[..read]),
        }
    }
}

/// Writes and reads at the same time, and gives what came back.
pub(crate) async fn exchange(stream: TcpStream, sent: Vec<u8>, spawner: &Spawner) -> Vec<u8> {
    let (mut reader, mut writer) = stream.into_split();
    let writing = spawner.spawn(async move {
        writer.write_all(&sent).await.unwrap();
        writer.shutdown().await.unwrap();
    });
    let mut got = Vec::new();
    let mut buffer = [0; 1500];
    loop {
        match reader.read(&mut buffer).await.unwrap() {
            0 => break,
            read => got.extend_from_slice(&buffer[..read]),
        }
    }
    writing.await.unwrap();
    got
}

pub(crate) fn server_at(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(SERVER), port)
}

/// Bytes that tell where they belong.
pub(crate) fn pattern(len: usize, seed: u64) -> Vec<u8> {
    let mut random = random(seed);
    (0..len).map(|_| random() as u8).collect()
}
