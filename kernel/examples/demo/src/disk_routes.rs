//! `/disk/{n}` and `/disk/{n}/sha256`: the bytes of a disk, and their digest.

use alloc::vec::Vec;

use futures_util::StreamExt;
use picoserve::extract::State;
use picoserve::io::Write;
use picoserve::response::{Content, IntoResponse};
use ukernel::sync::OwnedPermit;

use crate::answer::{DISK_FAILED, Failure, NOT_FOUND};
use crate::byte_range::{ByteRange, RangeQuery};
use crate::disk_stream::{self, Pieces};
use crate::http::Session;
use crate::summary::Summarizer;

/// Answers with the bytes themselves. If the first read fails the answer is an error; if a later
/// one does, the connection is cut, since the length has been promised.
pub async fn bytes(
    number: usize,
    query: RangeQuery,
    State(session): State<Session>,
) -> Result<impl IntoResponse, Failure> {
    let (mut pieces, range, permit) = open(&session, number, query).await?;
    let first = pieces.next().await.transpose().map_err(|_| DISK_FAILED)?;
    Ok(DiskBytes {
        length: range.length as usize,
        first,
        rest: pieces,
        session,
        _permit: permit,
    })
}

/// Answers with the digest in hexadecimal.
pub async fn digest(
    number: usize,
    query: RangeQuery,
    State(session): State<Session>,
) -> Result<impl IntoResponse, Failure> {
    let (mut pieces, _, _permit) = open(&session, number, query).await?;
    let mut summarizer = Summarizer::default();
    while let Some(piece) = pieces.next().await {
        summarizer.feed(&piece.map_err(|_| DISK_FAILED)?);
    }
    Ok(alloc::format!("{}\n", summarizer.finish().digest))
}

/// Finds the disk, checks the range, and waits for a turn to fill buffers.
async fn open(
    session: &Session,
    number: usize,
    query: RangeQuery,
) -> Result<(Pieces, ByteRange, OwnedPermit), Failure> {
    let disk = session.worker.ctx.disk(number).map_err(|_| NOT_FOUND)?;
    let range = query.on(disk.len_bytes())?;
    let permit = session
        .worker
        .disk_readers
        .clone()
        .acquire_owned(1)
        .await
        .map_err(|_| NOT_FOUND)?;
    Ok((disk_stream::read(disk, range), range, permit))
}

/// The body of the answer to [`bytes`].
struct DiskBytes {
    length: usize,
    first: Option<Vec<u8>>,
    rest: Pieces,
    session: Session,
    _permit: OwnedPermit,
}

impl Content for DiskBytes {
    fn content_type(&self) -> &'static str {
        "application/octet-stream"
    }

    fn content_length(&self) -> usize {
        self.length
    }

    async fn write_content<W: Write>(mut self, mut writer: W) -> Result<(), W::Error> {
        let mut next = self.first.take().map(Ok);
        while let Some(piece) = next {
            match piece {
                Ok(piece) => writer.write_all(&piece).await?,
                Err(_) => {
                    log::warn!("demo: answer cut short reason=\"disk error\"");
                    self.session.connection.cut();
                    return Ok(());
                }
            }
            next = self.rest.next().await;
        }
        Ok(())
    }
}
