//! Every way in which a task, its handle and its wakers can end.

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::task::{Poll, Waker};

use reactor::Reactor;
use reactor::task::{JoinError, JoinHandle, yield_now};
use reactor::testing::VirtualClock;
use reactor::time::Duration;

/// Counts itself while it lives.
struct Token(Rc<Cell<usize>>);

impl Token {
    fn new(live: &Rc<Cell<usize>>) -> Token {
        live.set(live.get() + 1);
        Token(live.clone())
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

fn bench() -> (Reactor, Rc<Cell<usize>>) {
    (Reactor::new(VirtualClock::new()), Rc::default())
}

/// Lets one turn pass, and as many more.
fn turns(reactor: &Reactor, more: usize) {
    reactor.block_on(async {
        for _ in 0..more {
            yield_now().await;
        }
    });
}

#[test]
fn the_future_is_dropped_at_completion_and_the_output_is_kept() {
    let (reactor, live) = bench();
    let (in_future, output) = (Token::new(&live), Token::new(&live));
    let task = reactor.spawner().spawn(async move {
        let _in_future = in_future;
        output
    });
    turns(&reactor, 1);
    assert!(task.is_finished());
    assert_eq!(live.get(), 1);
    drop(task);
    assert_eq!(live.get(), 0);
}

#[test]
fn a_detached_task_goes_on_and_its_output_is_dropped() {
    let (reactor, live) = bench();
    let token = Token::new(&live);
    let task = async move {
        yield_now().await;
        token
    };
    reactor.spawner().spawn(task).detach();
    turns(&reactor, 0);
    assert_eq!(live.get(), 1);
    turns(&reactor, 0);
    assert_eq!(live.get(), 0);
    assert_eq!(reactor.stats().tasks_live, 0);
}

#[test]
fn an_output_that_nobody_takes_does_not_wait_for_the_last_waker() {
    let (reactor, live) = bench();
    let kept: Rc<RefCell<Option<Waker>>> = Rc::default();
    let (keep, output) = (kept.clone(), Token::new(&live));
    let mut output = Some(output);
    let task = reactor.spawner().spawn(poll_fn(move |cx| {
        *keep.borrow_mut() = Some(cx.waker().clone());
        Poll::Ready(output.take())
    }));
    task.detach();
    turns(&reactor, 0);
    assert!(kept.borrow().is_some());
    assert_eq!(live.get(), 0);
}

#[test]
fn cancelling_drops_the_future_in_the_tasks_turn_not_at_once() {
    let (reactor, live) = bench();
    let token = Token::new(&live);
    let task = reactor.spawner().spawn(async move {
        let _token = token;
        pending::<()>().await;
    });
    turns(&reactor, 1);
    task.cancel();
    task.cancel();
    assert_eq!((live.get(), task.is_finished()), (1, false));
    assert_eq!(reactor.block_on(task), Err(JoinError::Cancelled));
    assert_eq!(live.get(), 0);
}

#[test]
fn a_task_cancelled_before_its_first_poll_never_runs() {
    let (reactor, live) = bench();
    let token = Token::new(&live);
    let task = reactor.spawner().spawn(async move {
        let _token = token;
        unreachable!("cancelled before");
    });
    task.cancel();
    assert_eq!(reactor.block_on(task), Err::<(), _>(JoinError::Cancelled));
    assert_eq!(
        (live.get(), reactor.stats().polls),
        (0, 1),
        "the poll is main's"
    );
}

/// Runs a task that cancels itself in its first poll and then does what `rest` says.
fn cancel_yourself<T: 'static>(rest: impl AsyncFnOnce() -> T + 'static) -> Result<T, JoinError> {
    let reactor = Reactor::new(VirtualClock::new());
    let own: Rc<RefCell<Option<JoinHandle<T>>>> = Rc::default();
    let handle = own.clone();
    let task = reactor.spawner().spawn(async move {
        handle
            .borrow()
            .as_ref()
            .expect("stored before the first poll")
            .cancel();
        rest().await
    });
    *own.borrow_mut() = Some(task);
    turns(&reactor, 2);
    let task = own.borrow_mut().take().expect("stored above");
    assert!(task.is_finished());
    reactor.block_on(task)
}

#[test]
fn a_task_may_cancel_itself() {
    assert_eq!(
        cancel_yourself(async || yield_now().await),
        Err(JoinError::Cancelled)
    );
    assert_eq!(
        cancel_yourself(async || 5),
        Ok(5),
        "what it finishes in the same poll counts"
    );
}

#[test]
fn cancelling_a_finished_task_keeps_its_output() {
    let (reactor, _) = bench();
    let task = reactor.spawner().spawn(async { 3 });
    turns(&reactor, 1);
    task.cancel();
    assert_eq!(reactor.block_on(task), Ok(3));
}

#[test]
fn dropping_the_reactor_drops_futures_in_every_state() {
    let (reactor, live) = bench();
    let spawner = reactor.spawner();
    let hold = |live: &Rc<Cell<usize>>| {
        let token = Token::new(live);
        async move {
            let _token = token;
            pending::<()>().await;
        }
    };
    let waiting = spawner.spawn(hold(&live));
    let joined = spawner.spawn(hold(&live));
    let joining = {
        let token = Token::new(&live);
        spawner.spawn(async move { (joined.await, token).0 })
    };
    let wakers: Rc<RefCell<Vec<Waker>>> = Rc::default();
    let keeps_its_own_waker = {
        let (token, wakers) = (Token::new(&live), wakers.clone());
        spawner.spawn(poll_fn(move |cx| {
            let _token = &token;
            wakers.borrow_mut().push(cx.waker().clone());
            Poll::<()>::Pending
        }))
    };
    turns(&reactor, 1);
    let cancelled = spawner.spawn(hold(&live));
    cancelled.cancel();
    let queued = spawner.spawn(hold(&live));
    let detached_waiting = waiting;
    assert_eq!(live.get(), 6);
    drop(reactor);
    assert_eq!(live.get(), 0);
    for task in [queued, cancelled, keeps_its_own_waker, detached_waiting] {
        assert!(task.is_finished());
        assert_eq!(result_of(task), Err(JoinError::Cancelled));
    }
    assert_eq!(result_of(joining), Err(JoinError::Cancelled));
    wakers.borrow().iter().for_each(Waker::wake_by_ref); // a closed door, not freed memory
}

/// Awaits a handle in another reactor.
fn result_of<T>(task: JoinHandle<T>) -> Result<T, JoinError> {
    Reactor::new(VirtualClock::new()).block_on(task)
}

#[test]
fn what_is_spawned_after_the_reactor_is_dropped_at_once() {
    let (reactor, live) = bench();
    let spawner = reactor.spawner();
    drop(reactor);
    let token = Token::new(&live);
    let task = spawner.spawn(async move { drop(token) });
    assert_eq!(live.get(), 0);
    assert_eq!(result_of(task), Err(JoinError::Cancelled));
}

#[test]
fn destructors_may_spawn_wake_and_cancel_while_the_reactor_goes() {
    struct Busy<F: FnMut()>(F);
    impl<F: FnMut()> Drop for Busy<F> {
        fn drop(&mut self) {
            (self.0)();
        }
    }
    let (reactor, live) = bench();
    let spawner = reactor.spawner();
    let (other, waker) = (
        Rc::new(spawner.spawn(pending::<()>())),
        Rc::new(RefCell::new(None)),
    );
    for _ in 0..3 {
        let busy = Busy({
            let (spawner, live, other) = (spawner.clone(), live.clone(), other.clone());
            let waker: Rc<RefCell<Option<Waker>>> = waker.clone();
            move || {
                let token = Token::new(&live);
                spawner.spawn(async move { drop(token) }).detach();
                other.cancel();
                waker.borrow().iter().for_each(Waker::wake_by_ref);
            }
        });
        let waker = waker.clone();
        let task = poll_fn(move |cx| {
            let _busy = &busy;
            *waker.borrow_mut() = Some(cx.waker().clone());
            Poll::<()>::Pending
        });
        spawner.spawn(task).detach();
    }
    turns(&reactor, 1);
    drop(reactor);
    assert_eq!(live.get(), 0);
    assert!(other.is_finished());
}

#[test]
fn a_panic_ends_its_task_only() {
    let (reactor, live) = bench();
    let token = Token::new(&live);
    let bad = reactor.spawner().task("bad").spawn(async move {
        let _token = token;
        yield_now().await;
        panic!("on purpose");
    });
    let good = reactor.spawner().spawn(async {
        for _ in 0..10 {
            yield_now().await;
        }
        "done"
    });
    let unwound = catch_unwind(AssertUnwindSafe(|| reactor.block_on(pending::<()>())));
    assert_eq!(unwound.unwrap_err().downcast_ref(), Some(&"on purpose"));
    assert_eq!((live.get(), bad.is_finished()), (0, true));
    assert_eq!(reactor.current_task().get(), None);
    assert_eq!(reactor.block_on(bad), Err::<(), _>(JoinError::Panicked));
    assert_eq!(reactor.block_on(good), Ok("done"));
    assert_eq!(
        (reactor.stats().tasks_panicked, reactor.stats().tasks_live),
        (1, 0)
    );
}

#[test]
fn a_main_future_that_borrows_is_gone_when_another_task_unwinds() {
    let (reactor, live) = bench();
    reactor.spawner().spawn(async {
        yield_now().await;
        panic!("on purpose");
    });
    let local = String::from("borrowed by main");
    let woken_again = Cell::new(false);
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        let token = Token::new(&live);
        reactor.block_on(async {
            let _token = token;
            loop {
                assert_eq!(local.len(), 16);
                woken_again.set(true); // queued again when the other task panics
                yield_now().await;
            }
        })
    }));
    assert!(unwound.is_err() && woken_again.get());
    assert_eq!(live.get(), 0);
    drop(local);
    turns(&reactor, 3); // its empty task is cleared away
    assert_eq!(reactor.stats().tasks_live, 0);
}

