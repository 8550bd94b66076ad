//! Names, against a DNS server on the other stack.

use crate::pair::{Pair, SERVER, configs};
use core::net::{IpAddr, Ipv4Addr};
use netstack::testing::Conditions;
use netstack::{Ipv4Config, ResolveError, UdpSocket};
use reactor::time::Duration;

fn pair(conditions: Conditions) -> Pair {
    let mut configs = configs();
    if let Ipv4Config::Static(ipv4) = &mut configs[0].ipv4 {
        ipv4.dns = vec![SERVER];
    }
    Pair::with_configs(4, conditions, configs)
}

/// Answers every question with what `answer` makes of it: a response code and addresses.
fn serve(pair: &Pair, answer: impl Fn(&[u8]) -> Option<(u8, Vec<[u8; 4]>)> + 'static) {
    let socket = UdpSocket::bind(&pair.server, 53).unwrap();
    let serving = async move {
        let mut buffer = [0; 512];
        loop {
            let (len, peer) = socket.recv_from(&mut buffer).await;
            let question = &buffer[..len];
            let Some((rcode, addresses)) = answer(&question[12..len - 5]) else {
                continue;
            };
            let mut message = question.to_vec();
            message[2..4].copy_from_slice(&[0x81, 0x80 | rcode]);
            message[7] = addresses.len() as u8;
            for address in addresses {
                message.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
                message.extend(address);
            }
            // Forgeries that must not count: another id, then the truth, then a second answer.
            let mut forged = message.clone();
            forged[0] ^= 1;
            socket.send_to(&forged, peer).await.unwrap();
            socket.send_to(&message, peer).await.unwrap();
            socket.send_to(&message, peer).await.unwrap();
        }
    };
    pair.spawner.task("dns").spawn(serving).detach();
}

#[test]
fn names_become_addresses() {
    let pair = pair(Conditions::default());
    pair.run(async |pair| {
        serve(pair, |name| {
            assert_eq!(name, b"\x03www\x07example\x03org");
            Some((0, vec![[1, 2, 3, 4], [5, 6, 7, 8]]))
        });
        let found = pair.client.resolve("WWW.example.org.").await.unwrap();
        let expected = [Ipv4Addr::new(1, 2, 3, 4), Ipv4Addr::new(5, 6, 7, 8)];
        assert_eq!(found, expected.map(IpAddr::V4));
    });
}

#[test]
fn lost_questions_are_asked_again() {
    let pair = pair(Conditions {
        loss: 400,
        ..Conditions::default()
    });
    pair.run(async |pair| {
        serve(pair, |_| Some((0, vec![[1, 2, 3, 4]])));
        let mut found = 0;
        for _ in 0..20 {
            found += usize::from(pair.client.resolve("a.b").await.is_ok());
        }
        assert!(found > 12, "{found} of 20");
    });
}

#[test]
fn each_failure_has_its_name() {
    let pair = pair(Conditions::default());
    pair.run(async |pair| {
        serve(pair, |name| match name[1] {
            b'n' => Some((3, Vec::new())),
            b'e' => Some((0, Vec::new())),
            b'f' => Some((2, Vec::new())),
            _ => None,
        });
        for (name, error) in [
            ("n.x", ResolveError::NotFound),
            ("e.x", ResolveError::NotFound),
            ("f.x", ResolveError::ServerFailed),
            ("silent.x", ResolveError::TimedOut),
            ("a..b", ResolveError::InvalidName),
        ] {
            assert_eq!(pair.client.resolve(name).await, Err(error), "{name}");
        }
        assert_eq!(
            pair.server.resolve("n.x").await,
            Err(ResolveError::NoServer)
        );
    });
}

#[test]
fn addresses_as_text_ask_nobody() {
    let pair = Pair::new(4, Conditions::default());
    pair.run(async |pair| {
        let v6: IpAddr = "2001:db8::1".parse().unwrap();
        assert_eq!(pair.client.resolve("2001:db8::1").await, Ok(vec![v6]));
        let local = pair.client.resolve("localhost").await.unwrap();
        assert!(local.len() == 2 && local.iter().all(IpAddr::is_loopback));
    });
}

#[test]
fn dropping_a_question_frees_its_port() {
    let pair = pair(Conditions {
        loss: 1000,
        ..Conditions::default()
    });
    pair.run(async |pair| {
        for _ in 0..1000 {
            let asking = pair.client.resolve("a.b");
            assert!(
                pair.clock
                    .timeout(Duration::from_millis(1), asking)
                    .await
                    .is_err()
            );
        }
    });
}
