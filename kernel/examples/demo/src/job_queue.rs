//! From `POST /jobs` to the workers: a bounded queue and the tasks behind it.
//!
//! A place in the queue is taken before the body is read and given back when the job is done, so
//! that the places times [`MAX_BODY`] bytes bound what jobs can hold, however many clients upload.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;

use futures_util::FutureExt;
use ukernel::Context;
use ukernel::sync::mpsc::{Receiver, Sender, bounded};
use ukernel::sync::{Mutex, OwnedPermit, Semaphore};
use ukernel::task::yield_now;

use crate::jobs::{Job, JobCounts, JobId, JobState, Jobs};
use crate::summary::{Summarizer, Summary};

/// Longest text of a job, in bytes; a longer one is answered with 413.
pub const MAX_BODY: usize = 64 * 1024;
/// Tasks that compute.
const WORKERS: usize = 2;
/// How much a worker computes before it lets other tasks run, in bytes.
const STRIDE: usize = 4096;

/// The queue's handle; clone it freely.
#[derive(Clone)]
pub struct JobQueue {
    jobs: Rc<RefCell<Jobs>>,
    places: Rc<Semaphore>,
    sender: Sender<Order>,
}

/// A job on its way to a worker.
struct Order {
    id: JobId,
    text: Vec<u8>,
    _place: Place,
}

/// A place in the queue; given back when dropped.
pub struct Place(#[allow(dead_code, reason = "held, not read")] OwnedPermit);

impl JobQueue {
    /// Starts the workers, which run until the machine stops. `places` jobs are uploaded, queued or
    /// computed at a time; further ones are refused.
    pub fn start(ctx: &Context, places: usize) -> Self {
        let (sender, receiver) = bounded(places);
        let receiver = Rc::new(Mutex::new(receiver));
        let jobs = Rc::new(RefCell::new(Jobs::default()));
        for _ in 0..WORKERS {
            let worker = work(receiver.clone(), jobs.clone());
            ctx.task("job").spawn(worker);
        }
        JobQueue {
            jobs,
            places: Rc::new(Semaphore::new(places)),
            sender,
        }
    }

    /// Takes a place, or notes that there was none.
    pub fn reserve(&self) -> Option<Place> {
        let permit = self
            .places
            .clone()
            .acquire_owned(1)
            .now_or_never()
            .and_then(Result::ok);
        if permit.is_none() {
            self.jobs.borrow_mut().refuse();
        }
        permit.map(Place)
    }

    /// Hands a text to the workers.
    pub fn submit(&self, text: Vec<u8>, place: Place) -> Option<Job> {
        let id = self.jobs.borrow_mut().accept()?;
        let order = Order {
            id,
            text,
            _place: place,
        };
        // There are as many slots as places, so a job with a place always fits.
        self.sender.try_send(order).ok()?;
        self.get(id)
    }

    /// Looks a job up.
    pub fn get(&self, id: JobId) -> Option<Job> {
        self.jobs.borrow().get(id)
    }

    /// How many jobs there have been.
    pub fn counts(&self) -> JobCounts {
        self.jobs.borrow().counts()
    }
}

/// Takes one order after the other. The workers wait for the lock in turn, so each order goes to one.
async fn work(orders: Rc<Mutex<Receiver<Order>>>, jobs: Rc<RefCell<Jobs>>) {
    loop {
        let Some(order) = orders.lock().await.recv().await else {
            return;
        };
        jobs.borrow_mut().set(order.id, JobState::Running);
        let summary = summarize(&order.text).await;
        jobs.borrow_mut().set(order.id, JobState::Done(summary));
    }
}

async fn summarize(text: &[u8]) -> Summary {
    let mut summarizer = Summarizer::default();
    for piece in text.chunks(STRIDE) {
        summarizer.feed(piece);
        yield_now().await;
    }
    summarizer.finish()
}
