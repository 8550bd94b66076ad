//! TCP and UDP echo on port 7 (RFC 862).

use alloc::rc::Rc;
use alloc::vec;
use core::time::Duration;

use ukernel::net::{ListenOptions, StreamError, TcpListener, TcpStream, UdpSocket};
use ukernel::sync::Semaphore;
use ukernel::time::Clock;
use ukernel::{Context, Result};

use crate::worker::Worker;

/// The port of both.
const PORT: u16 = 7;
/// Bytes read at a time from a connection.
const BUFFER: usize = 4 * 1024;
/// Longest datagram that fits an Ethernet frame, in bytes.
const DATAGRAM: usize = 1472;
/// How long a connection may be idle, or hold back what was echoed: a peer that has vanished says
/// nothing, and would hold its slot for ever.
const IDLE: Duration = Duration::from_secs(5 * 60);
/// Ports below this are those of services. One of them sends no requests, but it may answer what we
/// send: a forged datagram from another echo server's port would go back and forth for ever.
const FIRST_CLIENT_PORT: u16 = 1024;

/// Starts both servers, each a task of its own.
pub fn start(worker: &Worker) -> Result {
    let ctx = &worker.ctx;
    let stack = ctx.network()?;
    let listener = TcpListener::bind(stack, PORT, ListenOptions::default())?;
    let socket = UdpSocket::bind(stack, PORT)?;
    ctx.task("udp-echo").spawn(serve_udp(socket));
    let slots = Rc::new(Semaphore::new(worker.max_echoes));
    ctx.task("tcp-echo")
        .spawn(serve_tcp(ctx.clone(), listener, slots));
    Ok(())
}

/// Gives each connection a task, as many at a time as there are slots.
async fn serve_tcp(ctx: Context, listener: TcpListener, slots: Rc<Semaphore>) {
    while let Ok(slot) = slots.clone().acquire_owned(1).await {
        let (stream, peer) = listener.accept().await;
        let clock = ctx.clock();
        let connection = async move {
            if let Err(error) = echo(stream, &clock).await {
                log::debug!("echo: connection lost peer={peer} error=\"{error}\"");
            }
            drop(slot);
        };
        if ctx.task("echo").try_spawn(connection).is_err() {
            log::debug!("echo: no memory for a connection peer={peer}");
        }
    }
}

async fn echo(mut stream: TcpStream, clock: &Clock) -> Result<(), StreamError> {
    let mut buffer = [0; BUFFER];
    loop {
        let count = match clock.timeout(IDLE, stream.read(&mut buffer)).await {
            Ok(count) => count?,
            Err(_) => 0,
        };
        if count == 0 {
            return stream.shutdown().await;
        }
        let written = clock.timeout(IDLE, stream.write_all(&buffer[..count]));
        match written.await {
            Ok(written) => written?,
            Err(_) => {
                stream.abort();
                return Err(StreamError::Aborted);
            }
        }
    }
}

async fn serve_udp(socket: UdpSocket) {
    let mut buffer = vec![0; DATAGRAM];
    loop {
        let (count, peer) = socket.recv_from(&mut buffer).await;
        if peer.port() < FIRST_CLIENT_PORT {
            continue;
        }
        // A datagram that cannot be sent is lost, as any may be.
        let _ = socket.send_to(&buffer[..count], peer).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;
    use crate::shares::ECHO_BYTES;
    use ukernel::testing::Machine;

    #[test]
    fn a_connection_takes_no_more_than_its_share() {
        let machine = Machine::new();
        machine.block_on(async {
            let ctx = machine.context();
            let _listener =
                TcpListener::bind(ctx.network().unwrap(), PORT, ListenOptions::default()).unwrap();
            let stream = connect(&machine).await;
            let bytes = size_of_val(&echo(stream, &ctx.clock()));
            assert!(bytes < ECHO_BYTES - 512, "{bytes} bytes");
        });
    }

    async fn connect(machine: &Machine) -> TcpStream {
        let address = machine.address(PORT);
        TcpStream::connect(machine.peer(), address).await.unwrap()
    }

    fn start_servers(machine: &Machine) {
        let worker = Worker::new(machine.context(), &Settings::default());
        start(&worker).unwrap();
    }

    #[test]
    fn an_idle_connection_ends_and_a_busy_one_does_not() {
        let machine = Machine::new();
        start_servers(&machine);
        machine.block_on(async {
            let clock = machine.context().clock();
            let mut stream = connect(&machine).await;
            let mut buffer = [0; 8];
            for _ in 0..3 {
                clock.sleep(IDLE / 2).await;
                stream.write_all(b"x").await.unwrap();
                assert_eq!(stream.read(&mut buffer).await, Ok(1));
            }
            let idle_since = clock.now();
            assert_eq!(stream.read(&mut buffer).await, Ok(0));
            let idle = clock.now() - idle_since;
            assert!(
                idle > IDLE - Duration::from_secs(1) && idle < IDLE + Duration::from_secs(1),
                "{idle:?}"
            );
        });
    }

    #[test]
    fn a_peer_that_takes_nothing_is_cut_off() {
        let machine = Machine::new();
        start_servers(&machine);
        machine.block_on(async {
            let clock = machine.context().clock();
            let mut stream = connect(&machine).await;
            let bytes = vec![0; 16 << 20];
            let written = clock.timeout(IDLE * 3, stream.write_all(&bytes)).await;
            assert_eq!(written.unwrap(), Err(StreamError::Reset));
        });
    }

    #[test]
    fn datagrams_are_answered_but_not_those_of_services() {
        let machine = Machine::new();
        start_servers(&machine);
        machine.block_on(async {
            let clock = machine.context().clock();
            let address = machine.address(PORT);
            let mut buffer = [0; 8];
            for (port, answered) in [(7, false), (1023, false), (1024, true), (0, true)] {
                let socket = UdpSocket::bind(machine.peer(), port).unwrap();
                socket.send_to(b"x", address).await.unwrap();
                let answer = socket.recv_from(&mut buffer);
                let answer = clock.timeout(Duration::from_secs(1), answer).await;
                assert_eq!(answer.is_ok(), answered, "port {port}");
            }
        });
    }
}
