//! Tasks of a program that are futures: entry 1 is the first one that a test defined, and so on.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::pin::Pin;
use core::task::{Context, Poll};

use abi::Error;
use abi::capability::Kinds;
use abi::number::TASK_CANCELLED;
use reactor::Spawner;
use reactor::task::JoinHandle;

use crate::backend::{Runner, Start};
use crate::failure::Outcome;
use crate::program::{DEFAULT_STACK, Program};
use crate::task::Task;

type Running = Pin<Box<dyn Future<Output = i32>>>;
type Function = Rc<dyn Fn(Rc<Task>, u64) -> Running>;

/// What the functions of a C program are otherwise.
pub struct Functions {
    spawner: Spawner,
    known: RefCell<Vec<Function>>,
}

impl Functions {
    /// None yet; those of a program will run on this reactor.
    pub fn new(spawner: Spawner) -> Functions {
        Functions {
            spawner,
            known: RefCell::default(),
        }
    }

    /// Defines one; gives its "address". It is given the task that runs it and its argument, and gives its status.
    pub fn add<F>(&self, function: impl Fn(Rc<Task>, u64) -> F + 'static) -> u64
    where
        F: Future<Output = i32> + 'static,
    {
        let mut known = self.known.borrow_mut();
        known.push(Rc::new(move |task, argument| {
            Box::pin(function(task, argument))
        }));
        known.len() as u64
    }

    /// Starts a task of the program with these capabilities active, and no others to be had. It ends with status 0, or,
    /// after a failure, with the failure's code.
    ///
    /// # Panics
    /// The program, whose runner this is, has no room for another task.
    pub fn spawn<F>(
        &self,
        program: &Rc<Program>,
        kinds: Kinds,
        body: impl FnOnce(Rc<Task>) -> F + 'static,
    ) -> Rc<Task>
    where
        F: Future<Output = Outcome> + 'static,
    {
        let body = Cell::new(Some(body));
        let entry = self.add(move |task, _| {
            let body = body.take().expect("this entry is started once, below");
            let run = body(task);
            async move {
                run.await
                    .map_or_else(|failure| failure.error.code() as i32, |()| 0)
            }
        });
        let start = Start {
            entry,
            argument: 0,
            stack: DEFAULT_STACK,
        };
        let started = program.start(start, kinds, kinds);
        started.expect("the entry is there, and tests start few tasks")
    }
}

impl core::fmt::Debug for Functions {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Functions")
            .field("known", &self.known.borrow().len())
            .finish()
    }
}

impl Runner for Functions {
    fn start(&self, task: &Rc<Task>, start: Start) -> Result<JoinHandle<()>, Error> {
        let index = (start.entry as usize).checked_sub(1);
        let known = self.known.borrow();
        let function = index
            .and_then(|index| known.get(index))
            .ok_or(Error::Invalid)?;
        let (function, task) = (Rc::clone(function), Rc::clone(task));
        Ok(self.spawner.task("program").spawn(async move {
            let mut running = function(Rc::clone(&task), start.argument);
            let mut waits = false;
            let status = poll_fn(|cx| {
                if waits && task.is_cancelled() {
                    return Poll::Ready(TASK_CANCELLED); // whether or not the wait is over
                }
                waits = true;
                step(&task, &mut running, cx)
            });
            let status = status.await;
            drop(running);
            task.end(status);
        }))
    }
}

/// Runs a task up to its next wait, in which it ends if it is cancelled.
fn step(task: &Task, running: &mut Running, cx: &mut Context<'_>) -> Poll<i32> {
    task.sleeps(cx.waker());
    task.switched();
    let polled = running.as_mut().poll(cx);
    task.switched();
    match polled {
        Poll::Pending if task.is_cancelled() => Poll::Ready(TASK_CANCELLED),
        polled => polled,
    }
}
