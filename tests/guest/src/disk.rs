//! Disk 0: a pattern written in requests of every shape, writes of which some fail, writes that are
//! refused. The host looks at the image afterwards.

use alloc::vec;
use alloc::vec::Vec;
use core::cell::Cell;
use core::future::{Future, poll_fn};
use core::iter;
use core::pin::pin;

use futures_util::future::{join_all, try_join_all};
use ukernel::block::{Disk, DiskError, MAX_TRANSFER};
use ukernel::{Context, Result};

const SECTOR: usize = 512;
/// Sectors of the pieces that a pattern is written in, over and over.
const PIECES: [usize; 8] = [1, 3, 8, 17, 2, 5, 1, 31];
/// Sectors of the first piece: more than one request takes.
const LARGE: usize = MAX_TRANSFER / SECTOR + 52;
/// Buffers of a scattered piece: no multiple of anything.
const SCATTER: usize = 700;
/// Bytes of the pieces that are read back: they begin and end within sectors.
const READ: usize = 49_999;
/// Sectors of the pieces of which some fail.
const PLACE: usize = 4;
const ROUNDS: u64 = 2;

/// The most requests that were seen under way at once.
#[derive(Default)]
struct Peaks {
    in_flight: Cell<usize>,
    queued: Cell<usize>,
}

/// Bytes of xorshift64, as the host's `Pattern` makes them.
fn pattern(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

fn argument(ctx: &Context, index: usize) -> Result<u64> {
    let text = ctx
        .args()
        .get(index)
        .ok_or("guest: an argument is missing")?;
    Ok(text.parse()?)
}

/// `SEED FIRST COUNT`: writes a pattern over so many sectors, all requests at once; flushes, reads it back.
pub(crate) async fn write_pattern(ctx: &Context) -> Result {
    let disk = ctx.disk(0)?;
    let (seed, first) = (argument(ctx, 1)?, argument(ctx, 2)? as usize);
    let bytes = pattern(seed, argument(ctx, 3)? as usize * SECTOR);
    let peaks = Peaks::default();
    let writes = pieces(&bytes)
        .enumerate()
        .map(async |(number, (at, piece))| {
            let at = (first * SECTOR + at) as u64;
            let mut write = pin!(write_piece(&disk, at, piece, number));
            poll_fn(|cx| {
                let result = write.as_mut().poll(cx);
                peaks.note(&disk);
                result
            })
            .await
        });
    let count = try_join_all(writes).await?.len();
    disk.flush().await?;
    let stats = disk.stats();
    log::info!(
        "guest: disk written pieces={count} requests={} flushes={} in_flight={} queued={}",
        stats.writes,
        stats.flushes,
        peaks.in_flight.get(),
        peaks.queued.get()
    );
    let reads = bytes
        .chunks(READ)
        .enumerate()
        .map(async |(number, expected)| {
            let at = first * SECTOR + number * READ;
            let read = disk.read(at as u64, expected.len()).await?;
            assert!(read == expected, "other bytes were read at {at}");
            Ok::<(), DiskError>(())
        });
    try_join_all(reads).await?;
    log::info!("guest: disk read back");
    Ok(())
}

/// Cuts whole sectors into pieces: where each begins, and its bytes.
fn pieces(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut lengths = iter::once(LARGE).chain(PIECES.into_iter().cycle());
    let mut at = 0;
    iter::from_fn(move || {
        let rest = &bytes[at..];
        let length = rest.len().min(lengths.next()? * SECTOR);
        at += length;
        (length > 0).then(|| (at - length, &rest[..length]))
    })
}

/// Writes by one of the three ways.
async fn write_piece(disk: &Disk, at: u64, piece: &[u8], number: usize) -> Result<(), DiskError> {
    match number % 3 {
        0 => disk.write_at(at, piece).await,
        1 => disk.write(at, piece.to_vec()).await.0,
        _ => {
            let scattered = piece.chunks(SCATTER).map(<[u8]>::to_vec).collect();
            disk.write_vectored(at, scattered).await.0
        }
    }
}

impl Peaks {
    fn note(&self, disk: &Disk) {
        let stats = disk.stats();
        self.in_flight
            .set(self.in_flight.get().max(stats.in_flight));
        self.queued.set(self.queued.get().max(stats.queued));
    }
}

/// `SEED`: writes the whole disk in small pieces, all at once, and flushes; twice, with the patterns of
/// that seed and the next one. Says what failed.
pub(crate) async fn write_places(ctx: &Context) -> Result {
    let (disk, seed) = (ctx.disk(0)?, argument(ctx, 1)?);
    for round in 1..=ROUNDS {
        let bytes = pattern(seed + round - 1, disk.len_bytes() as usize);
        let places = bytes.chunks(PLACE * SECTOR).enumerate();
        let writes = places.map(async |(number, piece)| {
            let at = number * PLACE * SECTOR;
            disk.write(at as u64, piece.to_vec()).await.0
        });
        let results = join_all(writes).await;
        let mut succeeded = 0;
        for (number, result) in results.into_iter().enumerate() {
            let sector = number * PLACE;
            match result {
                Ok(()) => succeeded += 1,
                Err(error) => {
                    log::info!("guest: write failed round={round} sector={sector} error={error:?}");
                }
            }
        }
        let flush = disk.flush().await;
        log::info!("guest: round over round={round} succeeded={succeeded} flush={flush:?}");
    }
    Ok(())
}

/// Tries to write in each of the three ways, and reads.
pub(crate) async fn write_refused(ctx: &Context) -> Result {
    let disk = ctx.disk(0)?;
    let piece = vec![1; SECTOR];
    let mut results = Vec::new();
    for number in 0..3 {
        results.push(write_piece(&disk, 0, &piece, number).await);
    }
    let sum: u64 = disk.read(0, SECTOR).await?.into_iter().map(u64::from).sum();
    log::info!(
        "guest: writes refused results={results:?} flush={:?} sum={sum}",
        disk.flush().await
    );
    Ok(())
}
