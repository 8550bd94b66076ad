//! The whole server on this machine, in virtual time, with clients at the other end of the wire.

use core::time::Duration;

use ukernel::net::TcpStream;
use ukernel::testing::Machine;

use {{crate}}::{PORT, serve};

async fn connect(machine: &Machine) -> TcpStream {
    let address = machine.address(PORT);
    TcpStream::connect(machine.peer(), address).await.unwrap()
}

#[test]
fn each_connection_gets_its_own_bytes_back() {
    let machine = Machine::new();
    let _server = machine.context().spawn(serve(machine.context()));
    machine.block_on(async {
        let (mut one, mut other) = (connect(&machine).await, connect(&machine).await);
        one.write_all(b"one").await.unwrap();
        other.write_all(b"other").await.unwrap();
        let mut buffer = [0; 16];
        assert_eq!(other.read(&mut buffer).await, Ok(5));
        assert_eq!(&buffer[..5], b"other");
        assert_eq!(one.read(&mut buffer).await, Ok(3));
        assert_eq!(&buffer[..3], b"one");
    });
}

#[test]
fn an_idle_connection_ends() {
    let machine = Machine::booted("env=IDLE=5", &[]);
    let _server = machine.context().spawn(serve(machine.context()));
    let clock = machine.context().clock();
    machine.block_on(async {
        let mut stream = connect(&machine).await;
        let begin = clock.now();
        assert_eq!(stream.read(&mut [0]).await, Ok(0));
        let waited = clock.now().duration_since(begin);
        assert!(waited >= Duration::from_secs(5) && waited < Duration::from_secs(6));
    });
}

#[test]
fn the_server_ends_when_the_machine_is_told_to_stop() {
    let machine = Machine::new();
    let server = machine.context().spawn(serve(machine.context()));
    machine.request_shutdown();
    assert!(machine.block_on(server).is_ok_and(|result| result.is_ok()));
}
