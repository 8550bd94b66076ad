//! What each part of the demo may take of the memory, so that all clients together cannot exhaust it.
//!
//! Measured once, at the start. Half of what is free then is the network stack's, for its buffers (the
//! kernel sees to that); the shares here come from the other half and leave a little of it. Who finds
//! a share spent waits in a queue that takes no memory, or is told to come again.

use crate::disk_stream::{CHUNK, READS_AHEAD};
use crate::job_queue::MAX_BODY;
use crate::settings::MAX_CONNECTIONS;

/// A connection's task, which holds its request, and the text of its answer.
pub const HTTP_BYTES: usize = 14 * 1024;
/// An echo's task, which holds what it reads.
pub const ECHO_BYTES: usize = 5 * 1024;
/// Most requests that read a disk at the same time, however much memory there is.
const MAX_DISK_READERS: usize = 64;
/// Most jobs in the queue, however much memory there is.
pub const MAX_JOBS_QUEUED: usize = 16;

/// How many there may be at a time; none of them is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shares {
    /// HTTP connections that are served; further ones wait to be accepted.
    pub http: usize,
    /// TCP echo connections; further ones wait to be accepted.
    pub echo: usize,
    /// Requests that read a disk; further ones wait.
    pub disk_readers: usize,
    /// Jobs that are uploaded, queued or computed; further ones are answered with 503.
    pub jobs: usize,
}

impl Shares {
    /// Divides the `free` bytes of the heap: a quarter for HTTP, a sixteenth each for the others.
    pub fn of(free: usize) -> Self {
        let fit = |share: usize, each: usize, most: usize| (share / each).clamp(1, most);
        Shares {
            http: fit(free / 4, HTTP_BYTES, MAX_CONNECTIONS as usize),
            echo: fit(free / 16, ECHO_BYTES, MAX_CONNECTIONS as usize),
            disk_readers: fit(free / 16, CHUNK * READS_AHEAD, MAX_DISK_READERS),
            jobs: fit(free / 16, MAX_BODY, MAX_JOBS_QUEUED),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_leave_the_network_its_half_and_some_more() {
        for mib in [6, 8, 64, 8192] {
            let free = mib << 20;
            let shares = Shares::of(free);
            let taken = shares.http * HTTP_BYTES
                + shares.echo * ECHO_BYTES
                + shares.disk_readers * CHUNK * READS_AHEAD
                + shares.jobs * MAX_BODY;
            assert!(taken <= free / 16 * 7, "{mib} MiB: {shares:?}");
        }
    }

    #[test]
    fn a_small_machine_serves_a_hundred_connections() {
        assert!(Shares::of(6700 << 10).http >= 100);
    }

    #[test]
    fn there_is_always_one_of_each() {
        let one = Shares {
            http: 1,
            echo: 1,
            disk_readers: 1,
            jobs: 1,
        };
        assert_eq!(Shares::of(0), one);
    }
}
