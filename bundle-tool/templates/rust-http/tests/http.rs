//! The whole server on this machine, in virtual time, with a client at the other end of the wire.

use ukernel::net::TcpStream;
use ukernel::testing::Machine;

use {{crate}}::{PORT, serve};

/// What the server answers to a request for `path`.
fn get(machine: &Machine, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    machine.block_on(async {
        let address = machine.address(PORT);
        let mut stream = TcpStream::connect(machine.peer(), address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let mut buffer = [0; 1024];
        loop {
            match stream.read(&mut buffer).await.unwrap() {
                0 => return String::from_utf8(answer).unwrap(),
                count => answer.extend_from_slice(&buffer[..count]),
            }
        }
    })
}

#[test]
fn pages_are_served_until_the_machine_is_told_to_stop() {
    let machine = Machine::booted("env=GREETING=Welcome", &[]);
    let server = machine.context().spawn(serve(machine.context()));

    let index = get(&machine, "/");
    assert!(index.starts_with("HTTP/1.1 200 "), "{index}");
    assert!(index.contains("<h1>Welcome</h1>"), "{index}");
    let hello = get(&machine, "/hello/<you>");
    assert!(hello.contains("Hello, &lt;you&gt;."), "{hello}");
    let missing = get(&machine, "/missing");
    assert!(missing.starts_with("HTTP/1.1 404 "), "{missing}");

    machine.request_shutdown();
    let ended = machine.block_on(server);
    assert!(ended.is_ok_and(|result| result.is_ok()));
}
