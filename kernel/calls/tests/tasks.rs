//! Tasks: spawning, joining, cancelling, and what ends with them.
#![allow(clippy::unwrap_used, reason = "tests; their helpers are tests too")]

use std::rc::Rc;

use abi::Error;
use abi::capability::{Kind, Kinds};
use abi::handle::Handle;
use abi::number::{FOREVER, TASK_CANCELLED, TASK_DETACHED, TASK_PRIORITY_HIGH, TASK_PRIORITY_LOW};
use calls::tasks::Spawn;
use calls::testing::{Buffer, Host};
use calls::{Failure, Task};

/// A spawn of `entry` with capabilities, which `buffer` keeps.
fn spawn_of(entry: u64, capabilities: &Buffer, flags: u32) -> Spawn {
    Spawn {
        entry,
        argument: 7,
        capabilities: capabilities.list(),
        flags,
    }
}

/// Starts a task with these capabilities.
fn spawn(host: &Host, task: &Task, entry: u64, kinds: &[Kind]) -> Handle {
    let handles = kinds.iter().map(|kind| task.cap_acquire(*kind as u32));
    let handles: Vec<u64> = handles.map(|cap| cap.unwrap().to_bits()).collect();
    let caps = host.memory.numbers(&handles);
    let spawned = task.task_spawn(&spawn_of(entry, &caps, 0));
    spawned.unwrap().unwrap()
}

#[test]
fn a_task_runs_with_its_argument_and_is_joined_once() {
    let host = Host::new();
    let entry = host.functions.add(async |_, argument| argument as i32 * 6);
    host.run(async |task| {
        let child = spawn(&host, &task, entry, &[]);
        assert_eq!(
            task.task_join(child, 0).await,
            Err(Error::WouldBlock.into())
        );
        assert_eq!(task.task_join(child, FOREVER).await, Ok(42));
        let again = task.task_join(child, FOREVER).await;
        assert_eq!(again, Err(Failure::invalid(1, child.to_bits())));
    });
}

#[test]
fn a_join_gives_up_in_time_and_never_early() {
    let host = Host::new();
    let entry = host.functions.add(async |task, _| {
        let _ = task.task_sleep(1_000_000).await;
        1
    });
    host.run(async |task| {
        let child = spawn(&host, &task, entry, &[Kind::Task]);
        assert_eq!(
            task.task_join(child, 999_999).await,
            Err(Error::Timeout.into())
        );
        assert_eq!(task.time_now(), Ok(999_999));
        assert_eq!(task.task_join(child, 1).await, Ok(1));
        assert_eq!(task.time_now(), Ok(1_000_000));
    });
}

#[test]
fn a_cancelled_task_ends_in_its_wait_and_says_so() {
    let host = Host::new();
    let entry = host
        .functions
        .add(async |task, _| task.task_sleep(u64::MAX - 1).await.map_or(-1, |()| 0));
    host.run(async |task| {
        let child = spawn(&host, &task, entry, &[Kind::Task]);
        task.task_yield().await.unwrap();
        assert_eq!(task.task_cancel(child), Ok(false));
        assert_eq!(task.task_join(child, FOREVER).await, Ok(TASK_CANCELLED));
        let own = task.task_self().unwrap();
        assert_eq!(task.task_cancel(own), Ok(true), "it has to end itself");
    });
}

#[test]
fn a_child_has_what_it_was_given_and_no_more() {
    let host = Host::new();
    let entry = host.functions.add(async |task, _| {
        let active = task.active().bits() as i32;
        let more = task.cap_acquire(Kind::Net as u32).unwrap_err().error;
        assert_eq!(more, Error::Permission);
        active
    });
    host.run(async |task| {
        let handles = [Kind::Log, Kind::Time].map(|kind| task.cap_acquire(kind as u32).unwrap());
        let caps = host.memory.numbers(&handles.map(Handle::to_bits));
        let child = task
            .task_spawn(&spawn_of(entry, &caps, 0))
            .unwrap()
            .unwrap();
        assert_eq!(task.task_join(child, FOREVER).await, Ok(0b11));
        // What is not active here cannot be passed on.
        let only_task = task.cap_acquire(Kind::Task as u32).unwrap();
        let entered = host.memory.numbers(&[only_task.to_bits()]);
        task.cap_enter(&entered.list()).unwrap();
        let refused = task.task_spawn(&spawn_of(entry, &caps, 0)).unwrap_err();
        assert_eq!((refused.error, refused.argument), (Error::Permission, 3));
    });
}

#[test]
fn a_child_starts_with_its_parent_s_limit_of_memory() {
    let host = Host::new();
    let entry = host.functions.add(async |task, _| {
        let usage = task.mem_usage(Handle::NONE).unwrap();
        usage.limit as i32
    });
    host.run(async |task| {
        task.mem_set_limit(Handle::NONE, 4096).unwrap();
        let child = spawn(&host, &task, entry, &[Kind::Memory]);
        assert_eq!(task.task_join(child, FOREVER).await, Ok(4096));
    });
}

