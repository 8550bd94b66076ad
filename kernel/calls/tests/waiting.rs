//! `io_poll`, `io_wait`, deadlines and interest sets: level-triggered, exact, and only as often as needed.
#![allow(clippy::unwrap_used, reason = "tests; their helpers are tests too")]

use std::rc::Rc;

use abi::Error;
use abi::handle::Handle;
use abi::layout::IoEvent;
use abi::number::{FOREVER, IO_ERROR, IO_HANGUP, IO_READABLE, IO_WRITABLE};
use calls::testing::Host;
use calls::{Failure, Outcome, Task};

/// `io_poll`, and what it wrote.
async fn poll(host: &Host, task: &Task, handles: &[Handle], timeout: u64) -> Outcome<Vec<IoEvent>> {
    let numbers: Vec<u64> = handles.iter().map(|handle| handle.to_bits()).collect();
    let (list, room) = (
        host.memory.numbers(&numbers),
        host.memory.buffer(16 * handles.len()),
    );
    let count = task.io_poll(&list.list(), timeout, &room.room()).await?;
    Ok(room.values::<IoEvent>()[..count as usize].to_vec())
}

/// `interest_wait`, and what it wrote: handles with their tokens.
async fn wait(
    host: &Host,
    task: &Task,
    set: Handle,
    room: usize,
    timeout: u64,
) -> Outcome<Vec<(u64, u32)>> {
    let buffer = host.memory.buffer(16 * room);
    let count = task.interest_wait(set, &buffer.room(), timeout).await?;
    let events = buffer.values::<IoEvent>();
    Ok(events[..count as usize]
        .iter()
        .map(|event| (event.handle, event.reserved))
        .collect())
}

fn readable(handle: Handle) -> IoEvent {
    IoEvent {
        handle: handle.to_bits(),
        events: IO_READABLE,
        reserved: 0,
    }
}

#[test]
fn deadlines_are_exact_and_stay_readable() {
    let host = Host::new();
    host.run(async |task| {
        let [early, late] = [1_000, 2_000].map(|at| task.time_deadline(at).unwrap());
        assert_eq!(
            poll(&host, &task, &[early, late], 0).await,
            Err(Error::WouldBlock.into())
        );
        assert_eq!(
            poll(&host, &task, &[late, early], FOREVER).await,
            Ok(vec![readable(early)])
        );
        assert_eq!(task.time_now(), Ok(1_000));
        assert_eq!(
            poll(&host, &task, &[early, late], 999).await,
            Ok(vec![readable(early)]),
            "level"
        );
        assert_eq!(
            poll(&host, &task, &[late], 999).await,
            Err(Error::Timeout.into())
        );
        assert_eq!(task.time_now(), Ok(1_999));
        assert_eq!(
            poll(&host, &task, &[late], 2).await,
            Ok(vec![readable(late)])
        );
        assert_eq!(task.time_now(), Ok(2_000));
        let past = task.time_deadline(5).unwrap();
        assert_eq!(
            poll(&host, &task, &[past, past], 0).await,
            Ok(vec![readable(past); 2])
        );
    });
}

/// Whoever has its turn before what watches the timer sees it too.
#[test]
fn a_deadline_that_is_over_is_readable() {
    let host = Host::new();
    host.run(async |task| {
        let deadline = task.time_deadline(1_000).unwrap();
        task.task_sleep(1_000).await.unwrap();
        assert_eq!(
            poll(&host, &task, &[deadline], 0).await,
            Ok(vec![readable(deadline)])
        );
    });
}

#[test]
fn an_empty_list_sleeps() {
    let host = Host::new();
    host.run(async |task| {
        assert_eq!(
            poll(&host, &task, &[], 0).await,
            Err(Error::WouldBlock.into())
        );
        assert_eq!(poll(&host, &task, &[], 7).await, Err(Error::Timeout.into()));
        assert_eq!(task.time_now(), Ok(7));
    });
}

#[test]
fn a_handle_that_cannot_be_waited_for_is_invalid() {
    let host = Host::new();
    host.run(async |task| {
        let deadline = task.time_deadline(1).unwrap();
        let capability = task.cap_acquire(1).unwrap();
        for wrong in [
            Handle::NONE,
            capability,
            Handle::from_bits(deadline.to_bits() + 1),
        ] {
            let refused = poll(&host, &task, &[deadline, wrong], FOREVER).await;
            assert_eq!(refused, Err(Failure::invalid(1, wrong.to_bits())));
            let refused = task.io_wait(wrong, IO_READABLE, 0).await;
            assert_eq!(refused, Err(Failure::invalid(1, wrong.to_bits())));
        }
        let refused = task.io_wait(deadline, 16, 0).await;
        assert_eq!(refused, Err(Failure::invalid(2, 16)));
    });
}

