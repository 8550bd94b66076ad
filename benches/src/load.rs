//! Load generators: one thread, any number of connections, a histogram of what each operation took.

pub(crate) mod bulk;
pub(crate) mod churn;
pub(crate) mod datagrams;
pub(crate) mod exchange;
pub(crate) mod turns;

use std::io;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// How long an operation may take before it counts as failed.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longer ones count as this long, in nanoseconds.
const LONGEST: u64 = 60_000_000_000;

/// What a load saw.
pub(crate) struct Seen {
    /// Of the operations that succeeded, in nanoseconds.
    pub(crate) latencies: Histogram<u64>,
    pub(crate) errors: u64,
    pub(crate) elapsed: Duration,
    /// Bytes moved, by loads that move bulk.
    pub(crate) bytes: u64,
}

impl Seen {
    fn new() -> Seen {
        Seen {
            latencies: Histogram::new_with_bounds(1, LONGEST, 3).expect("the bounds are in order"),
            errors: 0,
            elapsed: Duration::ZERO,
            bytes: 0,
        }
    }

    fn record(&mut self, since: Instant) {
        self.latencies
            .saturating_record(since.elapsed().as_nanos() as u64);
    }

    fn add(&mut self, other: &Seen) -> io::Result<()> {
        self.errors += other.errors;
        self.latencies
            .add(&other.latencies)
            .map_err(io::Error::other)
    }

    pub(crate) fn operations(&self) -> u64 {
        self.latencies.len()
    }

    /// Operations a second.
    pub(crate) fn rate(&self) -> f64 {
        self.operations() as f64 / self.elapsed.as_secs_f64()
    }

    /// A percentile of the latencies, in microseconds.
    pub(crate) fn micros(&self, percentile: f64) -> f64 {
        self.latencies.value_at_percentile(percentile) as f64 / 1000.0
    }
}