#[test]
fn spawns_that_make_no_sense_are_refused() {
    let host = Host::new();
    let entry = host.functions.add(async |_, _| 0);
    host.run(async |task| {
        let none = host.memory.numbers(&[]);
        let refusal = |entry, flags| {
            let refused = task.task_spawn(&spawn_of(entry, &none, flags)).unwrap_err();
            (refused.error, refused.argument)
        };
        assert_eq!(refusal(0, 0), (Error::Invalid, 1));
        assert_eq!(refusal(entry, 4), (Error::Invalid, 5));
        assert_eq!(refusal(entry, 15 << 16), (Error::Invalid, 5));
        assert_eq!(refusal(99, 0).0, Error::Invalid);
        let detached = task.task_spawn(&spawn_of(entry, &none, TASK_DETACHED | 16 << 16));
        assert_eq!(detached, Ok(None));
    });
}

#[test]
fn what_a_task_owns_is_closed_when_it_ends() {
    let host = Host::new();
    let entry = host.functions.add(async |task: Rc<Task>, _| {
        let handles: Vec<Handle> = (0..5).map(|_| task.interest_create().unwrap()).collect();
        task.io_close(handles[1]).unwrap();
        task.io_close(handles[4]).unwrap();
        assert_eq!(task.own_handles(), 3);
        0
    });
    host.run(async |task| {
        let before = host.program.handle_count();
        let child = spawn(&host, &task, entry, &[Kind::Io]);
        assert_eq!(task.task_join(child, FOREVER).await, Ok(0));
        assert_eq!(host.program.handle_count(), before);
    });
}

#[test]
fn closing_a_task_s_handle_lets_it_go_on() {
    let host = Host::new();
    let entry = host.functions.add(async |_, _| 0);
    host.run(async |task| {
        let child = spawn(&host, &task, entry, &[]);
        task.handle_close(child).unwrap();
        assert_eq!(
            task.handle_close(child),
            Err(Failure::invalid(1, child.to_bits()))
        );
        assert_eq!(
            task.task_get_stats(child).unwrap_err().error,
            Error::Invalid
        );
        assert_eq!(host.program.task_count(), 2);
        task.task_yield().await.unwrap();
        assert_eq!(host.program.task_count(), 1);
    });
}

#[test]
fn statistics_count_turns_and_switches() {
    let host = Host::new();
    let entry = host.functions.add(async |task, _| {
        for _ in 0..3 {
            task.task_yield().await.unwrap();
        }
        0
    });
    host.run(async |task| {
        let child = spawn(&host, &task, entry, &[Kind::Task]);
        while task.task_get_stats(child).unwrap().sched_ticks < 4 {
            task.task_yield().await.unwrap();
        }
        let stats = task.task_get_stats(child).unwrap();
        assert_eq!((stats.sched_ticks, stats.context_switches), (4, 8));
        assert_eq!(
            task.task_set_priority(child, 0).unwrap_err().error,
            Error::Closed
        );
    });
}

/// The order in which tasks of three priorities run their turns.
#[test]
fn a_higher_priority_runs_first_in_every_turn() {
    let host = Host::new();
    let order = Rc::new(std::cell::RefCell::new(String::new()));
    let runs = |name: char| {
        let order = Rc::clone(&order);
        host.functions.add(move |task: Rc<Task>, _| {
            let order = Rc::clone(&order);
            async move {
                for _ in 0..4 {
                    order.borrow_mut().push(name);
                    task.task_yield().await.unwrap();
                }
                0
            }
        })
    };
    let entries = ['l', 'n', 'h'].map(runs);
    host.run(async |task| {
        let mut children = Vec::new();
        for (entry, priority) in entries
            .into_iter()
            .zip(TASK_PRIORITY_LOW..=TASK_PRIORITY_HIGH)
        {
            let child = spawn(&host, &task, entry, &[Kind::Task]);
            task.task_set_priority(child, priority).unwrap();
            children.push(child);
        }
        assert_eq!(
            task.task_set_priority(children[0], 3).unwrap_err().argument,
            2
        );
        for child in children {
            task.task_join(child, FOREVER).await.unwrap();
        }
    });
    // They were queued for their first turn before their priorities were known.
    assert_eq!(&order.borrow()[4..], "hnlhnlhn");
}

#[cfg_attr(miri, ignore = "fills the table of tasks")]
#[test]
fn too_many_tasks_are_refused() {
    let host = Host::new();
    let entry = host.functions.add(async |_, _| 0);
    let start = calls::backend::Start {
        entry,
        argument: 0,
        stack: 65_536,
    };
    let limit = calls::program::MAX_TASKS;
    let tasks: Vec<_> = (0..limit)
        .map(|_| {
            host.program
                .start(start, Kinds::EMPTY, Kinds::EMPTY)
                .unwrap()
        })
        .collect();
    let refused = host.program.start(start, Kinds::EMPTY, Kinds::EMPTY);
    assert_eq!(refused.map(drop), Err(Error::NoMemory));
    tasks[0].end(0);
    assert!(
        host.program
            .start(start, Kinds::EMPTY, Kinds::EMPTY)
            .is_ok()
    );
}