#[test]
fn closing_wakes_who_waits() {
    let host = Host::new();
    host.run(async |task| {
        let deadline = task.time_deadline(u64::MAX - 1).unwrap();
        let waits = task.io_wait(deadline, IO_READABLE, FOREVER);
        let listed = [deadline];
        let polls = poll(&host, &task, &listed, FOREVER);
        let closes = async {
            task.task_yield().await?;
            task.io_close(deadline)
        };
        let (waited, polled, closed) = futures_util::join!(waits, polls, closes);
        assert_eq!(waited, Err(Error::Closed.into()));
        let gone = IoEvent {
            events: IO_HANGUP | IO_ERROR,
            ..readable(deadline)
        };
        assert_eq!((polled, closed), (Ok(vec![gone]), Ok(())));
        assert_eq!(
            task.io_close(deadline),
            Err(Failure::invalid(1, deadline.to_bits()))
        );
    });
}

#[test]
fn the_end_of_a_handle_s_owner_wakes_who_waits() {
    let host = Host::new();
    let given = Rc::new(std::cell::Cell::new(Handle::NONE));
    let gives = Rc::clone(&given);
    host.spawn(async move |task: Rc<Task>| {
        gives.set(task.time_deadline(u64::MAX - 1)?);
        task.task_sleep(10).await
    });
    host.run(async |task| {
        task.task_yield().await.unwrap();
        let waited = task.io_wait(given.get(), IO_READABLE, FOREVER).await;
        assert_eq!(waited, Err(Error::Closed.into()));
        assert_eq!(task.time_now(), Ok(10));
    });
}

#[test]
fn closing_a_deadline_ends_its_timer() {
    let host = Host::new();
    host.run(async |task| {
        let before = host.reactor.stats();
        let deadline = task.time_deadline(u64::MAX - 1).unwrap();
        task.task_yield().await.unwrap();
        assert_eq!(host.reactor.stats().timers_live, before.timers_live + 1);
        task.io_close(deadline).unwrap();
        task.task_yield().await.unwrap();
        let after = host.reactor.stats();
        assert_eq!(
            (after.timers_live, after.tasks_live),
            (before.timers_live, before.tasks_live)
        );
    });
}

#[test]
fn a_wait_polls_only_when_something_happened() {
    let host = Host::new();
    host.run(async |task| {
        let far: Vec<Handle> = (0..100)
            .map(|_| task.time_deadline(u64::MAX - 1).unwrap())
            .collect();
        task.task_yield().await.unwrap(); // their watchers go to sleep
        let before = host.reactor.stats();
        assert_eq!(
            poll(&host, &task, &far, 50_000_000).await,
            Err(Error::Timeout.into())
        );
        let after = host.reactor.stats();
        assert!(
            after.polls - before.polls <= 2,
            "{} polls",
            after.polls - before.polls
        );
        assert!(
            after.turns - before.turns <= 3,
            "{} turns",
            after.turns - before.turns
        );
    });
}

#[test]
fn a_handle_that_others_emptied_first_is_waited_for_again() {
    let host = Host::new();
    let given = Rc::new(std::cell::Cell::new((Handle::NONE, Handle::NONE)));
    let (taken, memory) = (Rc::clone(&given), Rc::clone(&host.memory));
    host.run(async |task| {
        given.set(task.ipc_channel_pair(0).unwrap());
        let (_, receiver) = given.get();
        host.spawn(async move |other: Rc<Task>| {
            let (sender, receiver) = taken.get();
            let (number, len) = (memory.numbers(&[1]), memory.buffer(8));
            let (from, into) = (number.input(), number.output());
            other.task_sleep(10).await?;
            // In one turn, so that who polls is woken and finds nothing.
            other.ipc_send(sender, from, None, 0).await?;
            other.ipc_recv(receiver, into, len.place(), None, 0).await?;
            other.task_sleep(10).await?;
            other.ipc_send(sender, from, None, 0).await
        });
        let polled = poll(&host, &task, &[receiver], FOREVER).await;
        assert_eq!(polled, Ok(vec![readable(receiver)]));
        assert_eq!(task.time_now(), Ok(20));
    });
}

#[test]
fn a_task_is_readable_once_it_has_ended() {
    let host = Host::new();
    let child = host.spawn(async |task| task.task_sleep(10).await);
    host.run(async |task| {
        let handle = child.task_self().unwrap();
        assert_eq!(
            poll(&host, &task, &[handle], 9).await,
            Err(Error::Timeout.into())
        );
        // It owns its handle, which is closed with it: this is what ends the wait.
        let ended = poll(&host, &task, &[handle], FOREVER).await.unwrap();
        assert_eq!(ended[0].events, IO_HANGUP | IO_ERROR);
    });
}

