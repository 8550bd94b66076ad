//! A bad wire: what was sent arrives all the same, once and in order, the same way every run.

use crate::pair::{Pair, configs, exchange, pattern};
use netstack::testing::{Conditions, WireStats};
use netstack::{ListenOptions, Stats, TcpStream};
use reactor::time::{Duration, Instant};

/// What a run can be compared by.
#[derive(Debug, PartialEq)]
struct Outcome {
    ended: Instant,
    client: Stats,
    server: Stats,
    wire: [WireStats; 2],
}

fn echo_over(conditions: Conditions, bytes: usize, streams: u64) -> Outcome {
    let mut configs = configs();
    // Karn's algorithm keeps the longest time-out while repetitions are lost, so that a third of
    // all frames lost can silence a connection for longer than the default allows.
    for config in &mut configs {
        config.timeouts.unacknowledged = Duration::from_secs(3600);
    }
    let pair = Pair::with_configs(42, conditions, configs);
    pair.run(async |pair| {
        pair.serve_echo(ListenOptions::default());
        let mut running = Vec::new();
        for seed in 0..streams {
            let stream = pair.connect(7).await;
            let sent = pattern(bytes, seed);
            let spawner = pair.spawner.clone();
            running.push(pair.spawner.spawn(async move {
                assert_eq!(exchange(stream, sent.clone(), &spawner).await, sent);
            }));
        }
        for stream in running {
            stream.await.unwrap();
        }
        Outcome {
            ended: pair.clock.now(),
            client: pair.client.stats(),
            server: pair.server.stats(),
            wire: [pair.wire.stats(0), pair.wire.stats(1)],
        }
    })
}

fn is_repeatable(conditions: Conditions, bytes: usize) -> Outcome {
    let outcome = echo_over(conditions, bytes, 3);
    assert_eq!(outcome, echo_over(conditions, bytes, 3));
    outcome
}

fn loss(loss: u32) -> Conditions {
    Conditions {
        loss,
        delay: Duration::from_millis(1),
        ..Conditions::default()
    }
}

#[test]
fn a_clean_wire_needs_no_repetition() {
    let outcome = is_repeatable(loss(0), 1 << 20);
    assert_eq!(outcome.client.retransmits + outcome.server.retransmits, 0);
    assert!(
        outcome.ended < Instant::ZERO + Duration::from_secs(2),
        "{:?}",
        outcome.ended
    );
}

#[test]
fn two_percent_loss() {
    let outcome = is_repeatable(loss(20), 256 << 10);
    assert!(outcome.client.retransmits > 0 && outcome.server.retransmits > 0);
}

#[test]
fn ten_percent_loss() {
    is_repeatable(loss(100), 64 << 10);
}

#[test]
fn thirty_percent_loss() {
    let outcome = is_repeatable(loss(300), 32 << 10);
    assert!(
        outcome.wire[0].lost * 5 > outcome.wire[0].sent,
        "{:?}",
        outcome.wire
    );
}

#[test]
fn reordering() {
    let conditions = Conditions {
        reordering: 300,
        ..loss(0)
    };
    is_repeatable(conditions, 128 << 10);
}

#[test]
fn duplication() {
    let conditions = Conditions {
        duplication: 500,
        ..loss(0)
    };
    let outcome = is_repeatable(conditions, 128 << 10);
    assert!(outcome.wire[0].delivered > outcome.wire[0].sent);
}

#[test]
fn everything_at_once() {
    let conditions = Conditions {
        reordering: 200,
        duplication: 200,
        ..loss(100)
    };
    is_repeatable(conditions, 32 << 10);
}

const DELAY: Duration = Duration::from_millis(10);

fn slow(loss: u32) -> Conditions {
    Conditions {
        delay: DELAY,
        loss,
        ..Conditions::default()
    }
}

/// How long what the server writes at once takes to the client.
async fn flight(pair: &Pair, (client, server): (&mut TcpStream, &mut TcpStream)) -> Duration {
    let start = pair.clock.now();
    server.write_all(&[7; 14_000]).await.unwrap();
    let mut waiting = 14_000;
    let mut buffer = [0; 16_384];
    while waiting > 0 {
        waiting -= client.read(&mut buffer).await.unwrap();
    }
    pair.clock.now().duration_since(start)
}

/// RFC 6928: the first flight of a connection is not two small segments.
#[test]
fn what_fits_the_send_buffer_leaves_at_once() {
    Pair::new(5, slow(0)).run(async |pair| {
        let (mut client, mut server) = pair.connected().await;
        assert_eq!(flight(pair, (&mut client, &mut server)).await, DELAY);
    });
}

/// The next connection has the socket of the last one, but not the congestion control that its losses
/// began.
#[test]
fn losses_do_not_slow_the_next_connection() {
    Pair::new(5, slow(0)).run(async |pair| {
        let listener = pair.listen(9, ListenOptions::default());
        let mut client = pair.connect(9).await;
        let (mut server, _) = listener.accept().await;
        pair.wire.set_conditions(slow(300));
        assert!(flight(pair, (&mut client, &mut server)).await > DELAY);
        assert!(pair.server.stats().retransmits > 0);
        pair.wire.set_conditions(slow(0));
        drop((client, server));
        pair.sleep(Duration::from_secs(120)).await;
        assert_eq!(pair.server.stats().connections, 0);

        let mut client = pair.connect(9).await;
        let (mut server, _) = listener.accept().await;
        assert_eq!(flight(pair, (&mut client, &mut server)).await, DELAY);
    });
}
