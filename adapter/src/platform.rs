//! Linux as a machine for a reactor: the clock, and the sleep in `epoll`.
//!
//! Owns one epoll instance, what its last look found, and the eventfd by which other threads and signal handlers end
//! a sleep. Called by the run loop, and by [`Descriptors`](crate::descriptors::Descriptors) for what is registered.
//! There is no interrupt: what a look finds raises a line, and the reactor goes on as it does in the guest.
//!
//! rustix and not `polling`: `polling` is the portable form of the same calls, which forgets what it has told unless
//! it is registered anew each time, or takes a lock and a map for level mode; here one `epoll_wait` is all that a
//! wait costs.
#![allow(unsafe_code, reason = "implements the unsafe trait Platform")]

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use abi::Error;
use reactor::irq::IrqLines;
use reactor::platform::Platform;
use reactor::time::{Duration, Instant};
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::{self, Errno};
use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::thread;

/// Raised when a look has found something.
pub(crate) const FOUND: u8 = 0;
/// Raised by [`wake_signal`](crate::host::wake_signal).
pub(crate) const SIGNALLED: u8 = 1;

/// The most events that one look takes; the others come with the next one.
const MAX_EVENTS: usize = 1024;
/// What the eventfd's events carry. No descriptor has that number.
const WAKE: u64 = u64::MAX;
/// How long a reactor that is never idle may go on without a look.
const LONGEST_PASS: Duration = Duration::from_micros(100);

const AWAKE: u8 = 0;
const ASLEEP: u8 = 1;
const WOKEN: u8 = 2;

/// The machine of one kernel.
#[derive(Debug)]
pub(crate) struct Linux {
    lines: IrqLines,
    /// Ends a sleep. Watched for edges, so that nobody has to read it.
    wake: OwnedFd,
    sleep: AtomicU8,
    /// Looks so far.
    looks: AtomicU64,
    /// How many there were when somebody passed, and when that was first so.
    passed: [AtomicU64; 2],
    /// Times that code of the program ran.
    runs: AtomicU64,
    eyes: Mutex<Eyes>,
}

/// What only the kernel's own context uses: its lock is never waited for.
#[derive(Debug)]
struct Eyes {
    epoll: OwnedFd,
    /// Numbers, each with what is so.
    found: Vec<(u64, EventFlags)>,
    /// How often code of the program had run by then.
    found_in: u64,
}

impl Linux {
    /// A machine.
    ///
    /// # Errors
    /// There is no descriptor left.
    pub(crate) fn new() -> io::Result<Arc<Linux>> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let epoll = new_epoll(wake.as_fd())?;
        Ok(Arc::new(Linux {
            lines: IrqLines::new(),
            wake,
            sleep: AtomicU8::new(AWAKE),
            looks: AtomicU64::new(0),
            passed: Default::default(),
            runs: AtomicU64::new(1),
            eyes: Mutex::new(Eyes {
                found_in: 0,
                epoll,
                found: Vec::new(),
            }),
        }))
    }

    fn eyes(&self) -> MutexGuard<'_, Eyes> {
        // Nothing under the lock can panic halfway.
        self.eyes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls `f` with the epoll instance.
    pub(crate) fn with_epoll<R>(&self, f: impl FnOnce(BorrowedFd<'_>) -> R) -> R {
        f(self.eyes().epoll.as_fd())
    }

    /// Replaces the epoll instance by an empty one. The caller registers anew what it had.
    ///
    /// # Errors
    /// There is no descriptor left; the old one stays.
    pub(crate) fn forget_everything(&self) -> io::Result<()> {
        let epoll = new_epoll(self.wake.as_fd())?;
        let mut eyes = self.eyes();
        eyes.epoll = epoll;
        eyes.found.clear();
        Ok(())
    }

    /// Code of the program is about to run, or has: what was found may not be so any more.
    pub(crate) fn program_runs(&self) {
        self.runs.fetch_add(1, Ordering::Relaxed);
    }

    /// How often that was.
    pub(crate) fn runs(&self) -> u64 {
        self.runs.load(Ordering::Relaxed)
    }

    /// Calls `tell` with the number and the flags of everything that the last look found, once. `begin` is called
    /// before, with [`runs`](Linux::runs) as it was when that look was taken.
    pub(crate) fn take_found(
        &self,
        begin: impl FnOnce(u64),
        mut tell: impl FnMut(u64, EventFlags),
    ) {
        let mut eyes = self.eyes();
        let mut found = std::mem::take(&mut eyes.found);
        begin(eyes.found_in);
        drop(eyes);
        found
            .drain(..)
            .for_each(|(number, flags)| tell(number, flags));
        self.eyes().found = found; // for its memory: nobody looks meanwhile
    }

    /// One look; without `timeout` until something happens. Whether it found something.
    fn look_within(&self, timeout: Option<Duration>) -> bool {
        let mut eyes = self.eyes();
        if !eyes.found.is_empty() {
            return true; // and nobody was told yet
        }
        // Interrupted, or whatever else: nothing was found, and the caller looks again.
        eyes.found_in = self.runs();
        let _ = eyes.look(timeout);
        let found = !eyes.found.is_empty();
        drop(eyes);
        self.looks.fetch_add(1, Ordering::Relaxed);
        if found {
            self.lines.raise(FOUND);
        }
        found
    }

    /// Raises a line and ends the sleep. From any thread, and any signal handler: two atomic operations, and a system
    /// call only where the kernel sleeps.
    pub(crate) fn interrupt(&self, line: u8) {
        self.lines.raise(line);
        self.unpark();
    }

    /// How many looks there have been.
    pub(crate) fn looks(&self) -> u64 {
        self.looks.load(Ordering::Relaxed)
    }

    /// Whether this Linux has what a kernel needs.
    ///
    /// # Errors
    /// [`Error::Unsupported`]: it is older than 5.11, which brought `epoll_pwait2`.
    pub(crate) fn probe(&self) -> Result<(), Error> {
        let looked = self.eyes().look(Some(Duration::ZERO));
        looked.map_err(|_| Error::Unsupported)
    }

    /// The descriptors of the machine itself.
    pub(crate) fn descriptors(&self) -> [i32; 2] {
        use std::os::fd::AsRawFd;
        [self.wake.as_raw_fd(), self.eyes().epoll.as_raw_fd()]
    }
}