#[test]
fn a_request_to_stop_is_readable() {
    let host = Host::new();
    host.run(async |task| {
        let stop = task.shutdown_handle().unwrap();
        assert_eq!(
            task.io_wait(stop, IO_READABLE, 5).await,
            Err(Error::Timeout.into())
        );
        host.settings.stop();
        assert_eq!(
            task.io_wait(stop, IO_READABLE, FOREVER).await,
            Ok(IO_READABLE)
        );
        assert_eq!(
            task.io_wait(stop, IO_WRITABLE, 0).await,
            Err(Error::WouldBlock.into())
        );
    });
}

// --- interest sets -----------------------------------------------------------------------------------

#[test]
fn a_set_tells_what_is_ready_with_its_token() {
    let host = Host::new();
    host.run(async |task| {
        let set = task.interest_create().unwrap();
        let [early, late] = [1_000, 2_000].map(|at| task.time_deadline(at).unwrap());
        task.interest_add(set, late, IO_READABLE, 2).unwrap();
        task.interest_add(set, early, IO_READABLE, 1).unwrap();
        assert_eq!(
            wait(&host, &task, set, 4, 0).await,
            Err(Error::WouldBlock.into())
        );
        assert_eq!(
            wait(&host, &task, set, 4, 999).await,
            Err(Error::Timeout.into())
        );
        assert_eq!(
            wait(&host, &task, set, 4, FOREVER).await,
            Ok(vec![(early.to_bits(), 1)])
        );
        assert_eq!(
            wait(&host, &task, set, 4, 0).await,
            Ok(vec![(early.to_bits(), 1)]),
            "level"
        );
        task.interest_modify(set, early, IO_READABLE, 9).unwrap();
        assert_eq!(
            wait(&host, &task, set, 4, 0).await,
            Ok(vec![(early.to_bits(), 9)])
        );
        task.interest_modify(set, early, IO_WRITABLE, 9).unwrap();
        assert_eq!(
            wait(&host, &task, set, 4, 0).await,
            Err(Error::WouldBlock.into())
        );
        task.interest_remove(set, early).unwrap();
        task.interest_add(set, early, IO_READABLE, 5).unwrap();
        task.interest_remove(set, early).unwrap();
        task.interest_add(set, early, IO_READABLE, 6).unwrap();
        assert_eq!(
            wait(&host, &task, set, 4, 0).await,
            Ok(vec![(early.to_bits(), 6)]),
            "once"
        );
        task.interest_remove(set, early).unwrap();
        assert_eq!(
            wait(&host, &task, set, 4, FOREVER).await,
            Ok(vec![(late.to_bits(), 2)])
        );
    });
}

#[test]
fn what_finds_no_room_comes_first_next_time() {
    let host = Host::new();
    host.run(async |task| {
        let set = task.interest_create().unwrap();
        let ready: Vec<Handle> = (0..5).map(|_| task.time_deadline(0).unwrap()).collect();
        for (handle, token) in ready.iter().zip(0..) {
            task.interest_add(set, *handle, IO_READABLE, token).unwrap();
        }
        let mut seen = Vec::new();
        for _ in 0..5 {
            let events = wait(&host, &task, set, 2, FOREVER).await.unwrap();
            assert_eq!(events.len(), 2);
            seen.extend(events.into_iter().map(|(_, token)| token));
        }
        assert_eq!(seen, [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]);
        let all = wait(&host, &task, set, 9, FOREVER).await.unwrap();
        assert_eq!(all.len(), 5, "each once in a wait");
    });
}

#[test]
fn membership_has_its_errors() {
    let host = Host::new();
    host.run(async |task| {
        let (set, other) = (
            task.interest_create().unwrap(),
            task.interest_create().unwrap(),
        );
        let deadline = task.time_deadline(1).unwrap();
        let error = |outcome: Outcome| outcome.unwrap_err().error;
        assert_eq!(error(task.interest_remove(set, deadline)), Error::NoEntry);
        assert_eq!(
            error(task.interest_modify(set, deadline, 1, 0)),
            Error::NoEntry
        );
        task.interest_add(set, deadline, 1, 0).unwrap();
        assert_eq!(error(task.interest_add(set, deadline, 1, 0)), Error::Busy);
        assert_eq!(
            error(task.interest_add(set, deadline, 4, 0)),
            Error::Invalid
        );
        assert_eq!(
            error(task.interest_add(set, other, 1, 0)),
            Error::Unsupported
        );
        assert_eq!(
            error(task.interest_add(deadline, other, 1, 0)),
            Error::Invalid
        );
        assert_eq!(
            error(task.interest_add(set, Handle::NONE, 1, 0)),
            Error::Invalid
        );
        let no_room = host.memory.buffer(0);
        let refused = task
            .interest_wait(set, &no_room.room(), 0)
            .await
            .unwrap_err();
        assert_eq!((refused.error, refused.argument), (Error::Invalid, 3));
    });
}

