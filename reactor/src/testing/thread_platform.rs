//! A platform of real time on a thread.
#![allow(unsafe_code, reason = "implements the unsafe trait Platform")]

use std::sync::Arc;
use std::thread::{self, Thread};

use crate::irq::IrqLines;
use crate::platform::Platform;
use crate::time::Instant;

/// Real time on the thread that makes it: sleeps in `std::thread::park`. For tests and measurements
/// with several threads.
///
/// ```
/// use reactor::{Reactor, sync::WakerSlot, testing::ThreadPlatform};
/// let reactor = Reactor::new(ThreadPlatform::new());
/// reactor.block_on(std::future::poll_fn(|cx| {
///     let waker = cx.waker().clone();
///     std::thread::spawn(move || waker.wake()).join().unwrap();
///     std::task::Poll::Ready(())
/// }));
/// ```
#[derive(Debug)]
pub struct ThreadPlatform {
    start: std::time::Instant,
    owner: Thread,
    lines: IrqLines,
}

impl ThreadPlatform {
    /// A platform for a reactor on the calling thread.
    pub fn new() -> Arc<ThreadPlatform> {
        Arc::new(ThreadPlatform {
            start: std::time::Instant::now(),
            owner: thread::current(),
            lines: IrqLines::new(),
        })
    }

    /// Raises a line from any thread, in place of an interrupt handler.
    pub fn raise(&self, line: u8) {
        self.lines.raise(line);
        self.owner.unpark();
    }
}

// SAFETY: `thread_context` gives every thread a number of its own, and there are no interrupts.
unsafe impl Platform for ThreadPlatform {
    fn now(&self) -> Instant {
        let nanos = self.start.elapsed().as_nanos();
        Instant::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    fn park(&self, until: Option<Instant>, has_work: &dyn Fn() -> bool) {
        // A wake after this look leaves its token with the thread, and the park returns at once.
        if self.lines.pending() || has_work() {
            return;
        }
        match until {
            Some(until) => thread::park_timeout(until - self.now()),
            None => thread::park(),
        }
    }

    fn irq_lines(&self) -> &IrqLines {
        &self.lines
    }

    fn context(&self) -> usize {
        super::thread_context()
    }

    fn unpark(&self) {
        self.owner.unpark();
    }
}
