//! Calls through the functions that C links to, from a test's own stack: as the first thread of a Linux process does it.

use alloc::rc::Rc;
use core::cell::RefCell;
use core::pin::Pin;

use abi::capability::Kinds;

use super::Host;
use crate::entry::{Door, install};
use crate::task::Task;

std::thread_local! {
    static CURRENT: RefCell<Option<(Rc<Host>, Rc<Task>)>> = const { RefCell::new(None) };
}

/// Finds the task of the thread; waits by running the reactor.
struct Outermost;

impl Door for Outermost {
    fn enter(&self) -> Option<Rc<Task>> {
        CURRENT.with_borrow(|current| current.as_ref().map(|(_, task)| Rc::clone(task)))
    }

    fn leave(&self) {}

    fn wait(&self, task: &Task, future: Pin<&mut dyn Future<Output = ()>>) -> bool {
        let host = CURRENT.with_borrow(|current| current.as_ref().map(|(host, _)| Rc::clone(host)));
        let Some(host) = host.filter(|_| !task.is_cancelled()) else {
            return false;
        };
        host.reactor.block_on(future);
        true
    }

    fn exit(&self, status: i32) -> ! {
        panic!("a test's task cannot end in a call, status={status}")
    }
}

/// Makes this thread a task of the program, with all of `kinds` to be had and nothing active, until what is
/// returned is dropped.
pub fn be_a_task(host: &Rc<Host>, kinds: Kinds) -> Current {
    install(&Outermost);
    let task = host.program.adopt(kinds, Kinds::EMPTY);
    CURRENT.set(Some((Rc::clone(host), Rc::clone(&task))));
    Current(task)
}

/// The task that this thread is.
#[derive(Debug)]
pub struct Current(pub Rc<Task>);

impl Drop for Current {
    fn drop(&mut self) {
        CURRENT.take();
        self.0.end(0);
    }
}
