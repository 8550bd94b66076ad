//! Channels, locks and notifications: order, cancellation, closing.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use futures_util::stream::FuturesUnordered;
use futures_util::{StreamExt, join, select_biased};
use proptest::prelude::*;
use reactor::Reactor;
use reactor::sync::{Closed, Event, Mutex, Notify, Semaphore, mpsc, oneshot};
use reactor::task::yield_now;
use reactor::testing::VirtualClock;
use reactor::time::{Duration, Instant};

fn run<T>(test: impl AsyncFnOnce(&Reactor) -> T) -> T {
    let reactor = Reactor::new(VirtualClock::new());
    reactor.block_on(test(&reactor))
}

/// Polls a future once with a waker that does nothing.
fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

// --- Semaphore ----------------------------------------------------------------------------------

#[test]
fn permits_are_given_in_the_order_they_were_asked_for() {
    let semaphore = Semaphore::new(0);
    let (mut large, mut small) = (pin!(semaphore.acquire(3)), pin!(semaphore.acquire(1)));
    assert!(poll_once(large.as_mut()).is_pending());
    assert!(poll_once(small.as_mut()).is_pending());
    semaphore.release(2);
    assert!(
        poll_once(small.as_mut()).is_pending(),
        "the first waiter wants more"
    );
    assert!(semaphore.try_acquire(1).is_none(), "nobody overtakes");
    semaphore.release(1);
    let Poll::Ready(Ok(permit)) = poll_once(large) else {
        panic!("granted")
    };
    assert!(poll_once(small.as_mut()).is_pending());
    drop(permit);
    let Poll::Ready(Ok(permit)) = poll_once(small) else {
        panic!("granted")
    };
    assert_eq!(semaphore.available(), 2);
    permit.forget();
    assert_eq!(semaphore.available(), 2);
}

#[test]
fn a_waiter_that_goes_lets_those_behind_it_through() {
    let semaphore = Semaphore::new(1);
    let mut large = Box::pin(semaphore.acquire(2));
    let mut small = pin!(semaphore.acquire(1));
    assert!(poll_once(large.as_mut()).is_pending());
    assert!(poll_once(small.as_mut()).is_pending());
    drop(large);
    assert!(poll_once(small).is_ready());
}

#[test]
fn a_granted_permit_that_is_not_taken_comes_back() {
    let semaphore = Semaphore::new(0);
    let mut gone = Box::pin(semaphore.acquire(1));
    let mut next = pin!(semaphore.acquire(1));
    assert!(poll_once(gone.as_mut()).is_pending());
    assert!(poll_once(next.as_mut()).is_pending());
    semaphore.release(1);
    drop(gone);
    assert!(poll_once(next).is_ready());
    assert_eq!(semaphore.available(), 1);
}

#[test]
fn closing_ends_all_waits() {
    let semaphore = Semaphore::new(1);
    let kept = semaphore.try_acquire(1).expect("free");
    let mut waiting = pin!(semaphore.acquire(1));
    assert!(poll_once(waiting.as_mut()).is_pending());
    semaphore.close();
    assert!(matches!(poll_once(waiting), Poll::Ready(Err(Closed))));
    drop(kept);
    assert!(matches!(
        poll_once(pin!(semaphore.acquire(1))),
        Poll::Ready(Err(Closed))
    ));
    assert!(semaphore.try_acquire(1).is_none() && semaphore.is_closed());
}

#[test]
fn owned_permits_are_had_at_once_or_not() {
    let semaphore = Rc::new(Semaphore::new(3));
    let kept = semaphore.clone().try_acquire_owned(2).expect("free");
    assert!(semaphore.clone().try_acquire_owned(2).is_none());
    assert_eq!(semaphore.available(), 1, "a refusal takes nothing");
    drop(kept);
    assert_eq!(semaphore.available(), 3);
}