#[test]
fn a_closed_handle_leaves_its_sets() {
    let host = Host::new();
    host.run(async |task| {
        let set = task.interest_create().unwrap();
        let deadline = task.time_deadline(0).unwrap();
        task.interest_add(set, deadline, IO_READABLE, 1).unwrap();
        task.io_close(deadline).unwrap();
        assert_eq!(
            wait(&host, &task, set, 1, 10).await,
            Err(Error::Timeout.into())
        );
        assert_eq!(
            task.interest_remove(set, deadline).unwrap_err().error,
            Error::NoEntry
        );
    });
}

/// Nobody waits for the set meanwhile, which is when it finds out otherwise.
#[cfg_attr(miri, ignore = "fills a set")]
#[test]
fn handles_that_come_and_go_do_not_fill_a_set() {
    let host = Host::new();
    host.run(async |task| {
        let set = task.interest_create().unwrap();
        let kept = task.ipc_channel_create(0).unwrap();
        task.interest_add(set, kept, IO_READABLE, 7).unwrap();
        for round in 0..70_000 {
            let channel = task.ipc_channel_create(0).unwrap();
            let added = task.interest_add(set, channel, IO_READABLE, 1);
            assert_eq!(added, Ok(()), "after {round} that were closed");
            task.ipc_close(channel).unwrap();
        }
        task.interest_modify(set, kept, IO_WRITABLE, 7).unwrap();
        let ready = wait(&host, &task, set, 4, 0).await;
        assert_eq!(ready, Ok(vec![(kept.to_bits(), 7)]));
    });
}

#[test]
fn closing_a_set_wakes_who_waits_for_it() {
    let host = Host::new();
    host.run(async |task| {
        let set = task.interest_create().unwrap();
        let waits = wait(&host, &task, set, 1, FOREVER);
        let also = wait(&host, &task, set, 1, FOREVER);
        let closes = async {
            task.task_yield().await?;
            task.io_close(set)
        };
        let (waited, also, closed) = futures_util::join!(waits, also, closes);
        assert_eq!(
            (waited, also),
            (Err(Error::Closed.into()), Err(Error::Closed.into()))
        );
        assert_eq!(closed, Ok(()));
    });
}

#[test]
fn several_tasks_wait_for_one_set_and_a_set_can_be_polled() {
    let host = Host::new();
    host.run(async |task| {
        let set = task.interest_create().unwrap();
        let deadline = task.time_deadline(100).unwrap();
        task.interest_add(set, deadline, IO_READABLE, 3).unwrap();
        let listed = [set];
        let (one, two, polled) = futures_util::join!(
            wait(&host, &task, set, 1, FOREVER),
            wait(&host, &task, set, 1, FOREVER),
            poll(&host, &task, &listed, FOREVER),
        );
        let event = Ok(vec![(deadline.to_bits(), 3)]);
        assert_eq!((&one, &two), (&event, &event));
        assert_eq!(polled, Ok(vec![readable(set)]));
    });
}

/// What a wait costs depends on what is ready: counted by the looks at members.
#[cfg_attr(miri, ignore = "adds ten thousand handles")]
#[test]
fn a_wait_looks_at_what_is_ready_only() {
    let host = Host::new();
    host.run(async |task| {
        let set = task.interest_create().unwrap();
        for _ in 0..10_000 {
            let far = task.time_deadline(u64::MAX - 1).unwrap();
            task.interest_add(set, far, IO_READABLE, 0).unwrap();
        }
        assert_eq!(
            wait(&host, &task, set, 1, 1).await,
            Err(Error::Timeout.into())
        );
        let soon = task.time_deadline(0).unwrap();
        task.interest_add(set, soon, IO_READABLE, 7).unwrap();
        let before = host.program.member_looks();
        for _ in 0..10 {
            assert_eq!(
                wait(&host, &task, set, 4, FOREVER).await,
                Ok(vec![(soon.to_bits(), 7)])
            );
        }
        assert_eq!(host.program.member_looks() - before, 10);
    });
}

#[test]
fn dropping_sets_and_members_leaves_nothing() {
    let host = Host::new();
    let weak = host.run(async |task| {
        let set = task.interest_create().unwrap();
        let deadline = task.time_deadline(50).unwrap();
        task.interest_add(set, deadline, IO_READABLE, 0).unwrap();
        task.io_close(set).unwrap();
        task.task_sleep(100).await.unwrap();
        Rc::downgrade(task.program())
    });
    assert_eq!(host.program.handle_count(), 0);
    drop(host);
    assert!(weak.upgrade().is_none(), "nothing keeps the program");
}
