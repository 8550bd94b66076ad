//! What the macros of `log` end in, and the task that sends it.
#![allow(
    unsafe_code,
    reason = "takes the log from whoever was writing to it when the machine ends"
)]

mod text;

use super::line::Line;
use super::ring::Ring;
use crate::arch::{serial, time};
use crate::exclusive::Exclusive;
use core::future::poll_fn;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use core::task::{Context, Poll, Waker};
use log::{Level, LevelFilter, Log, Metadata, Record};
use reactor::irq::IrqEvent;
use reactor::time::Instant;

/// Bytes that can wait, about 200 lines. What does not fit is dropped.
const RING_SIZE: usize = 16 << 10;
/// Bytes that go out in a turn of the run loop: what the port takes at once. While other tasks are
/// ready this is all; an idle machine has turn after turn.
const BYTES_PER_TURN: usize = 16;

pub(crate) use text::poll_room;
#[cfg(feature = "foreign")]
pub(crate) use text::{poll_sent, poll_text};

static RING: Exclusive<Ring<RING_SIZE>> = Exclusive::new(Ring::new());
/// Lines dropped since boot.
static DROPPED: AtomicU64 = AtomicU64::new(0);
/// The task that waits for something to send.
static SENDER: Exclusive<Option<Waker>> = Exclusive::new(None);

/// Makes this crate the backend of `log`, at level info until the command line says otherwise.
pub fn init() {
    // An error means that there is a backend already, which only a second call could be.
    let _ = log::set_logger(&SerialLog);
    log::set_max_level(LevelFilter::Info);
}

/// How many lines were dropped since boot because the ring was full.
pub fn dropped_lines() -> u64 {
    DROPPED.load(Relaxed)
}

/// Sends everything that waits, waiting for the port, and ends the line.
pub fn flush() {
    RING.try_with(send_all);
}

/// The same for the end of the machine, which may be a fault of whoever was just writing to the log: a stack that
/// overflows there, say.
///
/// # Safety
/// Interrupts are off, and nothing that was running goes on.
#[inline(never)] // for each kind of end the same code
pub(crate) unsafe fn flush_last() {
    // SAFETY: whoever uses the ring is what was running, or what that interrupted. However far a change of the ring
    // has come, its start and its length lie within it, and the lines from before are there.
    unsafe { RING.seize(send_all) };
}

fn send_all(ring: &mut Ring<RING_SIZE>) {
    while !ring.is_empty() {
        serial::emergency(ring.front());
        ring.consume(ring.front().len());
    }
    if ring.is_in_text() {
        serial::emergency(b"\n");
    }
}

/// Sends what waits, for ever: a task of low priority. It sends a little each turn as long as there
/// is something, and sleeps until the next line otherwise; `port_ready` is an event of
/// [`crate::arch::line::SERIAL_OUTPUT`], for which it waits when the port is busy.
pub async fn drain(port_ready: IrqEvent) -> ! {
    loop {
        poll_fn(poll_waiting).await;
        if RING.try_with(send_some) == Some(0) {
            serial::request_output_interrupt();
            port_ready.raised().await;
        } else {
            reactor::task::yield_now().await;
        }
    }
}

/// Ready while something waits to be sent.
fn poll_waiting(cx: &mut Context) -> Poll<()> {
    if RING.try_with(|ring| !ring.is_empty()) == Some(true) {
        return Poll::Ready(());
    }
    SENDER.try_with(|sender| *sender = Some(cx.waker().clone()));
    Poll::Pending
}

/// Sends up to [`BYTES_PER_TURN`] bytes; answers how many.
fn send_some(ring: &mut Ring<RING_SIZE>) -> usize {
    let piece = ring.front();
    let sent = serial::send(&piece[..piece.len().min(BYTES_PER_TURN)]);
    ring.consume(sent);
    text::sent(ring.len(), sent);
    sent
}

fn wake_sender() {
    let sender = SENDER.try_with(|sender| sender.take()).flatten();
    if let Some(sender) = sender {
        sender.wake();
    }
}

struct SerialLog;

impl Log for SerialLog {
    fn enabled(&self, metadata: &Metadata) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let now = time::now();
        add(&Line::format(now, record), now);
    }

    fn flush(&self) {}
}

/// Logs a line as it is, at level error: one of a backtrace, which the host looks for.
#[cfg(feature = "foreign")]
pub(crate) fn plain(text: core::fmt::Arguments<'_>) {
    if log::max_level() >= LevelFilter::Error {
        always(text);
    }
}

/// Writes a line as it is, at any level: data that shares the port with the log.
pub(crate) fn always(text: core::fmt::Arguments<'_>) {
    add(&Line::plain(text), time::now());
}

fn add(line: &Line, now: Instant) {
    RING.try_with(|ring| push(ring, line, now));
    wake_sender();
}

/// Adds a line, and before it the number of lines that were lost, once there is room for that.
fn push(ring: &mut Ring<RING_SIZE>, line: &Line, now: Instant) {
    if ring.dropped() > 0 {
        let message = format_args!("log: lines dropped count={}", ring.dropped());
        let notice = Line::compose(now, Level::Warn, message);
        if ring.has_room(notice.as_bytes().len()) {
            ring.push_line(notice.as_bytes());
            ring.clear_dropped();
        }
    }
    if !ring.push_line(line.as_bytes()) {
        DROPPED.store(DROPPED.load(Relaxed) + 1, Relaxed);
    }
}
