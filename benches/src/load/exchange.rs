//! A request and its answer, over and over, on connections that stay open.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{PATIENCE, Seen};

/// The demo's page is large; its small answer is this.
pub(crate) const HEALTH: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: bench\r\n\r\n";
pub(crate) const MESSAGE: &[u8] = &[0x5a; 64];

/// More than any answer here.
const MAX_ANSWER: usize = 4096;

/// What is sent, and how long the answer to it is.
#[derive(Clone, Copy)]
pub(crate) struct Exchange {
    request: &'static [u8],
    answer: usize,
}

impl Exchange {
    /// An echo, whose answer is as long as the message.
    pub(crate) fn echo() -> Exchange {
        Exchange {
            request: MESSAGE,
            answer: MESSAGE.len(),
        }
    }

    /// Asks once, to learn how long the answer is.
    pub(crate) fn http(address: SocketAddr, request: &'static [u8]) -> io::Result<Exchange> {
        let mut stream = connect(address)?;
        stream.write_all(request)?;
        let mut buffer = [0; MAX_ANSWER];
        let mut length = 0;
        while length < buffer.len() {
            match stream.read(&mut buffer[length..])? {
                0 => break,
                count => length += count,
            }
            if let Some(answer) = answer_length(&buffer[..length])? {
                return Ok(Exchange { request, answer });
            }
        }
        Err(io::Error::other("the answer has no end"))
    }
}

/// Of head and body, once the head is there.
fn answer_length(bytes: &[u8]) -> io::Result<Option<usize>> {
    let mut headers = [httparse::EMPTY_HEADER; 16];
    let mut head = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(length) = head.parse(bytes).map_err(io::Error::other)? else {
        return Ok(None);
    };
    if head.code != Some(200) {
        return Err(io::Error::other("the answer is not 200"));
    }
    let mut headers = head.headers.iter();
    let body = headers.find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let body = body.and_then(|header| {
        std::str::from_utf8(header.value)
            .ok()?
            .parse::<usize>()
            .ok()
    });
    body.map(|body| Some(length + body))
        .ok_or_else(|| io::Error::other("the answer has no length"))
}

/// A connection whose calls wait, for so long.
pub(super) fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// On one connection, with blocking calls: as little of the client in the figure as there can be.
pub(crate) fn alone(address: SocketAddr, exchange: Exchange, span: Duration) -> io::Result<Seen> {
    let mut stream = connect(address)?;
    let mut buffer = [0; MAX_ANSWER];
    let mut seen = Seen::new();
    let start = Instant::now();
    while start.elapsed() < span {
        let sent = Instant::now();
        stream.write_all(exchange.request)?;
        stream.read_exact(&mut buffer[..exchange.answer])?;
        seen.record(sent);
    }
    seen.elapsed = start.elapsed();
    Ok(seen)
}

/// On many connections, each with one request under way at any time.
pub(crate) fn many(
    address: SocketAddr,
    exchange: Exchange,
    connections: usize,
    span: Duration,
) -> io::Result<Seen> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut streams = Vec::new();
        for _ in 0..connections {
            let stream = timeout(PATIENCE, tokio::net::TcpStream::connect(address)).await??;
            stream.set_nodelay(true)?;
            streams.push(stream);
        }
        let start = Instant::now();
        let mut tasks = JoinSet::new();
        for stream in streams {
            tasks.spawn(repeat(stream, exchange, start + span));
        }
        let mut seen = Seen::new();
        while let Some(share) = tasks.join_next().await {
            seen.add(&share?)?;
        }
        seen.elapsed = start.elapsed();
        Ok(seen)
    })
}

/// Until the end, or the first error.
async fn repeat(mut stream: tokio::net::TcpStream, exchange: Exchange, end: Instant) -> Seen {
    let mut seen = Seen::new();
    let mut buffer = vec![0; exchange.answer];
    while Instant::now() < end {
        let sent = Instant::now();
        let answered = async {
            stream.write_all(exchange.request).await?;
            stream.read_exact(&mut buffer).await
        };
        match timeout(PATIENCE, answered).await {
            Ok(Ok(_)) => seen.record(sent),
            _ => {
                seen.errors += 1;
                break;
            }
        }
    }
    seen
}
