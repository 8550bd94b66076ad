//! TCP and UDP echo on port 7 (RFC 862).

use alloc::vec;

use ukernel::net::{ListenOptions, StreamError, TcpListener, TcpStream, UdpSocket};
use ukernel::{Context, Result};

/// The port of both.
const PORT: u16 = 7;
/// Bytes read at a time from a connection.
const BUFFER: usize = 16 * 1024;
/// Longest datagram that fits an Ethernet frame, in bytes.
const DATAGRAM: usize = 1472;

/// Starts both servers, each a task of its own.
pub fn start(ctx: &Context) -> Result {
    let stack = ctx.network()?;
    let listener = TcpListener::bind(stack, PORT, ListenOptions::default())?;
    let socket = UdpSocket::bind(stack, PORT)?;
    ctx.task("udp-echo").spawn(serve_udp(socket));
    ctx.task("tcp-echo").spawn(serve_tcp(ctx.clone(), listener));
    Ok(())
}

async fn serve_tcp(ctx: Context, listener: TcpListener) {
    loop {
        let (stream, peer) = listener.accept().await;
        ctx.task("echo").spawn(async move {
            if let Err(error) = echo(stream).await {
                log::debug!("echo: connection lost peer={peer} error=\"{error}\"");
            }
        });
    }
}

async fn echo(mut stream: TcpStream) -> Result<(), StreamError> {
    let mut buffer = vec![0; BUFFER];
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
