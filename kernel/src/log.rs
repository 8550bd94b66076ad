//! The backend of the `log` crate: lines wait in a bounded ring and go out on the serial port when
//! there is time, because each byte costs an exit to the hypervisor.
//!
//! A line reads `[    0.012345] INFO  net: address assigned addr=10.0.2.15/24`: seconds since boot,
//! level, and the message, whose details are `key=value`. At the levels debug and trace
//! ` target=<module>` follows. Lines that do not fit are dropped and counted, and the count is a
//! line of its own once there is room.
//!
//! Interrupt handlers do not log.

pub mod line;
pub mod ring;

use crate::clock;
use crate::exclusive::Exclusive;
use ::log::{Level, LevelFilter, Log, Metadata, Record};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use line::Line;
use ring::Ring;

/// Bytes that can wait, about 200 lines. What does not fit is dropped.
const RING_SIZE: usize = 16 << 10;

static RING: Exclusive<Ring<RING_SIZE>> = Exclusive::new(Ring::new());
/// Lines dropped since boot.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Makes this crate the backend of `log`, at level info until the command line says otherwise.
pub fn init() {
    // An error means that there is a backend already, which only a second call could be.
    let _ = ::log::set_logger(&SerialLog);
    ::log::set_max_level(LevelFilter::Info);
}

/// How many lines were dropped since boot because the ring was full.
pub fn dropped_lines() -> u64 {
    DROPPED.load(Relaxed)
}

/// Takes up to `limit` waiting bytes out through `write`, which answers how many it took of the
/// bytes it is shown. Answers whether more wait.
pub fn drain(limit: usize, mut write: impl FnMut(&[u8]) -> usize) -> bool {
    RING.try_with(|ring| {
        let mut left = limit;
        while left > 0 && !ring.is_empty() {
            let piece = &ring.front()[..ring.front().len().min(left)];
            let taken = write(piece).min(piece.len());
            ring.consume(taken);
            left -= taken;
            if taken == 0 {
                break;
            }
        }
        !ring.is_empty()
    })
    .unwrap_or(false)
}

/// Sends everything that waits, waiting for the port. For the end of the machine.
#[cfg(target_os = "none")]
pub fn flush() {
    drain(RING_SIZE, |piece| {
        crate::arch::serial::emergency(piece);
        piece.len()
    });
}

struct SerialLog;

impl Log for SerialLog {
    fn enabled(&self, metadata: &Metadata) -> bool {
        metadata.level() <= ::log::max_level()
    }

    fn log(&self, record: &Record) {
        if self.enabled(record.metadata()) {
            let now = clock::now_nanos();
            let line = Line::format(now, record);
            RING.try_with(|ring| push(ring, &line, now));
        }
    }

    fn flush(&self) {}
}

/// Adds a line, and before it the number of lines that were lost, once there is room for that.
fn push(ring: &mut Ring<RING_SIZE>, line: &Line, now: u64) {
    if ring.dropped() > 0 {
        let notice = Line::compose(
            now,
            Level::Warn,
            format_args!("log: lines dropped count={}", ring.dropped()),
        );
        if ring.push_line(notice.as_bytes()) {
            ring.clear_dropped();
        }
    }
    if !ring.push_line(line.as_bytes()) {
        DROPPED.store(DROPPED.load(Relaxed) + 1, Relaxed);
    }
}
