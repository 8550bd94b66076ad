//! TCP between two stacks, in virtual time.

use crate::pair::{Pair, pattern};
use netstack::testing::Conditions;
use netstack::{ListenOptions, TcpListener, TcpStream};

#[test]
fn an_echo_comes_back() {
    let pair = Pair::new(1, Conditions::default());
    pair.run(async |pair| {
        let listener = TcpListener::bind(&pair.server, 7, ListenOptions::default()).unwrap();
        pair.spawner.spawn(async move {
            let (mut stream, _) = listener.accept().await;
            let mut buffer = [0; 1024];
            loop {
                let read = stream.read(&mut buffer).await.unwrap();
                if read == 0 {
                    break;
                }
                stream.write_all(&buffer[..read]).await.unwrap();
            }
        });
        let mut stream = TcpStream::connect(&pair.client, pair.server_at(7))
            .await
            .unwrap();
        let sent = pattern(10_000, 3);
        stream.write_all(&sent).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut got = Vec::new();
        let mut buffer = [0; 512];
        loop {
            let read = stream.read(&mut buffer).await.unwrap();
            if read == 0 {
                break;
            }
            got.extend_from_slice(&buffer[..read]);
        }
        assert_eq!(got, sent);
    });
}
