//! TCP echo on port 7 (RFC 862).

use alloc::vec;

use ukernel::net::{ListenOptions, StreamError, TcpListener, TcpStream};
use ukernel::{Context, Result};

/// The port.
const PORT: u16 = 7;
/// Bytes read at a time from a connection.
const BUFFER: usize = 16 * 1024;

/// Starts both servers, each a task of its own.
pub fn start(ctx: &Context) -> Result {
    let stack = ctx.network()?;
    let listener = TcpListener::bind(stack, PORT, ListenOptions::default())?;
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
