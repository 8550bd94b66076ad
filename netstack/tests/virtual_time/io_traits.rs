//! Streams through the ecosystem's I/O traits, by code that knows nothing of this stack.

use crate::pair::{Pair, pattern};
use embedded_io_async::{Error as _, ErrorKind, Read, Write};
use futures_util::{AsyncReadExt, AsyncWriteExt, future, io};
use netstack::testing::Conditions;
use netstack::{ListenOptions, OwnedReadHalf, OwnedWriteHalf, ReadHalf, TcpStream, WriteHalf};
use reactor::time::Duration;

const LEN: usize = 200_000;

fn pair() -> Pair {
    Pair::new(
        12,
        Conditions {
            delay: Duration::from_millis(1),
            ..Conditions::default()
        },
    )
}

/// A connection whose peer echoes by `io::copy` until the end, and closes then.
async fn copied(pair: &Pair) -> TcpStream {
    let (client, server) = pair.connected().await;
    let (reader, mut writer) = server.into_split();
    let copying = async move {
        assert_eq!(io::copy(reader, &mut writer).await.unwrap(), LEN as u64);
        writer.flush().await.unwrap();
        writer.close().await.unwrap();
    };
    pair.spawner.task("copy").spawn(copying).detach();
    client
}

async fn futures_exchange<R, W>(mut reader: R, mut writer: W)
where
    R: io::AsyncRead + Unpin,
    W: io::AsyncWrite + Unpin,
{
    let sent = pattern(LEN, 1);
    let writing = async {
        AsyncWriteExt::write_all(&mut writer, &sent).await.unwrap();
        writer.close().await.unwrap();
    };
    let mut got = Vec::new();
    let (read, ()) = future::join(reader.read_to_end(&mut got), writing).await;
    assert_eq!(read.unwrap(), LEN);
    assert!(got == sent, "other bytes came back");
}

#[test]
fn futures_io_copies_over_streams_and_halves() {
    pair().run(async |pair| {
        let (reader, writer) = copied(pair).await.into_split();
        futures_exchange(reader, writer).await;
        let mut stream = copied(pair).await;
        // `AsyncReadExt` has a `split`, too, which takes the stream.
        let (reader, writer) = TcpStream::split(&mut stream);
        futures_exchange(reader, writer).await;
        // The whole stream, in the halves that futures-util makes of anything.
        let (reader, writer) = AsyncReadExt::split(copied(pair).await);
        futures_exchange(reader, writer).await;
    });
}

#[test]
fn futures_io_names_errors_as_std_does() {
    pair().run(async |pair| {
        let (mut client, server) = pair.connected().await;
        client.close().await.unwrap();
        let closed = AsyncWriteExt::write(&mut client, b"x").await.unwrap_err();
        assert_eq!(closed.kind(), io::ErrorKind::BrokenPipe);
        server.abort();
        let reset = AsyncReadExt::read(&mut client, &mut [0]).await;
        assert_eq!(reset.unwrap_err().kind(), io::ErrorKind::ConnectionReset);

        let (mut client, _server) = pair.connected().await;
        client.set_timeout(Duration::from_secs(5));
        pair.wire.set_up(false);
        AsyncWriteExt::write_all(&mut client, b"x").await.unwrap();
        let silent = AsyncReadExt::read(&mut client, &mut [0]).await;
        assert_eq!(silent.unwrap_err().kind(), io::ErrorKind::TimedOut);
    });
}

/// Writes in pieces while reading in others, each whole.
async fn embedded_exchange<R: Read, W: Write>(mut reader: R, mut writer: W) {
    let sent = pattern(LEN, 2);
    let writing = async {
        for piece in sent.chunks(999) {
            writer.write_all(piece).await.unwrap();
        }
        writer.flush().await.unwrap();
    };
    let reading = async {
        let mut piece = [0; 1000];
        for expected in sent.chunks(piece.len()) {
            reader.read_exact(&mut piece).await.unwrap();
            assert!(piece == expected, "other bytes came back");
        }
    };
    future::join(writing, reading).await;
}

#[test]
fn embedded_io_reads_and_writes_streams_and_halves() {
    pair().run(async |pair| {
        pair.serve_echo(ListenOptions::default());
        let (reader, writer): (OwnedReadHalf, OwnedWriteHalf) = pair.connect(7).await.into_split();
        embedded_exchange(reader, writer).await;
        let mut stream = pair.connect(7).await;
        let (reader, writer): (ReadHalf<'_>, WriteHalf<'_>) = TcpStream::split(&mut stream);
        embedded_exchange(reader, writer).await;

        // The whole stream: what goes through a buffer of either side.
        async fn ask<S: Read + Write>(stream: &mut S) -> [u8; 5] {
            stream.write_all(b"hello").await.unwrap();
            let mut answer = [0; 5];
            stream.read_exact(&mut answer).await.unwrap();
            answer
        }
        assert_eq!(&ask(&mut stream).await, b"hello");
    });
}

#[test]
fn embedded_io_names_the_kinds_of_errors_and_the_end() {
    pair().run(async |pair| {
        let (mut client, mut server) = pair.connected().await;
        server.shutdown().await.unwrap();
        let ended = Read::read_exact(&mut client, &mut [0; 4]).await;
        assert!(matches!(
            ended,
            Err(embedded_io_async::ReadExactError::UnexpectedEof)
        ));
        client.shutdown().await.unwrap();
        let closed = Write::write(&mut client, b"x").await.unwrap_err();
        assert_eq!(closed.kind(), ErrorKind::BrokenPipe);

        let (mut client, server) = pair.connected().await;
        server.abort();
        let reset = Read::read(&mut client, &mut [0; 4]).await.unwrap_err();
        assert_eq!(reset.kind(), ErrorKind::ConnectionReset);
    });
}
