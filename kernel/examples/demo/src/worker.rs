//! What all tasks of the demo share: the machine's devices, the jobs and the counters.

use alloc::rc::Rc;
use core::cell::Cell;

use ukernel::Context;
use ukernel::sync::Semaphore;

use crate::disk_stream::{CHUNK, READS_AHEAD};
use crate::job_queue::JobQueue;
use crate::settings::{MAX_CONNECTIONS, Settings};

/// Most requests that read a disk at the same time.
const MAX_DISK_READERS: usize = 64;
/// Heap that an HTTP connection may take: its task, its request, what its socket buffers.
const CONNECTION_BYTES: usize = 32 * 1024;

/// The shared state; one for the machine, behind an `Rc`.
pub struct Worker {
    /// What the kernel handed to `main`.
    pub ctx: Context,
    /// The jobs.
    pub jobs: JobQueue,
    /// One permit for each request that may read a disk now; the others wait their turn, so that
    /// what is read ahead stays bounded.
    pub disk_readers: Rc<Semaphore>,
    /// Most HTTP connections at a time.
    pub max_connections: usize,
    /// HTTP connections now.
    pub connections: Cell<u64>,
    /// HTTP requests answered since the start.
    pub requests: Cell<u64>,
}

impl Worker {
    /// Measures the machine and starts the tasks behind the job queue.
    pub fn new(ctx: Context, settings: &Settings) -> Self {
        let free = ctx.stats().memory.heap_free_bytes as usize;
        // Half of the heap for connections, an eighth for what is read ahead of them.
        let connections = (free / 2 / CONNECTION_BYTES).clamp(1, MAX_CONNECTIONS as usize);
        let readers = (free / 8 / (CHUNK * READS_AHEAD)).clamp(1, MAX_DISK_READERS);
        Worker {
            jobs: JobQueue::start(&ctx),
            disk_readers: Rc::new(Semaphore::new(readers)),
            max_connections: settings.connections.unwrap_or(connections),
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
