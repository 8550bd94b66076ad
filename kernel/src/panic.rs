//! The last words: what happened, in which task, and where, straight to the serial port, then the
//! end of the machine. For panics, and for exceptions through [`die`].
#![allow(unsafe_code, reason = "says that nothing goes on after the end")]

use crate::{arch, exit, log, memory};
use abi::exit::{OUT_OF_MEMORY, PANIC};
use conquer_once::spin::OnceCell;
use core::fmt::{self, Write};
use core::panic::{Location, PanicInfo};
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use reactor::task::CurrentTask;

/// How many reports were begun: a second one is a fault in the first.
static REPORTS: AtomicU32 = AtomicU32::new(0);
static CURRENT_TASK: OnceCell<CurrentTask> = OnceCell::uninit();

/// Tells reports, and the watchdog, where to look up the task that runs.
pub(crate) fn set_current_task(current: CurrentTask) {
    CURRENT_TASK.init_once(|| current);
}

/// The task that runs, for reports. Takes no lock.
pub(crate) fn current_task() -> Option<reactor::task::RunningTask> {
    CURRENT_TASK.try_get().ok()?.get()
}

/// Writes a report to the serial port at once. Lines of a message but the first are indented, so
/// that no message can look like a record of the kernel.
pub(crate) struct Report(());

impl Write for Report {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        arch::serial::emergency(text.as_bytes());
        Ok(())
    }
}

/// A message whose line breaks are followed by blanks.
struct Indented<'a>(&'a mut Report);

impl Write for Indented<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for (index, line) in text.split('\n').enumerate() {
            if index > 0 {
                self.0.write_str("\n  ")?;
            }
            self.0.write_str(line)?;
        }
        Ok(())
    }
}

/// Ends the machine with `status` after what `write` reports and the name of the running task. A
/// fault while reporting ends it at once. Callable from anywhere, exception handlers included.
pub(crate) fn die(status: u8, write: impl FnOnce(&mut Report)) -> ! {
    // Interrupts stay off from here on: nothing may run between the report and the end.
    arch::disable_interrupts();
    match REPORTS.fetch_add(1, Relaxed) {
        0 => {}
        1 => {
            arch::serial::emergency(b"\npanic: another fault while reporting\n");
            exit::exit_now(status);
        }
        _ => arch::shut_down(),
    }
    // SAFETY: interrupts are off, and this does not return.
    unsafe { log::flush_last() };
    let mut report = Report(());
    write(&mut report);
    if let Some(task) = current_task() {
        // What does not go out cannot be helped.
        let _ = writeln!(report, "  task={} id={}", task.name, task.id);
    }
    exit::say_last_words();
    exit::exit_now(status)
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    let out_of_memory = memory::failed_allocation().filter(|_| is_in_alloc(info.location()));
    let status = match out_of_memory {
        Some(_) => OUT_OF_MEMORY,
        None => PANIC,
    };
    die(status, |report| {
        let _ = write_panic(report, info, out_of_memory);
        arch::write_backtrace(report);
    })
}

fn write_panic(report: &mut Report, info: &PanicInfo, out_of_memory: Option<usize>) -> fmt::Result {
    if let Some(bytes) = out_of_memory {
        let heap = memory::HeapStats::now();
        let frames = memory::frame_stats();
        return writeln!(
            report,
            "out of memory: requested={bytes} heap_used={} heap_claimed={} free_frames={}",
            heap.used, heap.claimed, frames.free
        );
    }
    write!(report, "panic: ")?;
    write!(Indented(report), "{}", info.message())?;
    match info.location() {
        Some(place) => writeln!(report, "\n  location={place}"),
        None => writeln!(report),
    }
}

/// Whether a panic comes from the code in `alloc` that is called when an allocation failed and the
/// caller cannot be told. Stable Rust has no handler for that case; its panic is what there is.
fn is_in_alloc(location: Option<&Location>) -> bool {
    location.is_some_and(|location| location.file().ends_with("alloc/src/alloc.rs"))
}
