//! What the peers serve as well: a raw HTTP answer, echo, a sink, a source, UDP echo.

use core::net::SocketAddr;

use bench_work::services::{
    BACKLOG, BULK_CHUNK, ECHO, ECHO_CHUNK, FILL, HTTP, MARK, MAX_DATAGRAM, SERVING, SINK, SOURCE,
};
use ukernel::net::{ListenOptions, Stack, TcpListener, TcpStream, UdpSocket};
use ukernel::{Context, Result};

use crate::http;
use crate::mark::bench_mark;

/// Buffers of a connection that moves bulk data; the others have the default.
const BULK_BUFFER: usize = 512 << 10;

/// Serves until the machine is asked to stop.
pub(crate) async fn serve(ctx: &Context) -> Result {
    start(ctx, ctx.network()?)?;
    log::info!("{SERVING}");
    ctx.shutdown().await;
    Ok(())
}

/// Starts every service on one network.
pub(crate) fn start(ctx: &Context, network: &Stack) -> Result {
    let small = ListenOptions {
        backlog: BACKLOG as usize,
        ..ListenOptions::default()
    };
    let bulk = ListenOptions {
        backlog: BACKLOG as usize,
        receive_buffer: BULK_BUFFER,
        send_buffer: BULK_BUFFER,
    };
    listen(ctx, network, HTTP, small, http::serve)?;
    listen(ctx, network, ECHO, small, echo)?;
    listen(ctx, network, SINK, bulk, sink)?;
    listen(ctx, network, SOURCE, bulk, source)?;
    let datagrams = UdpSocket::bind(network, ECHO)?;
    ctx.spawn(echo_datagrams(datagrams));
    let marks = UdpSocket::bind(network, MARK)?;
    ctx.spawn(mark_at_datagrams(marks));
    Ok(())
}

/// Accepts for ever, a task a connection.
pub(crate) fn listen<F, Fut>(
    ctx: &Context,
    network: &Stack,
    port: u16,
    options: ListenOptions,
    serve: F,
) -> Result
where
    F: Fn(TcpStream) -> Fut + Copy + 'static,
    Fut: Future<Output = Result> + 'static,
{
    let listener = TcpListener::bind(network, port, options)?;
    let spawner = ctx.spawner();
    ctx.spawn(async move {
        loop {
            let (stream, peer) = listener.accept().await;
            stream.set_nodelay(true);
            let connection = report(peer, serve, stream);
            if spawner.task("connection").try_spawn(connection).is_err() {
                log::warn!("bench: no memory for a connection peer={peer}");
            }
        }
    });
    Ok(())
}

async fn report<F, Fut>(peer: SocketAddr, serve: F, stream: TcpStream)
where
    F: Fn(TcpStream) -> Fut,
    Fut: Future<Output = Result>,
{
    if let Err(error) = serve(stream).await {
        log::debug!("bench: connection lost peer={peer} error=\"{error}\"");
    }
}

async fn echo(mut stream: TcpStream) -> Result {
    let mut buffer = [0; ECHO_CHUNK];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            count => stream.write_all(&buffer[..count]).await?,
        }
    }
}

async fn sink(mut stream: TcpStream) -> Result {
    let mut buffer = alloc::vec![0; BULK_CHUNK];
    while stream.read(&mut buffer).await? != 0 {}
    Ok(())
}

async fn source(mut stream: TcpStream) -> Result {
    let buffer = alloc::vec![FILL; BULK_CHUNK];
    loop {
        stream.write_all(&buffer).await?;
    }
}

/// Lets whoever makes the load say when to count.
async fn mark_at_datagrams(socket: UdpSocket) {
    loop {
        let (_, peer) = socket.recv_from(&mut [0; 1]).await;
        bench_mark();
        if let Err(error) = socket.send_to(b"!", peer).await {
            log::debug!("bench: datagram lost peer={peer} error=\"{error}\"");
        }
    }
}

async fn echo_datagrams(socket: UdpSocket) {
    let mut buffer = [0; MAX_DATAGRAM];
    loop {
        let (count, peer) = socket.recv_from(&mut buffer).await;
        if let Err(error) = socket.send_to(&buffer[..count], peer).await {
            log::debug!("bench: datagram lost peer={peer} error=\"{error}\"");
        }
    }
}
