//! A raw HTTP answer, echo, a sink, a source, UDP echo: `benches/worker` serves the same.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use bench_work::http::{ANSWER, MAX_HEAD, heads};
use bench_work::services::{
    BACKLOG, BULK_CHUNK, ECHO, ECHO_CHUNK, FILL, HTTP, MARK, MAX_DATAGRAM, SERVING, SINK, SOURCE,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};

use crate::mark::bench_mark;

/// Serves for ever.
pub(crate) async fn serve(first_port: u16) {
    let address = |port: u16| SocketAddr::from((Ipv4Addr::UNSPECIFIED, first_port + port));
    listen(address(HTTP), http);
    listen(address(ECHO), echo);
    listen(address(SINK), sink);
    listen(address(SOURCE), source);
    let datagrams = UdpSocket::bind(address(ECHO)).await;
    let datagrams = datagrams.expect("the port is free");
    let marks = UdpSocket::bind(address(MARK)).await;
    tokio::spawn(mark_at_datagrams(marks.expect("the port is free")));
    println!("{SERVING}");
    echo_datagrams(datagrams).await;
}

fn listen<F, Fut>(address: SocketAddr, serve: F)
where
    F: Fn(TcpStream) -> Fut + Copy + Send + 'static,
    Fut: Future<Output = io::Result<()>> + Send + 'static,
{
    let listener = bind(address).expect("the port is free");
    tokio::spawn(async move {
        loop {
            if let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                tokio::spawn(serve(stream));
            }
        }
    });
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

async fn http(mut stream: TcpStream) -> io::Result<()> {
    let mut input = [0; MAX_HEAD];
    let mut length = 0;
    loop {
        match stream.read(&mut input[length..]).await? {
            0 => return Ok(()),
            count => length += count,
        }
        let (requests, used) = heads(&input[..length]);
        match requests {
            0 => {}
            1 => stream.write_all(ANSWER).await?,
            many => stream.write_all(&ANSWER.repeat(many)).await?,
        }
        input.copy_within(used..length, 0);
        length -= used;
    }
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; ECHO_CHUNK];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            count => stream.write_all(&buffer[..count]).await?,
        }
    }
}

async fn sink(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; BULK_CHUNK];
    while stream.read(&mut buffer).await? != 0 {}
    Ok(())
}

async fn source(mut stream: TcpStream) -> io::Result<()> {
    let buffer = vec![FILL; BULK_CHUNK];
    loop {
        stream.write_all(&buffer).await?;
    }
}

/// Lets whoever makes the load say when to count.
async fn mark_at_datagrams(socket: UdpSocket) {
    loop {
        if let Ok((_, peer)) = socket.recv_from(&mut [0; 1]).await {
            bench_mark();
            let _ = socket.send_to(b"!", peer).await;
        }
    }
}

async fn echo_datagrams(socket: UdpSocket) {
    let mut buffer = [0; MAX_DATAGRAM];
    loop {
        if let Ok((count, peer)) = socket.recv_from(&mut buffer).await {
            let _ = socket.send_to(&buffer[..count], peer).await;
        }
    }
}
