//! A TCP echo server: what comes in on port 7 goes back, on any number of connections at a time.
#![no_std]
#![no_main]

use ukernel::net::{ListenOptions, TcpListener, TcpStream};
use ukernel::{Context, Result};

#[ukernel::main]
async fn main(ctx: Context) -> Result {
    let listener = TcpListener::bind(ctx.network()?, 7, ListenOptions::default())?;
    loop {
        let (stream, peer) = listener.accept().await;
        let connection = async move {
            if let Err(error) = echo(stream).await {
                log::info!("echo: connection lost peer={peer} error=\"{error}\"");
            }
        };
        if ctx.task("echo").try_spawn(connection).is_err() {
            log::debug!("echo: no memory for a connection peer={peer}");
        }
    }
}

async fn echo(mut stream: TcpStream) -> Result {
    let mut buffer = [0; 2048];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(stream.shutdown().await?),
            count => stream.write_all(&buffer[..count]).await?,
        }
    }
}
