//! Bytes to the demo's HTTP server, over a whole stack in virtual time. Afterwards it must still answer.
#![no_main]

use std::rc::Rc;

use demo::settings::Settings;
use demo::worker::Worker;
use fuzz::request::Piece;
use libfuzzer_sys::fuzz_target;
use ukernel::net::TcpStream;
use ukernel::testing::Machine;
use ukernel::time::{Clock, Duration};

const PORT: u16 = 8080;
const STATUS_LINE: &[u8] = b"HTTP/1.1 200 ";
/// Beyond it a whole input takes too long for what it may find.
const MAX_PIECES: usize = 64;

/// Does what the fuzzer chose, until the server hangs up.
async fn ask(client: &mut TcpStream, clock: &Clock, pieces: &[Piece<'_>]) -> Option<()> {
    let mut said = Vec::new();
    for piece in pieces.iter().take(MAX_PIECES) {
        piece.write(&mut said);
        let (pause, read) = match *piece {
            Piece::Pause(pause) => (pause, 0),
            Piece::Read(read) => (0, read),
            _ => continue,
        };
        client.write_all(&said).await.ok()?;
        said.clear();
        clock.sleep(Duration::from_millis(pause.into())).await;
        let mut answer = vec![0; read.into()];
        let _ = clock
            .timeout(Duration::from_secs(1), client.read(&mut answer))
            .await;
    }
    client.write_all(&said).await.ok()
}

fuzz_target!(|pieces: Vec<Piece>| {
    let machine = Machine::new();
    let ctx = machine.context();
    let worker = Rc::new(Worker::new(ctx.clone(), &Settings::default()));
    ctx.spawn(async move { demo::http::serve(worker).await.is_ok() })
        .detach();
    machine.block_on(async {
        ctx.clock().sleep(Duration::from_millis(1)).await; // it begins to listen
        let mut client = TcpStream::connect(machine.peer(), machine.address(PORT))
            .await
            .expect("it listens");
        let _ = ask(&mut client, &ctx.clock(), &pieces).await;
        ctx.clock().sleep(Duration::from_millis(100)).await;
        drop(client);
        let mut client = TcpStream::connect(machine.peer(), machine.address(PORT))
            .await
            .expect("it still listens");
        let request = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
        client.write_all(request).await.expect("it takes a request");
        let mut answer = Vec::new();
        while answer.len() < STATUS_LINE.len() {
            let mut piece = [0; 512];
            let count = client.read(&mut piece).await.expect("it answers");
            assert!(count > 0, "it hangs up");
            answer.extend_from_slice(&piece[..count]);
        }
        assert!(
            answer.starts_with(STATUS_LINE),
            "{}",
            String::from_utf8_lossy(&answer)
        );
    });
});
