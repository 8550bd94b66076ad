//! From interrupt handlers to tasks: the only place where an interrupt enters.
//!
//! Owns [`IrqLines`], the bits that handlers set, and [`IrqEvent`], a task's view of one line. The
//! run loop takes the bits at the start of each turn and wakes the waiters, in task context. A
//! handler does nothing but [`IrqLines::raise`]: it never wakes, since a waker can free memory and
//! the run queue may be the very thing that it interrupted.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::fmt;
use core::future::poll_fn;
use core::sync::atomic::{AtomicU64, Ordering};
use core::task::{Context, Poll};

use crate::executor::Core;
use crate::sync::WakerSlot;

/// One bit for each interrupt line, raised by handlers and taken by the run loop.
///
/// Fits a static: an interrupt handler must reach it without a lock.
///
/// ```
/// use reactor::irq::IrqLines;
/// static LINES: IrqLines = IrqLines::new();
/// LINES.raise(5);
/// assert!(LINES.pending());
/// assert_eq!(LINES.take(), 1 << 5);
/// assert!(!LINES.pending());
/// ```
#[derive(Debug, Default)]
pub struct IrqLines(AtomicU64);

impl IrqLines {
    /// How many lines there are; they are numbered from 0.
    pub const COUNT: u8 = 64;

    /// No line raised.
    pub const fn new() -> IrqLines {
        IrqLines(AtomicU64::new(0))
    }

    /// Marks a line as raised: one atomic OR. From any context, interrupt handlers above all. A
    /// line from 64 on does not exist and is ignored.
    pub fn raise(&self, line: u8) {
        // Release: what the handler read from its device is visible to the turn that takes the bit.
        self.0.fetch_or(bit(line), Ordering::Release);
    }

    /// Whether any line is raised. The kernel asks with interrupts off, before it halts.
    pub fn pending(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }

    /// Takes a line if it is raised and no other is; says whether. For who would be woken by it, where that has nobody else
    /// to be told.
    ///
    /// ```
    /// use reactor::irq::IrqLines;
    /// static LINES: IrqLines = IrqLines::new();
    /// LINES.raise(5);
    /// assert!(LINES.take_only(5) && !LINES.pending());
    /// LINES.raise(5);
    /// LINES.raise(6);
    /// assert!(!LINES.take_only(5) && !LINES.take_only(6));
    /// assert_eq!(LINES.take(), 1 << 5 | 1 << 6);
    /// ```
    pub fn take_only(&self, line: u8) -> bool {
        let line = bit(line);
        let taken = self
            .0
            .compare_exchange(line, 0, Ordering::Acquire, Ordering::Relaxed);
        line != 0 && taken.is_ok()
    }

    /// Takes all raised lines, as a bit set. Called by the run loop.
    pub fn take(&self) -> u64 {
        self.0.swap(0, Ordering::Acquire)
    }
}

fn bit(line: u8) -> u64 {
    1u64.checked_shl(u32::from(line)).unwrap_or(0)
}

/// A task's view of one interrupt line; from [`Reactor::irq_event`](crate::Reactor::irq_event).
///
/// Remembers one bit: whether the line was raised since the event was last consumed. Serves one
/// waiter; several events may share a line, and each sees every interrupt. Not `Send`. Dropping it
/// unregisters it.
///
/// ```
/// use reactor::{Reactor, testing::VirtualClock};
/// let clock = VirtualClock::new();
/// let reactor = Reactor::new(clock.clone());
/// let event = reactor.irq_event(11);
/// clock.raise(11); // what an interrupt handler does
/// reactor.block_on(event.raised());
/// ```
pub struct IrqEvent {
    core: Rc<Core>,
    source: Rc<Source>,
}

impl IrqEvent {
    /// Registers with the reactor's table.
    pub(crate) fn new(core: Rc<Core>, line: u8) -> IrqEvent {
        if line >= IrqLines::COUNT {
            log::warn!("reactor: interrupt line does not exist line={line}");
        }
        let source = Rc::new(Source {
            line,
            raised: Cell::new(false),
            waiter: WakerSlot::new(),
        });
        core.irqs.sources.borrow_mut().push(source.clone());
        IrqEvent { core, source }
    }

    /// Consumes the bit: `Ready` if the line was raised since the last time. Otherwise registers
    /// the waker of `cx`, in place of the one before.
    pub fn poll_raised(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.source.raised.replace(false) {
            return Poll::Ready(());
        }
        self.source.waiter.register(cx.waker());
        Poll::Pending
    }

    /// Waits until the line was raised since the bit was last consumed. Dropping the future loses
    /// nothing.
    pub async fn raised(&self) {
        poll_fn(|cx| self.poll_raised(cx)).await;
    }

    /// The line's number.
    pub fn line(&self) -> u8 {
        self.source.line
    }
}

impl Drop for IrqEvent {
    fn drop(&mut self) {
        let mut sources = self.core.irqs.sources.borrow_mut();
        sources.retain(|source| !Rc::ptr_eq(source, &self.source));
    }
}

impl fmt::Debug for IrqEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IrqEvent")
            .field("line", &self.source.line)
            .field("raised", &self.source.raised.get())
            .finish()
    }
}

struct Source {
    line: u8,
    raised: Cell<bool>,
    waiter: WakerSlot,
}

/// The events of one reactor: one for each device, so a walk through all of them is short.
#[derive(Default)]
pub(crate) struct IrqTable {
    sources: RefCell<Vec<Rc<Source>>>,
}

impl IrqTable {
    /// Marks the events of the raised lines and wakes their waiters.
    pub(crate) fn deliver(&self, raised: u64) {
        // With the borrow ended: a waker may run code that makes or drops an event.
        let mut next = 0;
        while let Some((index, source)) = self.first_raised(next, raised) {
            source.raised.set(true);
            source.waiter.wake();
            next = index + 1;
        }
    }

    /// The first source from `start` on whose line is among those raised.
    fn first_raised(&self, start: usize, raised: u64) -> Option<(usize, Rc<Source>)> {
        let sources = self.sources.borrow();
        let mut rest = sources.iter().enumerate().skip(start);
        let (index, source) = rest.find(|(_, source)| raised & bit(source.line) != 0)?;
        Some((index, source.clone()))
    }
}