#[test]
fn owned_permits_limit_spawned_tasks() {
    run(async |reactor| {
        let (semaphore, most) = (Rc::new(Semaphore::new(3)), Rc::new(Cell::new(0)));
        let running = Rc::new(Cell::new(0));
        let tasks: FuturesUnordered<_> = (0..20)
            .map(|_| {
                let (semaphore, clock) = (semaphore.clone(), reactor.clock());
                let (running, most) = (running.clone(), most.clone());
                reactor.spawner().spawn(async move {
                    let _permit = semaphore.acquire_owned(1).await.expect("never closed");
                    running.set(running.get() + 1);
                    most.set(most.get().max(running.get()));
                    clock.sleep(Duration::from_millis(1)).await;
                    running.set(running.get() - 1);
                })
            })
            .collect();
        assert_eq!(tasks.count().await, 20);
        assert_eq!((most.get(), semaphore.available()), (3, 3));
        assert_eq!(reactor.clock().now(), Instant::from_nanos(7_000_000));
    });
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 10 } else { 1000 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Whatever is polled, dropped and released, in any order: no permit is lost or made up, and the
    /// first waiter never waits for what is there.
    #[test]
    fn permits_are_conserved(
        steps in prop::collection::vec((0..6u8, 0..8usize, 1..4usize), 1..60),
    ) {
        let semaphore = Semaphore::new(2);
        let (mut total, mut held) = (2usize, Vec::new());
        let mut waits: Vec<Option<(Pin<Box<_>>, usize)>> = (0..8).map(|_| None).collect();
        for (kind, slot, count) in steps {
            match kind {
                0 | 1 => {
                    let wait = waits[slot].get_or_insert_with(|| {
                        (Box::pin(semaphore.acquire(count)), count)
                    });
                    let count = wait.1;
                    if let Poll::Ready(permit) = poll_once(wait.0.as_mut()) {
                        held.push((permit.expect("open"), count));
                        waits[slot] = None;
                    }
                }
                2 => waits[slot] = None,
                3 => drop((!held.is_empty()).then(|| held.swap_remove(slot % held.len()))),
                4 => held.extend(semaphore.try_acquire(count).map(|permit| (permit, count))),
                _ => {
                    semaphore.release(count);
                    total += count;
                }
            }
            let holding: usize = held.iter().map(|(_, count)| count).sum();
            prop_assert!(holding + semaphore.available() <= total);
        }
        waits.clear();
        held.clear();
        prop_assert_eq!(semaphore.available(), total);
    }
}

// --- Mutex --------------------------------------------------------------------------------------

