//! Work depends on what is active, and an idle stack does none.

use crate::pair::{Pair, configs};
use netstack::testing::Conditions;
use netstack::{ListenOptions, Stats, TcpStream};
use reactor::time::Duration;

const OPEN: usize = 10_000;
const ACTIVE: usize = 10;
const ROUNDS: usize = 100;

fn small() -> ListenOptions {
    ListenOptions {
        backlog: 1000,
        receive_buffer: 512,
        send_buffer: 512,
    }
}

/// What `ACTIVE` connections cost while `open` ones are open, on the server.
fn cost_of_activity(open: usize) -> (u64, u64, u64) {
    let pair = Pair::with_configs(5, Conditions::default(), configs());
    pair.run(async |pair| {
        pair.serve_echo(small());
        let mut streams = Vec::new();
        for _ in 0..open {
            let peer = crate::pair::server_at(7);
            streams.push(
                TcpStream::connect_with(&pair.client, peer, small())
                    .await
                    .unwrap(),
            );
        }
        pair.sleep(Duration::from_secs(60)).await;
        let before = pair.server.stats();
        let timers_before = pair.reactor.stats();
        assert_eq!(before.connections, open as u64);
        let step = open / ACTIVE;
        for _ in 0..ROUNDS {
            for index in 0..ACTIVE {
                let stream = &mut streams[index * step];
                stream.write_all(b"ping").await.unwrap();
                let mut answer = [0; 4];
                assert_eq!(stream.read(&mut answer).await.unwrap(), 4);
            }
        }
        let after: Stats = pair.server.stats();
        let timers = pair.reactor.stats().timers_fired - timers_before.timers_fired;
        (
            after.connection_polls - before.connection_polls,
            after.turns - before.turns,
            after.deadlines_fired - before.deadlines_fired + timers,
        )
    })
}

#[test]
fn ten_active_of_ten_thousand_cost_what_ten_of_ten_do() {
    let few = cost_of_activity(ACTIVE);
    let many = cost_of_activity(OPEN);
    assert_eq!(few, many);
    // Two segments arrive for each echo and one leaves, each with a look at its connection.
    let (polls, ..) = few;
    let echoes = (ACTIVE * ROUNDS) as u64;
    assert!(polls <= 6 * echoes, "{polls} polls for {echoes} echoes");
}

#[test]
fn an_idle_stack_is_never_polled() {
    let pair = Pair::new(5, Conditions::default());
    pair.run(async |pair| {
        pair.serve_echo(small());
        let mut streams = Vec::new();
        for _ in 0..100 {
            streams.push(pair.connect(7).await);
        }
        pair.sleep(Duration::from_secs(60)).await;
        let before = (pair.client.stats(), pair.server.stats());
        let fired = pair.reactor.stats().timers_fired;
        pair.sleep(Duration::from_secs(24 * 60 * 60 - 100)).await;
        assert_eq!((pair.client.stats(), pair.server.stats()), before);
        // The test's own sleep.
        assert_eq!(pair.reactor.stats().timers_fired, fired + 1);
    });
}

#[test]
fn a_full_transmit_queue_is_waited_for_and_not_polled() {
    let pair = Pair::new(5, Conditions::default());
    pair.run(async |pair| {
        pair.serve_echo(ListenOptions::default());
        let mut stream = pair.connect(7).await;
        pair.sleep(Duration::from_secs(60)).await;
        pair.wire.set_room(0, 0);
        pair.sleep(Duration::from_millis(1)).await;
        let before = pair.client.stats().turns;
        stream.write_all(b"stuck").await.unwrap();
        pair.sleep(Duration::from_secs(60)).await;
        let turns = pair.client.stats().turns - before;
        assert!(turns <= 3, "{turns} turns while the queue was full");
        pair.wire.set_room(0, 64);
        let mut answer = [0; 5];
        assert_eq!(stream.read(&mut answer).await.unwrap(), 5);
        assert_eq!(&answer, b"stuck");
    });
}
