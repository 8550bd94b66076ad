//! Names tasks whose polls take too long, since they hold up every other task.
//!
//! Owns the budget of one poll and the rate limit of the log line. Called by the executor after
//! each poll.

use core::cell::Cell;

use crate::task::header::Header;
use crate::time::{Duration, Instant, saturating_nanos};

/// What a poll may take before it is named, unless [`set_poll_budget`] says otherwise.
///
/// [`set_poll_budget`]: crate::Reactor::set_poll_budget
pub(crate) const DEFAULT_POLL_BUDGET: Duration = Duration::from_millis(10);

/// At most one log line in this time; those left out are counted on the next.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

pub(crate) struct PollBudget {
    nanos: Cell<u64>,
    next_report: Cell<Instant>,
    unreported: Cell<u64>,
}

impl PollBudget {
    pub(crate) fn new() -> PollBudget {
        PollBudget {
            nanos: Cell::new(saturating_nanos(DEFAULT_POLL_BUDGET)),
            next_report: Cell::new(Instant::ZERO),
            unreported: Cell::new(0),
        }
    }

    pub(crate) fn set(&self, budget: Duration) {
        self.nanos.set(saturating_nanos(budget));
    }

    pub(crate) fn is_exceeded_by(&self, nanos: u64) -> bool {
        nanos > self.nanos.get()
    }

    /// Logs the slow poll, or counts it if a line was logged a moment ago.
    #[cold]
    pub(crate) fn report(&self, task: &Header, nanos: u64, now: Instant) {
        if now < self.next_report.get() {
            self.unreported.set(self.unreported.get() + 1);
            return;
        }
        self.next_report.set(now + REPORT_INTERVAL);
        log::warn!(
            "reactor: slow poll task={} id={} took_us={} budget_us={} unreported={}",
            task.name,
            task.id,
            nanos / 1000,
            self.nanos.get() / 1000,
            self.unreported.take(),
        );
    }
}