#[test]
fn a_mutex_is_held_across_awaits_in_turn() {
    run(async |reactor| {
        let log: Rc<Mutex<Vec<(char, u32)>>> = Rc::default();
        let tasks: Vec<_> = ['a', 'b', 'c']
            .into_iter()
            .map(|name| {
                let log = log.clone();
                reactor.spawner().spawn(async move {
                    let mut log = log.lock().await;
                    for round in 0..2 {
                        log.push((name, round));
                        yield_now().await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("ends");
        }
        let expected = [('a', 0), ('a', 1), ('b', 0), ('b', 1), ('c', 0), ('c', 1)];
        assert_eq!(*log.try_lock().expect("free"), expected);
    });
}

#[test]
fn a_mutex_survives_cancelled_waiters_and_owners() {
    run(async |reactor| {
        let clock = reactor.clock();
        let mutex = Mutex::new(1);
        let owner = async {
            let _guard = mutex.lock().await;
            std::future::pending::<()>().await;
        };
        let waiter = async { *mutex.lock().await };
        let both = async { join!(owner, clock.timeout(Duration::from_millis(1), waiter)) };
        assert!(clock.timeout(Duration::from_millis(5), both).await.is_err());
        assert_eq!(mutex.try_lock().as_deref(), Some(&1));
        assert_eq!(mutex.into_inner(), 1);
    });
}

// --- Notify and Event -----------------------------------------------------------------------------

#[test]
fn notify_one_wakes_one_and_keeps_one() {
    let notify = Notify::new();
    let (mut one, mut two) = (pin!(notify.notified()), pin!(notify.notified()));
    assert!(poll_once(one.as_mut()).is_pending());
    assert!(poll_once(two.as_mut()).is_pending());
    notify.notify_one();
    assert!(poll_once(two.as_mut()).is_pending());
    assert!(poll_once(one.as_mut()).is_ready());
    notify.notify_one();
    notify.notify_one();
    assert!(poll_once(two).is_ready());
    assert!(
        poll_once(pin!(notify.notified())).is_ready(),
        "kept for the next"
    );
    assert!(poll_once(pin!(notify.notified())).is_pending(), "but once");
}

#[test]
fn a_notification_for_one_passes_on_when_its_waiter_goes() {
    let notify = Notify::new();
    let mut gone = Box::pin(notify.notified());
    let mut next = pin!(notify.notified());
    assert!(poll_once(gone.as_mut()).is_pending());
    assert!(poll_once(next.as_mut()).is_pending());
    notify.notify_one();
    drop(gone);
    assert!(poll_once(next).is_ready());
}

#[test]
fn notify_all_wakes_who_waits_and_keeps_nothing() {
    let notify = Notify::new();
    let mut waits: Vec<_> = (0..3).map(|_| Box::pin(notify.notified())).collect();
    assert!(
        waits
            .iter_mut()
            .all(|wait| poll_once(wait.as_mut()).is_pending())
    );
    notify.notify_all();
    let late = notify.notified();
    drop(waits.pop()); // was released with the others: nothing to pass on
    assert!(
        waits
            .iter_mut()
            .all(|wait| poll_once(wait.as_mut()).is_ready())
    );
    assert!(poll_once(pin!(late)).is_pending());
}

#[test]
fn an_event_lets_everybody_go_for_good() {
    run(async |reactor| {
        let event = Rc::new(Event::new());
        let tasks: Vec<_> = (0..3)
            .map(|_| {
                let event = event.clone();
                reactor.spawner().spawn(async move { event.wait().await })
            })
            .collect();
        yield_now().await;
        assert!(!event.is_set() && !tasks[0].is_finished());
        event.set();
        for task in tasks {
            task.await.expect("ends");
        }
        event.wait().await;
    });
}

// --- mpsc -----------------------------------------------------------------------------------------

#[test]
fn messages_of_several_senders_come_in_the_order_of_sending() {
    run(async |reactor| {
        let (sender, receiver) = mpsc::bounded(2);
        for name in ["a", "b", "c"] {
            let sender = sender.clone();
            let send = async move {
                for number in 0..2 {
                    sender.send((name, number)).await.expect("received");
                }
            };
            reactor.spawner().spawn(send).detach();
        }
        drop(sender);
        let received: Vec<_> = receiver.collect().await;
        // Two fit; then each waiting sender gets its turn.
        let expected = [("a", 0), ("a", 1), ("b", 0), ("c", 0), ("b", 1), ("c", 1)];
        assert_eq!(received, expected);
    });
}

#[test]
fn a_full_channel_says_so_and_a_closed_one_too() {
    let (sender, mut receiver) = mpsc::bounded(1);
    assert_eq!(receiver.try_recv(), Err(mpsc::TryRecvError::Empty));
    assert_eq!(sender.try_send(1), Ok(()));
    assert_eq!(sender.try_send(2), Err(mpsc::TrySendError::Full(2)));
    receiver.close();
    assert_eq!(sender.try_send(3), Err(mpsc::TrySendError::Closed(3)));
    assert!(sender.is_closed());
    assert_eq!(
        receiver.try_recv(),
        Ok(1),
        "what was sent is still received"
    );
    assert_eq!(receiver.try_recv(), Err(mpsc::TryRecvError::Closed));
    assert_eq!(
        poll_once(pin!(sender.send(4))),
        Poll::Ready(Err(mpsc::SendError(4)))
    );
}

#[test]
fn waiting_senders_learn_that_the_receiver_has_gone() {
    run(async |reactor| {
        let (sender, receiver) = mpsc::bounded(1);
        sender.send(1).await.expect("fits");
        let waiting = reactor.spawner().spawn(async move { sender.send(2).await });
        yield_now().await;
        drop(receiver);
        assert_eq!(waiting.await, Ok(Err(mpsc::SendError(2))));
    });
}

#[test]
fn a_cancelled_send_sends_nothing_and_lets_the_next_through() {
    let (sender, mut receiver) = mpsc::bounded(1);
    sender.try_send(0).expect("fits");
    let mut cancelled = Box::pin(sender.send(1));
    let mut next = pin!(sender.send(2));
    assert!(poll_once(cancelled.as_mut()).is_pending());
    assert!(poll_once(next.as_mut()).is_pending());
    assert_eq!(receiver.try_recv(), Ok(0));
    drop(cancelled);
    assert_eq!(poll_once(next), Poll::Ready(Ok(())));
    assert_eq!((receiver.try_recv(), receiver.len()), (Ok(2), 0));
}

#[test]
fn a_reserved_slot_is_used_or_given_back() {
    run(async |_| {
        let (sender, mut receiver) = mpsc::bounded(1);
        let slot = sender.reserve().await.expect("open");
        assert_eq!(sender.try_send(1), Err(mpsc::TrySendError::Full(1)));
        drop(slot);
        sender.reserve().await.expect("open").send(2);
        assert_eq!(receiver.recv().await, Some(2));
        assert_eq!(sender.capacity(), 1);
    });
}

#[test]
fn messages_that_are_never_received_are_dropped() {
    let message = Rc::new(());
    let (sender, receiver) = mpsc::bounded(4);
    sender.try_send(message.clone()).expect("fits");
    sender.try_send(message.clone()).expect("fits");
    drop(receiver);
    assert_eq!(Rc::strong_count(&message), 1);
    assert!(sender.try_send(message.clone()).is_err());
    assert_eq!(Rc::strong_count(&message), 1);
}

#[test]
fn a_channel_without_capacity_has_room_for_one() {
    let (sender, mut receiver) = mpsc::bounded(0);
    assert_eq!(sender.try_send(1), Ok(()));
    assert_eq!(receiver.try_recv(), Ok(1));
}

#[test]
fn workers_share_a_receiver_through_a_mutex() {
    run(async |reactor| {
        let (sender, receiver) = mpsc::bounded(4);
        let (receiver, done) = (
            Rc::new(Mutex::new(receiver)),
            Rc::new(RefCell::new(Vec::new())),
        );
        let workers: Vec<_> = (0..3)
            .map(|worker| {
                let (receiver, done, clock) = (receiver.clone(), done.clone(), reactor.clock());
                reactor.spawner().spawn(async move {
                    loop {
                        let next = receiver.lock().await.recv().await;
                        let Some(job) = next else { return };
                        clock.sleep(Duration::from_millis(job)).await;
                        done.borrow_mut().push((worker, job));
                    }
                })
            })
            .collect();
        for job in [5, 1, 2, 3, 1] {
            sender.send(job).await.expect("workers receive");
        }
        drop(sender);
        for worker in workers {
            worker.await.expect("ends");
        }
        assert_eq!(*done.borrow(), [(1, 1), (2, 2), (2, 1), (1, 3), (0, 5)]);
    });
}

// --- oneshot ----------------------------------------------------------------------------------------

#[test]
fn a_oneshot_gives_its_value_or_says_that_none_comes() {
    run(async |reactor| {
        let (sender, receiver) = oneshot::channel();
        let waiting = reactor.spawner().spawn(receiver);
        yield_now().await;
        assert_eq!(sender.send(1), Ok(()));
        assert_eq!(waiting.await, Ok(Ok(1)));
        let (sender, receiver) = oneshot::channel::<u8>();
        drop(sender);
        assert_eq!(receiver.await, Err(oneshot::Canceled));
        let (sender, mut receiver) = oneshot::channel();
        assert_eq!(receiver.try_recv(), None);
        sender.send(3).expect("a receiver is there");
        assert_eq!(receiver.try_recv(), Some(3));
    });
}

#[test]
fn a_sender_learns_that_its_answer_is_not_wanted() {
    run(async |reactor| {
        let (mut sender, receiver) = oneshot::channel();
        let watch = reactor.spawner().spawn(async move {
            sender.closed().await;
            (sender.is_closed(), sender.send(1))
        });
        yield_now().await;
        drop(receiver);
        assert_eq!(watch.await, Ok((true, Err(1))));
    });
}

// --- with others' combinators -------------------------------------------------------------------------

#[test]
fn select_and_join_of_futures_util_work() {
    use futures_util::FutureExt;
    run(async |reactor| {
        let clock = reactor.clock();
        let millis = Duration::from_millis;
        let (sender, mut receiver) = mpsc::bounded(1);
        let ticking = clock.clone();
        let send = async move {
            for number in 1..=3 {
                ticking.sleep(millis(10)).await;
                sender.send(number).await.expect("received");
            }
        };
        reactor.spawner().spawn(send).detach();
        let mut seen = Vec::new();
        let mut heartbeat = pin!(clock.sleep(millis(15)).fuse());
        loop {
            select_biased! {
                number = receiver.recv().fuse() => match number {
                    Some(number) => seen.push(number),
                    None => break,
                },
                () = heartbeat => {
                    seen.push(100);
                    heartbeat.set(clock.sleep(millis(1000)).fuse());
                }
            }
        }
        assert_eq!(seen, [1, 100, 2, 3]);
        let both = join!(
            clock.sleep(millis(5)).map(|()| 5),
            clock.sleep(millis(2)).map(|()| 2)
        );
        assert_eq!(
            (both, clock.now()),
            ((5, 2), Instant::from_nanos(35_000_000))
        );
    });
    run(async |reactor| {
        let clock = reactor.clock();
        let sleeps: FuturesUnordered<_> = [3, 1, 2]
            .into_iter()
            .map(|span| clock.sleep(Duration::from_millis(span)).map(move |()| span))
            .collect();
        assert_eq!(sleeps.collect::<Vec<_>>().await, [1, 2, 3]);
    });
}