#[test]
fn a_panic_of_the_main_future_passes_through() {
    let (reactor, live) = bench();
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        let token = Token::new(&live);
        reactor.block_on(async {
            let _token = token;
            yield_now().await;
            panic!("main");
        });
    }));
    assert_eq!(unwound.unwrap_err().downcast_ref(), Some(&"main"));
    assert_eq!((live.get(), reactor.stats().tasks_live), (0, 0));
    turns(&reactor, 1);
}

#[test]
fn a_destructor_that_panics_counts_as_a_panic_of_its_task() {
    struct Bad;
    impl Drop for Bad {
        fn drop(&mut self) {
            panic!("in drop");
        }
    }
    let (reactor, _) = bench();
    let bad = Bad;
    let task = reactor.spawner().spawn(async move {
        let _bad = bad;
        pending::<()>().await;
    });
    turns(&reactor, 1);
    task.cancel();
    assert!(catch_unwind(AssertUnwindSafe(|| turns(&reactor, 2))).is_err());
    assert_eq!(reactor.block_on(task), Err(JoinError::Panicked));
}

#[test]
fn wakers_may_outlive_everything() {
    let (reactor, live) = bench();
    let kept: Rc<RefCell<Option<Waker>>> = Rc::default();
    let (token, keep) = (Token::new(&live), kept.clone());
    let task = reactor.spawner().spawn(poll_fn(move |cx| {
        let _token = &token;
        *keep.borrow_mut() = Some(cx.waker().clone());
        Poll::Ready([0u8; 4096])
    }));
    turns(&reactor, 1);
    drop((task, reactor));
    assert_eq!(live.get(), 0);
    let waker = kept.borrow_mut().take().expect("kept by the poll");
    let copy = waker.clone();
    waker.wake();
    copy.wake_by_ref();
    assert!(copy.will_wake(&copy.clone()));
}

#[test]
fn a_handle_can_be_awaited_by_several_tasks_in_turn() {
    let (reactor, _) = bench();
    let clock = reactor.clock();
    let mut task = {
        let clock = clock.clone();
        reactor
            .spawner()
            .spawn(async move { clock.sleep(Duration::from_secs(5)).await })
    };
    reactor.block_on(async {
        assert!(
            clock
                .timeout(Duration::from_secs(1), &mut task)
                .await
                .is_err()
        );
    });
    // Another main task, another waker.
    assert_eq!(reactor.block_on(task), Ok(()));
}

#[test]
#[should_panic(expected = "awaited after it gave the output")]
fn a_handle_gives_its_output_once() {
    let (reactor, _) = bench();
    let mut task = reactor.spawner().spawn(async {});
    reactor.block_on(async {
        assert_eq!((&mut task).await, Ok(()));
        let _ = (&mut task).await;
    });
}
