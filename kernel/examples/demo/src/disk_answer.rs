//! `/disk/{n}` and `/disk/{n}/sha256`: the bytes of a disk, and their digest.

use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;
use core::time::Duration;

use picoserve::io::Write;
use ukernel::block::DiskError;
use ukernel::sync::OwnedPermit;
use ukernel::task::yield_now;

use crate::answer::{Answer, Body};
use crate::byte_range::{ByteRange, RangeQuery};
use crate::disk_stream::DiskStream;
use crate::http::Session;
use crate::summary::Summarizer;

/// How long a request waits for its turn; meanwhile it holds a connection, and the others are few.
const TURN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may take for an answer, and how much longer for each piece of it (of 32 KiB):
/// one that reads slower than 64 KiB each second would keep the others from their turn.
const SLACK: Duration = Duration::from_secs(30);
const PIECE_TIME: Duration = Duration::from_millis(500);

/// Answers with the bytes themselves. If the first read fails the answer is an error; if a later
/// one does, the connection is cut, since the length has been promised.
pub async fn bytes(session: &Session, number: usize, query: &str) -> Result<Answer, Answer> {
    let (mut pieces, range, turn) = open(session, number, query).await?;
    let first = pieces.next().await.transpose().map_err(failed)?;
    let bytes = DiskBytes {
        length: range.length as usize,
        first,
        rest: pieces,
        session: session.clone(),
        _turn: turn,
    };
    Ok(Answer::ok(
        "application/octet-stream",
        Body::Disk(Box::new(bytes)),
    ))
}

/// Answers with the digest in hexadecimal.
pub async fn digest(session: &Session, number: usize, query: &str) -> Result<Answer, Answer> {
    let (mut pieces, _, _turn) = open(session, number, query).await?;
    let mut summarizer = Summarizer::default();
    while let Some(piece) = pieces.next().await {
        if session.connection.is_lost().await {
            return Err(Answer::problem(400, "the client has gone"));
        }
        summarizer.feed(&piece.map_err(failed)?);
        // A piece takes a while, and the next one may be there already.
        yield_now().await;
    }
    let digest = summarizer.finish().digest;
    Ok(Answer::ok("text/plain", Body::Text(format!("{digest}\n"))))
}

fn failed(error: DiskError) -> Answer {
    Answer::problem(500, &format!("the disk cannot be read: {error}"))
}

fn busy() -> Answer {
    Answer::problem(503, "too many read a disk").with_header("Retry-After", "10")
}

/// The right to read a disk now, and a place among those who may wait for that.
type Turn = [OwnedPermit; 2];

/// Finds the disk, checks the range, and waits for a turn to fill buffers.
async fn open(
    session: &Session,
    number: usize,
    query: &str,
) -> Result<(DiskStream, ByteRange, Turn), Answer> {
    let query = RangeQuery::parse(query)?;
    let worker = &session.worker;
    let disk = worker
        .ctx
        .disk(number)
        .map_err(|error| Answer::problem(404, &format!("{error}")))?;
    let range = query.on(disk.len_bytes())?;
    let place = worker.disk_places.clone().try_acquire_owned(1);
    let place = place.ok_or_else(busy)?;
    let turn = worker.disk_readers.clone().acquire_owned(1);
    let permit = worker.ctx.clock().timeout(TURN_TIMEOUT, turn).await;
    let permit = permit
        .map_err(|_| busy())?
        .map_err(|_| Answer::problem(503, "the server stops"))?;
    Ok((
        DiskStream::new(disk, range, worker.ctx.spawner()),
        range,
        [permit, place],
    ))
}

/// The body of the answer to [`bytes`].
pub struct DiskBytes {
    length: usize,
    first: Option<Vec<u8>>,
    rest: DiskStream,
    session: Session,
    _turn: Turn,
}

impl DiskBytes {
    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Writes them, reading ahead.
    pub async fn write_to<W: Write>(mut self, mut writer: W) -> Result<(), W::Error> {
        let clock = self.session.worker.ctx.clock();
        let mut deadline = clock.now() + SLACK;
        let mut next = self.first.take().map(Ok);
        while let Some(piece) = next {
            deadline += PIECE_TIME;
            match piece {
                Ok(piece) => match clock.timeout_at(deadline, writer.write_all(&piece)).await {
                    Ok(written) => written?,
                    Err(_) => {
                        log::debug!("demo: answer cut short problem=\"the client is too slow\"");
                        self.session.connection.cut();
                        return Ok(());
                    }
                },
                Err(error) => {
                    log::warn!("demo: answer cut short problem=\"{error}\"");
                    self.session.connection.cut();
                    return Ok(());
                }
            }
            next = self.rest.next().await;
        }
        Ok(())
    }
}
