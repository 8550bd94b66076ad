//! Tasks that wait, in a ring in which each wakes the next.

use alloc::format;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::Cell;

use ukernel::sync::Notify;
use ukernel::task::{JoinHandle, yield_now};
use ukernel::{Context, Result};

use super::{MANY, Memory};
use crate::counts::{REPEATS, phase, tasks::spawns};

struct Ring {
    places: Vec<Notify>,
    /// Where the next lap begins, and how many wakes it still has.
    at: Cell<usize>,
    left: Cell<u64>,
    done: Notify,
}

impl Ring {
    fn new(tasks: usize) -> Rc<Ring> {
        Rc::new(Ring {
            places: (0..tasks).map(|_| Notify::new()).collect(),
            at: Cell::new(0),
            left: Cell::new(0),
            done: Notify::new(),
        })
    }

    /// The task at a place: wakes the next one, until the lap is over.
    async fn run(self: Rc<Ring>, place: usize) {
        loop {
            self.places[place].notified().await;
            self.left.set(self.left.get() - 1);
            let next = (place + 1) % self.places.len();
            match self.left.get() {
                0 => {
                    self.at.set(next);
                    self.done.notify_one();
                }
                _ => self.places[next].notify_one(),
            }
        }
    }

    async fn lap(&self, wakes: u64) {
        self.left.set(wakes);
        self.places[self.at.get()].notify_one();
        self.done.notified().await;
    }
}

pub(super) async fn measure(ctx: &Context) -> Result {
    // The first task of a kind brings what all of them share.
    ctx.spawn(Ring::new(1).run(0)).detach();
    yield_now().await;
    for tasks in MANY {
        with(ctx, tasks).await?;
    }
    Ok(())
}

async fn with(ctx: &Context, tasks: usize) -> Result {
    let memory = Memory::now(ctx);
    let ring = Ring::new(tasks);
    let spawn = |place| ctx.spawn(ring.clone().run(place));
    let handles: Vec<JoinHandle<()>> = (0..tasks).map(spawn).collect();
    yield_now().await;
    memory.report(ctx, "task", tasks, tasks);
    let name = format!("task_wake@{tasks}");
    phase(ctx, &name, REPEATS, async |count| {
        ring.lap(count).await;
        Ok(())
    })
    .await?;
    let name = format!("task_spawn_join@{tasks}");
    phase(ctx, &name, REPEATS, async |count| spawns(ctx, count).await).await?;
    for handle in handles {
        handle.cancel();
        let _ = handle.await; // it is gone, as it should be
    }
    Ok(())
}
