//! Memory: what peers can make the stack hold, and what happens beyond it.

use crate::pair::{Pair, configs, exchange, pattern, server_at};
use crate::syn::Syns;
use core::net::Ipv4Addr;
use netstack::testing::Conditions;
use netstack::{
    BindError, ConnectError, DropCause, ListenOptions, TcpListener, TcpStream, UdpOptions,
    UdpSocket,
};
use reactor::time::Duration;

const BUDGET: usize = 512 * 1024;
/// The smallest buffer that a connection is opened with.
const SMALLEST: usize = 2048;

/// The server's connections have `BUDGET`.
fn tight() -> Pair {
    let [client, mut server] = configs();
    server.limits.tcp_bytes = BUDGET;
    Pair::with_configs(7, Conditions::default(), [client, server])
}

fn patient() -> ListenOptions {
    ListenOptions {
        backlog: 10_000,
        ..ListenOptions::default()
    }
}

/// The send buffer of a stream to which nothing was written yet.
async fn send_buffer(stream: &mut TcpStream) -> usize {
    stream.write(&[0; 20_000]).await.unwrap()
}

/// Connects until the server takes no more. Each with the size of the server's send buffer.
async fn exhaust(pair: &Pair, listener: &TcpListener) -> Vec<(TcpStream, TcpStream, usize)> {
    let mut open = Vec::new();
    let second = Duration::from_secs(1);
    while let Ok(client) = pair
        .clock
        .timeout(second, TcpStream::connect(&pair.client, server_at(80)))
        .await
    {
        let (mut server, _) = listener.accept().await;
        let size = send_buffer(&mut server).await;
        open.push((client.unwrap(), server, size));
    }
    open
}

#[test]
fn buffers_shrink_as_connections_grow_and_then_syns_are_dropped() {
    tight().run(async |pair| {
        let listener = pair.listen(80, patient());
        let open = exhaust(pair, &listener).await;
        let sizes: Vec<usize> = open.iter().map(|(_, _, size)| *size).collect();
        // A 64th for both buffers.
        let share = BUDGET / 64 / 2;
        assert!((share - 100..=share).contains(&sizes[0]), "{sizes:?}");
        assert!(sizes.is_sorted_by(|one, next| one >= next), "{sizes:?}");
        assert_eq!(sizes.last(), Some(&SMALLEST));
        let stats = pair.server.stats();
        assert!(stats.tcp_bytes <= BUDGET as u64, "{stats:?}");
        assert!(stats.dropped(DropCause::ConnectionLimit) > 0);
        assert!(open.len() > 64, "{}", open.len());
    });
}

#[test]
fn what_connections_leave_is_there_for_others() {
    tight().run(async |pair| {
        let listener = pair.listen(80, patient());
        let first = exhaust(pair, &listener).await;
        let (count, largest) = (first.len(), first[0].2);
        drop(first);
        pair.sleep(Duration::from_secs(120)).await;
        assert_eq!(pair.server.stats().tcp_bytes, 0);
        let again = exhaust(pair, &listener).await;
        assert_eq!((again.len(), again[0].2), (count, largest));
    });
}

#[test]
fn the_smallest_buffers_carry_everything_though_segments_are_lost() {
    let [client, mut server] = configs();
    server.limits.tcp_bytes = 2 * SMALLEST + 2048;
    let conditions = Conditions {
        delay: Duration::from_millis(1),
        loss: 20,
        ..Conditions::default()
    };
    Pair::with_configs(7, conditions, [client, server]).run(async |pair| {
        pair.serve_echo(patient());
        let stream = pair.connect(7).await;
        let sent = pattern(100_000, 3);
        let got = exchange(stream, sent.clone(), &pair.spawner).await;
        assert_eq!(got, sent);
    });
}

#[test]
fn our_own_connections_are_refused_beyond_the_budget() {
    let [mut client, server] = configs();
    client.limits.tcp_bytes = BUDGET;
    Pair::with_configs(7, Conditions::default(), [client, server]).run(async |pair| {
        let _listener = pair.listen(80, patient());
        let mut open = Vec::new();
        let error = loop {
            match TcpStream::connect(&pair.client, server_at(80)).await {
                Ok(stream) => open.push(stream),
                Err(error) => break error,
            }
        };
        assert_eq!(error, ConnectError::OutOfMemory);
        let stats = pair.client.stats();
        assert_eq!(stats.dropped(DropCause::ConnectionLimit), 1);
        assert!(stats.tcp_bytes <= BUDGET as u64);
        drop(open.pop());
        pair.sleep(Duration::from_secs(120)).await;
        pair.connect(80).await;
    });
}

/// SYNs from addresses that nobody has: nothing answers, nothing resets.
#[test]
fn half_open_connections_have_a_share_of_the_memory_and_no_more() {
    tight().run(async |pair| {
        let listener = pair.listen(80, patient());
        let mut syns = Syns::recorded(pair, &listener).await;
        for number in 0..5_000 {
            let nobody = Ipv4Addr::new(10, 0, 0, 100 + (number % 100) as u8);
            syns.send(pair, nobody, 1024 + number);
            if number % 100 == 0 {
                pair.sleep(Duration::from_millis(1)).await;
                assert!(pair.server.stats().tcp_bytes <= (BUDGET / 8) as u64);
            }
        }
        pair.sleep(Duration::from_millis(10)).await;
        let stats = pair.server.stats();
        assert!(stats.half_open > 1, "{stats:?}");
        assert_eq!(stats.dropped(DropCause::ConnectionLimit), 0, "{stats:?}");
        // The others have the rest at once.
        assert!(exhaust(pair, &listener).await.len() > 64);
        pair.sleep(Duration::from_secs(20)).await;
        assert_eq!(pair.server.stats().half_open, 0);
    });
}

#[test]
fn datagram_queues_have_a_budget_of_their_own() {
    let [client, mut server] = configs();
    server.limits.udp_bytes = 100_000;
    Pair::with_configs(7, Conditions::default(), [client, server]).run(async |pair| {
        let bind = |bytes| {
            let options = UdpOptions { packets: 8, bytes };
            UdpSocket::bind_with(&pair.server, 0, options)
        };
        let first = bind(40_000).unwrap();
        assert_eq!(bind(40_000).err(), Some(BindError::OutOfMemory));
        assert_eq!(bind(usize::MAX).err(), Some(BindError::OutOfMemory));
        let _small = bind(1_000).unwrap();
        drop(first);
        bind(40_000).unwrap();
    });
}