impl Eyes {
    fn look(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let mut room = [MaybeUninit::<Event>::uninit(); MAX_EVENTS];
        let timeout = timeout.map(timespec);
        let (events, _) = epoll::wait(&self.epoll, &mut room[..], timeout.as_ref())?;
        let numbers = events.iter().map(|event| (event.data.u64(), event.flags));
        self.found
            .extend(numbers.filter(|(number, _)| *number != WAKE));
        Ok(())
    }
}

fn new_epoll(wake: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    let edges = EventFlags::IN | EventFlags::ET;
    epoll::add(&epoll, wake, EventData::new_u64(WAKE), edges)?;
    Ok(epoll)
}

fn timespec(span: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: span.subsec_nanos().into(),
    }
}

/// `CLOCK_MONOTONIC`, so that a program can compare it with what it reads otherwise.
fn now() -> Instant {
    let time = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanos = u64::try_from(time.tv_nsec).unwrap_or_default();
    Instant::from_nanos(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
}

// SAFETY: `context` is the number of the kernel that the thread has entered, and one thread at a time can have
// entered a kernel (`registry`); a thread that is in none has a number that no kernel has. There are no interrupts;
// signal handlers call `interrupt`, which raises a line.
unsafe impl Platform for Linux {
    fn now(&self) -> Instant {
        now()
    }

    fn park(&self, until: Option<Instant>, has_work: &dyn Fn() -> bool) {
        let slept = self
            .sleep
            .compare_exchange(AWAKE, ASLEEP, Ordering::SeqCst, Ordering::SeqCst);
        // Whoever wakes from here on writes to the eventfd.
        if slept.is_ok() && !self.lines.pending() && !has_work() {
            self.look_within(until.map(|until| until - now()));
        }
        self.sleep.store(AWAKE, Ordering::SeqCst);
    }

    fn look(&self) -> bool {
        self.look_within(Some(Duration::ZERO))
    }

    /// Looks if there was no look for a while; who sleeps now and then has no need of that, and is not asked the time.
    fn pass(&self) {
        let [passed, since] = &self.passed;
        let looks = self.looks();
        if passed.swap(looks, Ordering::Relaxed) != looks {
            since.store(now().as_nanos(), Ordering::Relaxed);
            return;
        }
        let since = Instant::from_nanos(since.load(Ordering::Relaxed));
        if now().duration_since(since) >= LONGEST_PASS {
            self.look_within(Some(Duration::ZERO));
        }
    }

    fn irq_lines(&self) -> &IrqLines {
        &self.lines
    }

    fn context(&self) -> usize {
        thread::context()
    }

    fn unpark(&self) {
        if self.sleep.swap(WOKEN, Ordering::SeqCst) == ASLEEP {
            // An eventfd refuses only when 2^64 - 2 wakes wait there.
            let _: Result<usize, Errno> = io::write(&self.wake, &1_u64.to_ne_bytes());
        }
    }
}
