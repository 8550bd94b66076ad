//! Bytes to the demo's HTTP server, over a whole stack in virtual time. Afterwards it must still answer.
#![no_main]

use std::rc::Rc;

use demo::settings::Settings;
use demo::worker::Worker;
use libfuzzer_sys::fuzz_target;
use ukernel::net::TcpStream;
use ukernel::testing::Machine;
use ukernel::time::Duration;

const PORT: u16 = 8080;
const STATUS_LINE: &[u8] = b"HTTP/1.1 200 ";

fuzz_target!(|input: &[u8]| {
    let machine = Machine::new();
    let ctx = machine.context();
    let worker = Rc::new(Worker::new(ctx.clone(), &Settings::default()));
    ctx.spawn(async move { demo::http::serve(worker).await.is_ok() }).detach();
    machine.block_on(async {
        ctx.clock().sleep(Duration::from_millis(1)).await; // it begins to listen
        let mut client = TcpStream::connect(machine.peer(), machine.address(PORT))
            .await
            .expect("it listens");
        let _ = client.write_all(input).await;
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
        assert!(answer.starts_with(STATUS_LINE), "{}", String::from_utf8_lossy(&answer));
    });
});
