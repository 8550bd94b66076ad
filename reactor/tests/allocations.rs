//! What is allocated: once for a spawn, never for a wake, a timer or a wait.
#![allow(unsafe_code, reason = "a global allocator that counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use futures_util::FutureExt;
use reactor::sync::{Mutex, Notify, Semaphore, mpsc};
use reactor::task::yield_now;
use reactor::testing::VirtualClock;
use reactor::time::Duration;
use reactor::{Clock, Reactor};

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    static FREES: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: passes everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        FREES.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's contract.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations and frees on this thread so far.
fn counts() -> (usize, usize) {
    (ALLOCATIONS.with(Cell::get), FREES.with(Cell::get))
}

/// Allocations and frees on this thread during `work`.
async fn count(work: impl AsyncFnOnce()) -> (usize, usize) {
    let before = counts();
    work().await;
    let after = counts();
    (after.0 - before.0, after.1 - before.1)
}

fn run(test: impl AsyncFnOnce(&Reactor, Clock)) {
    let reactor = Reactor::new(VirtualClock::new());
    reactor.block_on(test(&reactor, reactor.clock()));
}

#[test]
fn a_spawn_allocates_once_and_frees_once() {
    run(async |reactor, _| {
        let spawner = reactor.spawner();
        let one = count(async || assert_eq!(spawner.spawn(async { 5 }).await, Ok(5))).await;
        assert_eq!(one, (1, 1));
        let detached = count(async || {
            (0..100).for_each(|_| spawner.spawn(yield_now()).detach());
            yield_now().await;
            yield_now().await;
        });
        assert_eq!(detached.await, (100, 100));
        let cancelled = count(async || {
            let task = spawner.spawn(std::future::pending::<()>());
            task.cancel();
            assert!(task.await.is_err());
        });
        assert_eq!(cancelled.await, (1, 1));
    });
}

#[test]
fn wakes_and_polls_allocate_nothing() {
    run(async |_, _| {
        let wakes = count(async || {
            for _ in 0..50 {
                yield_now().await;
            }
            let mut woken = false;
            poll_fn(|cx| {
                if std::mem::replace(&mut woken, true) {
                    return Poll::Ready(());
                }
                let wakers: [_; 8] = std::array::from_fn(|_| cx.waker().clone());
                wakers.into_iter().for_each(|waker| waker.wake());
                Poll::Pending
            })
            .await;
        });
        assert_eq!(wakes.await, (0, 0));
    });
}

#[test]
fn timers_allocate_nothing() {
    run(async |_, clock| {
        let timers = count(async || {
            for span in 1..50 {
                clock.sleep(Duration::from_micros(span * span * span)).await;
                let timeout = clock.timeout(Duration::from_millis(1), std::future::pending::<()>());
                assert!(timeout.await.is_err());
            }
            let mut interval = clock.interval(Duration::from_millis(1));
            interval.tick().await;
            interval.tick().await;
        });
        assert_eq!(timers.await, (0, 0));
    });
}

#[test]
fn interrupts_allocate_nothing() {
    let platform = VirtualClock::new();
    let reactor = Reactor::new(platform.clone());
    let event = reactor.irq_event(4);
    reactor.block_on(async {
        let interrupts = count(async || {
            for _ in 0..20 {
                platform.raise(4);
                event.raised().await;
            }
        });
        assert_eq!(interrupts.await, (0, 0));
    });
}

#[test]
fn waiting_for_each_other_allocates_nothing() {
    run(async |reactor, _| {
        let (requests, mut incoming) = mpsc::bounded::<u32>(2);
        let (replies, mut answers) = mpsc::bounded::<u32>(2);
        let echo = reactor.spawner().spawn(async move {
            while let Some(request) = incoming.recv().await {
                replies.send(request + 1).await.expect("main receives");
            }
        });
        let round_trips = count(async || {
            for number in 0..100 {
                requests.send(number).await.expect("the task receives");
                assert_eq!(answers.recv().await, Some(number + 1));
            }
        });
        assert_eq!(round_trips.await, (0, 0));
        drop(requests);
        echo.await.expect("ended by the closed channel");
    });
}

#[test]
fn contention_allocates_nothing() {
    run(async |_, _| {
        let (mutex, semaphore, notify) = (Mutex::new(0), Semaphore::new(1), Notify::new());
        let contend = async || {
            let mut value = mutex.lock().await;
            let _permit = semaphore.acquire(1).await.expect("open");
            yield_now().await;
            *value += 1;
            notify.notify_one();
            notify.notified().await;
        };
        let contended = count(async || {
            let (mut one, mut two, mut three) = (pin!(contend()), pin!(contend()), pin!(contend()));
            let mut left = [true; 3];
            poll_fn(|cx| {
                left[0] = left[0] && one.poll_unpin(cx).is_pending();
                left[1] = left[1] && two.poll_unpin(cx).is_pending();
                left[2] = left[2] && three.poll_unpin(cx).is_pending();
                if left == [false; 3] {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            })
            .await;
        });
        assert_eq!(contended.await, (0, 0));
        assert_eq!(*mutex.lock().await, 3);
    });
}

#[test]
fn a_task_frees_its_memory_with_its_last_waker() {
    let before = counts();
    {
        let reactor = Reactor::new(VirtualClock::new());
        let kept = Rc::new(Cell::new(None));
        let keep = kept.clone();
        let task = reactor.spawner().spawn(poll_fn(move |cx| {
            keep.set(Some(cx.waker().clone()));
            Poll::Ready(())
        }));
        reactor.block_on(task).expect("ready at once");
        let (_, frees) = counts();
        drop(kept.take());
        assert_eq!(counts().1, frees + 1, "the waker was the last to hold it");
    }
    let after = counts();
    assert_eq!(
        after.0 - before.0,
        after.1 - before.1,
        "everything is freed"
    );
}
