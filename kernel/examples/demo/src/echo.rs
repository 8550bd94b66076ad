//! TCP and UDP echo on port 7 (RFC 862).

use alloc::rc::Rc;
use alloc::vec;

use ukernel::net::{ListenOptions, StreamError, TcpListener, TcpStream, UdpSocket};
use ukernel::sync::Semaphore;
use ukernel::{Context, Result};

use crate::worker::Worker;

/// The port of both.
const PORT: u16 = 7;
/// Bytes read at a time from a connection.
const BUFFER: usize = 4 * 1024;
/// Longest datagram that fits an Ethernet frame, in bytes.
const DATAGRAM: usize = 1472;

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
        let connection = async move {
            if let Err(error) = echo(stream).await {
                log::debug!("echo: connection lost peer={peer} error=\"{error}\"");
            }
            drop(slot);
        };
        if ctx.task("echo").try_spawn(connection).is_err() {
            log::debug!("echo: no memory for a connection peer={peer}");
        }
    }
}

async fn echo(mut stream: TcpStream) -> Result<(), StreamError> {
    let mut buffer = [0; BUFFER];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return stream.shutdown().await,
            count => stream.write_all(&buffer[..count]).await?,
        }
    }
}

async fn serve_udp(socket: UdpSocket) {
    let mut buffer = vec![0; DATAGRAM];
    loop {
        let (count, peer) = socket.recv_from(&mut buffer).await;
        // A datagram that cannot be sent is lost, as any may be.
        let _ = socket.send_to(&buffer[..count], peer).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shares::ECHO_BYTES;
    use ukernel::testing::Machine;

    #[test]
    fn a_connection_takes_no_more_than_its_share() {
        let machine = Machine::new();
        machine.block_on(async {
            let ctx = machine.context();
            let _listener =
                TcpListener::bind(ctx.network().unwrap(), PORT, ListenOptions::default()).unwrap();
            let address = machine.address(PORT);
            let stream = TcpStream::connect(machine.peer(), address).await.unwrap();
            let bytes = size_of_val(&echo(stream));
            assert!(bytes < ECHO_BYTES - 512, "{bytes} bytes");
        });
    }
}
