//! Wakes from other threads, in real time. No test measures time; each would hang if a wake were lost.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Poll, Waker};
use std::thread;

use reactor::Reactor;
use reactor::task::yield_now;
use reactor::testing::ThreadPlatform;

const ROUNDS: usize = if cfg!(miri) { 20 } else { 10_000 };

#[test]
fn no_wake_from_another_thread_is_lost() {
    let reactor = Reactor::new(ThreadPlatform::new());
    let done = Arc::new(AtomicUsize::new(0));
    let (waker_sender, waker_receiver) = mpsc::channel::<Waker>();
    let waker_thread = thread::spawn({
        let done = done.clone();
        move || {
            for waker in waker_receiver {
                done.fetch_add(1, Ordering::Relaxed);
                waker.wake();
            }
        }
    });
    let task = {
        let done = done.clone();
        reactor.spawner().spawn(async move {
            for round in 0..ROUNDS {
                let mut sent = false;
                poll_fn(|cx| {
                    if !std::mem::replace(&mut sent, true) {
                        waker_sender
                            .send(cx.waker().clone())
                            .expect("the thread receives");
                    }
                    // Relaxed: it is the wake that has to make the write visible.
                    if done.load(Ordering::Relaxed) > round {
                        Poll::Ready(())
                    } else {
                        Poll::Pending
                    }
                })
                .await;
            }
        })
    };
    assert_eq!(reactor.block_on(task), Ok(()));
    waker_thread.join().unwrap();
    assert!(reactor.stats().remote_wakes >= 1);
}

#[test]
fn many_threads_wake_many_tasks() {
    const THREADS: usize = 3;
    const TASKS: usize = 4;
    let reactor = Reactor::new(ThreadPlatform::new());
    let counts: Arc<[AtomicUsize; TASKS]> = Arc::default();
    let wakers: Arc<[Mutex<Option<Waker>>; TASKS]> = Arc::default();
    let tasks: Vec<_> = (0..TASKS)
        .map(|index| {
            let (counts, wakers) = (counts.clone(), wakers.clone());
            reactor.spawner().spawn(poll_fn(move |cx| {
                *wakers[index].lock().unwrap() = Some(cx.waker().clone());
                let count = counts[index].load(Ordering::Acquire);
                if count == THREADS * ROUNDS {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            }))
        })
        .collect();
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let (counts, wakers) = (counts.clone(), wakers.clone());
            thread::spawn(move || {
                for round in 0..ROUNDS * TASKS {
                    let index = round % TASKS;
                    counts[index].fetch_add(1, Ordering::Release);
                    let waker = wakers[index].lock().unwrap().clone();
                    waker.into_iter().for_each(Waker::wake);
                }
            })
        })
        .collect();
    reactor.block_on(async {
        for task in tasks {
            task.await.unwrap();
        }
    });
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
}

#[test]
fn a_busy_reactor_accepts_wakes_from_elsewhere() {
    let reactor = Reactor::new(ThreadPlatform::new());
    let woken = Arc::new(AtomicBool::new(false));
    let flag = woken.clone();
    let mut thread = None;
    let task = reactor.spawner().spawn(poll_fn(move |cx| {
        if flag.load(Ordering::Relaxed) {
            return Poll::Ready(());
        }
        let (flag, waker) = (flag.clone(), cx.waker().clone());
        thread.get_or_insert_with(|| {
            thread::spawn(move || {
                flag.store(true, Ordering::Relaxed);
                waker.wake();
            })
        });
        Poll::Pending
    }));
    reactor.block_on(async {
        while !task.is_finished() {
            yield_now().await; // never parks
        }
    });
    assert_eq!(
        (reactor.stats().parks, reactor.stats().remote_wakes),
        (0, 1)
    );
}

#[test]
fn interrupt_lines_raised_by_a_thread_end_a_park() {
    let platform = ThreadPlatform::new();
    let reactor = Reactor::new(platform.clone());
    let event = reactor.irq_event(8);
    let thread = thread::spawn(move || platform.raise(8));
    reactor.block_on(event.raised());
    thread.join().unwrap();
}

#[test]
fn wakers_are_used_on_other_threads_while_the_reactor_goes() {
    for _ in 0..ROUNDS.min(300) {
        let reactor = Reactor::new(ThreadPlatform::new());
        let wakers: Arc<Mutex<Vec<Waker>>> = Arc::default();
        for _ in 0..3 {
            let wakers = wakers.clone();
            // The future owns something that must not be dropped on the other thread.
            let local = std::rc::Rc::new(());
            reactor.spawner().spawn(poll_fn(move |cx| {
                let _local = &local;
                wakers.lock().unwrap().push(cx.waker().clone());
                Poll::<()>::Pending
            }));
        }
        reactor.block_on(yield_now());
        let wakers = std::mem::take(&mut *wakers.lock().unwrap());
        let thread = thread::spawn(move || {
            for waker in wakers {
                waker.wake_by_ref();
                waker.wake_by_ref();
            }
        });
        drop(reactor);
        thread.join().unwrap();
    }
}

#[test]
fn a_wake_that_comes_after_the_reactor_keeps_nothing_alive() {
    let platform = ThreadPlatform::new();
    let reactor = Reactor::new(platform.clone());
    let kept: Arc<Mutex<Option<Waker>>> = Arc::default();
    let keep = kept.clone();
    reactor.spawner().spawn(poll_fn(move |cx| {
        *keep.lock().unwrap() = Some(cx.waker().clone());
        Poll::<()>::Pending
    }));
    reactor.block_on(yield_now());
    drop(reactor);
    let waker = kept.lock().unwrap().take().unwrap();
    thread::spawn(move || waker.wake()).join().unwrap();
    assert_eq!(Arc::strong_count(&platform), 1);
}

#[test]
fn another_thread_sees_which_task_runs() {
    let reactor = Reactor::new(ThreadPlatform::new());
    let current = reactor.current_task();
    let task = reactor.spawner().task("busy").spawn(async move {
        // The watcher looks while this poll goes on.
        thread::spawn(move || current.get()).join().unwrap()
    });
    let seen = reactor.block_on(task).unwrap().expect("a task is running");
    assert_eq!((seen.name, seen.id), ("busy", 1));
}
