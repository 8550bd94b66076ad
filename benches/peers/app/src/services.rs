//! A raw HTTP answer, echo, a sink, a source, UDP echo: the ports, the buffers and the options are
//! those of `benches/worker`.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};

const ECHO: u16 = 7;
const SINK: u16 = 9;
const SOURCE: u16 = 19;
const HTTP: u16 = 80;

const BACKLOG: u32 = 1024;
const BULK_CHUNK: usize = 64 << 10;
const ECHO_CHUNK: usize = 4 << 10;
const MAX_DATAGRAM: usize = 2048;

const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello";
const MAX_HEAD: usize = 2048;
const MAX_BATCH: usize = 16;
const END_OF_HEAD: &[u8] = b"\r\n\r\n";

/// Serves for ever.
pub(crate) async fn serve(first_port: u16) {
    let address = |port: u16| SocketAddr::from((Ipv4Addr::UNSPECIFIED, first_port + port));
    listen(address(HTTP), http);
    listen(address(ECHO), echo);
    listen(address(SINK), sink);
    listen(address(SOURCE), source);
    let datagrams = UdpSocket::bind(address(ECHO)).await;
    let datagrams = datagrams.expect("the port is free");
    println!("bench: serving");
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

fn heads(input: &[u8]) -> (usize, usize) {
    let (mut requests, mut used) = (0, 0);
    while requests < MAX_BATCH {
        let mut windows = input[used..].windows(END_OF_HEAD.len());
        let Some(at) = windows.position(|window| window == END_OF_HEAD) else {
            break;
        };
        requests += 1;
        used += at + END_OF_HEAD.len();
    }
    (requests, used)
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
    let buffer = vec![0x5a; BULK_CHUNK];
    loop {
        stream.write_all(&buffer).await?;
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
