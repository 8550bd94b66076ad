//! Names to addresses (RFC 1035), by the servers that the configuration, DHCP or routers named.
//!
//! A question is a socket of its own with a random port and random ids, gone when it is answered,
//! so that nobody who cannot see the traffic can answer for the server (RFC 5452). Nothing is
//! cached: whoever asks often should keep the answer.

mod message;

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use message::{Answer, Name, Query};
use smoltcp::wire::DnsQueryType;

use crate::error::ResolveError;
use crate::stack::Stack;
use crate::udp::{UdpOptions, UdpSocket};
use policy::network::Access;

/// How long a server may take; the second round waits twice as long.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Times that each server is asked.
const ROUNDS: u32 = 2;
/// Servers asked; further ones are ignored.
const MAX_SERVERS: usize = 4;
const PORT: u16 = 53;
/// The largest answer without extensions is 512 bytes (RFC 1035 §4.2.1); two may wait.
const QUEUES: UdpOptions = UdpOptions {
    packets: 4,
    bytes: 4096,
};

impl Stack {
    /// Finds the addresses of a name: IPv4 ones first, and of each family only where the stack has
    /// an address of that family itself. An address as text is answered without asking anybody, and
    /// so is `localhost`.
    ///
    /// Waits up to six seconds for each server. Dropping the future frees everything.
    pub async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, ResolveError> {
        if !self.allows(Access::Resolve) {
            return Err(ResolveError::Forbidden);
        }
        if let Ok(address) = name.parse() {
            return Ok([address].into());
        }
        if name.eq_ignore_ascii_case("localhost") {
            return Ok([Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()].into());
        }
        let name = Name::encode(name).ok_or(ResolveError::InvalidName)?;
        let servers = self.dns_servers();
        if servers.is_empty() {
            return Err(ResolveError::NoServer);
        }
        let mut failure = ResolveError::TimedOut;
        for round in 1..=ROUNDS {
            for server in servers.iter().take(MAX_SERVERS) {
                match self
                    .unrestricted()
                    .ask(&name, *server, TIMEOUT * round)
                    .await
                {
                    Err(error @ (ResolveError::ServerFailed | ResolveError::TimedOut)) => {
                        failure = error;
                    }
                    Err(ResolveError::Unreachable) if servers.len() > 1 => {}
                    answered => return answered,
                }
            }
        }
        Err(failure)
    }

    /// Asks one server once, for every family at the same time.
    async fn ask(
        &self,
        name: &Name,
        server: IpAddr,
        limit: Duration,
    ) -> Result<Vec<IpAddr>, ResolveError> {
        let server = SocketAddr::new(server, PORT);
        let socket =
            UdpSocket::bind_with(self, 0, QUEUES).map_err(|_| ResolveError::Unreachable)?;
        let mut queries = self.queries(name);
        for query in &queries {
            let sent = socket.send_to(&query.message(), server).await;
            sent.map_err(|_| ResolveError::Unreachable)?;
        }
        let all = collect(&socket, server, &mut queries);
        let in_time = self.clock().timeout(limit, all).await.is_ok();
        conclude(queries, in_time)
    }

    fn queries<'n>(&self, name: &'n Name) -> Vec<Query<'n>> {
        let addresses = self.addresses();
        let has_v4 = addresses.iter().any(|own| own.address.is_ipv4());
        let global = |address: IpAddr| matches!(address, IpAddr::V6(address) if !address.is_unicast_link_local());
        let has_v6 = addresses.iter().any(|own| global(own.address));
        let mut engine = self.engine();
        let mut query = |kind| Query::new(name, kind, engine.random() as u16);
        let v4 = (has_v4 || !has_v6).then(|| query(DnsQueryType::A));
        v4.into_iter()
            .chain(has_v6.then(|| query(DnsQueryType::Aaaa)))
            .collect()
    }
}

/// Waits until every question has its answer; what answers none of them is ignored.
async fn collect(socket: &UdpSocket, server: SocketAddr, queries: &mut [Query<'_>]) {
    let mut buffer = [0; 512];
    while queries.iter().any(|query| query.answer.is_none()) {
        let (len, peer) = socket.recv_from(&mut buffer).await;
        if peer != server {
            continue;
        }
        for query in queries.iter_mut().filter(|query| query.answer.is_none()) {
            query.answer = query.read(&buffer[..len]);
        }
    }
}

fn conclude(queries: Vec<Query<'_>>, in_time: bool) -> Result<Vec<IpAddr>, ResolveError> {
    let failed = queries
        .iter()
        .any(|query| query.answer == Some(Answer::Failed));
    let mut addresses = Vec::new();
    for query in queries {
        if let Some(Answer::Addresses(found)) = query.answer {
            addresses.extend(found);
        }
    }
    match (addresses.is_empty(), in_time, failed) {
        (false, _, _) => Ok(addresses),
        (true, _, true) => Err(ResolveError::ServerFailed),
        (true, true, false) => Err(ResolveError::NotFound),
        (true, false, false) => Err(ResolveError::TimedOut),
    }
}
