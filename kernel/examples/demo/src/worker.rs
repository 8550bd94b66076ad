//! What all tasks of the demo share: the machine's devices, the jobs and the counters.

use alloc::rc::Rc;
use core::cell::Cell;

use ukernel::Context;
use ukernel::sync::Semaphore;

use crate::job_queue::JobQueue;
use crate::settings::Settings;
use crate::shares::Shares;

/// The shared state; one for the machine, behind an `Rc`.
pub struct Worker {
    /// What the kernel handed to `main`.
    pub ctx: Context,
    /// The jobs.
    pub jobs: JobQueue,
    /// One permit for each request that may read a disk now; the others wait their turn, so that
    /// what is read ahead stays bounded.
    pub disk_readers: Rc<Semaphore>,
    /// One permit for each request about a disk, whether it reads or waits: half of the HTTP
    /// connections, so that slow disks leave the others to be answered.
    pub disk_places: Rc<Semaphore>,
    /// Most HTTP connections at a time.
    pub max_connections: usize,
    /// Most TCP echo connections at a time.
    pub max_echoes: usize,
    /// HTTP connections now.
    pub connections: Cell<u64>,
    /// HTTP requests answered since the start.
    pub requests: Cell<u64>,
}

impl Worker {
    /// Measures the machine and starts the tasks behind the job queue.
    pub fn new(ctx: Context, settings: &Settings) -> Self {
        let free = ctx.stats().memory.heap_free_bytes as usize;
        let shares = Shares::of(free);
        let max_connections = settings.connections.unwrap_or(shares.http);
        Worker {
            jobs: JobQueue::start(&ctx, shares.jobs),
            disk_readers: Rc::new(Semaphore::new(shares.disk_readers)),
            disk_places: Rc::new(Semaphore::new(max_connections.div_ceil(2))),
            max_connections,
            max_echoes: shares.echo,
            connections: Cell::new(0),
            requests: Cell::new(0),
            ctx,
        }
    }

    /// Counts an HTTP request.
    pub fn count_request(&self) {
        self.requests.set(self.requests.get() + 1);
    }
}
