//! The trace on the serial line: on request, and at the end of the machine.

use core::future::poll_fn;

use abi::trace::Request;
use conquer_once::spin::OnceCell;
use reactor::Spawner;
use reactor::irq::IrqEvent;
use reactor::task::{Priority, yield_now};
use trace::Trace;

use super::Requests;
use crate::arch::{line, serial};
use crate::log::line::Line;
use crate::{exit, log};

/// The machine's trace.
static TRACE: OnceCell<Trace> = OnceCell::uninit();
/// Bytes of input that are looked at in a turn.
const BYTES_PER_TURN: usize = 64;

/// Sees to it that a trace is written. Called once.
pub(super) fn start(trace: &Trace, spawner: &Spawner) {
    TRACE.init_once(|| trace.clone());
    exit::set_last_words(write_rest);
    let input = spawner.irq_event(line::SERIAL_INPUT);
    let listener = listen(trace.clone(), input);
    let task = spawner.task("trace").priority(Priority::Low);
    task.spawn(listener).detach();
}

/// Answers requests until the workload reads the input itself.
async fn listen(trace: Trace, input: IrqEvent) {
    let mut requests = Requests::default();
    let mut bytes = [0; BYTES_PER_TURN];
    while let Some(count) = serial::receive_unclaimed(&mut bytes) {
        for byte in &bytes[..count] {
            if let Some(request) = requests.feed(*byte) {
                answer(&trace, request).await;
            }
        }
        if count == 0 {
            input.raised().await;
        } else {
            yield_now().await; // whoever sends without pause gets no more than this
        }
    }
}

async fn answer(trace: &Trace, request: Request) {
    match request {
        Request::Write => write(trace).await,
        Request::On => match trace.enable() {
            Ok(()) => ::log::info!("trace: on"),
            Err(error) => ::log::warn!("trace: not on error=\"{error}\""),
        },
        Request::Off => {
            trace.disable();
            ::log::info!("trace: off");
        }
    }
}

/// Writes what has been recorded, between lines of the log. A line goes out whole: it waits until there is room for more
/// than one.
async fn write(trace: &Trace) {
    for line in trace.drain() {
        poll_fn(log::poll_room).await;
        log::always(format_args!("{line}"));
    }
}

/// Writes what nobody has asked for, at once, when the machine ends, be it in the middle of anything: without memory, and
/// without the ring if that is just being changed. It is over after as many lines as the ring has records and names,
/// or when the port takes no more.
fn write_rest() {
    let Ok(trace) = TRACE.try_get() else {
        return;
    };
    for line in trace.drain() {
        let line = Line::plain(format_args!("{line}"));
        if !serial::emergency(line.as_bytes()) {
            return;
        }
    }
}
