//! Authority: what a task may acquire, enter and pass on.
#![allow(clippy::unwrap_used, reason = "tests; their helpers are tests too")]

use abi::Error;
use abi::capability::{Kind, Kinds};
use abi::handle::Handle;
use calls::testing::Host;
use calls::{Failure, Task};

const ALL: [Kind; 8] = Kind::ALL;

fn acquire(task: &Task, kinds: &[Kind]) -> Vec<u64> {
    let acquired = kinds.iter().map(|kind| task.cap_acquire(*kind as u32));
    acquired.map(|handle| handle.unwrap().to_bits()).collect()
}

fn enter(host: &Host, task: &Task, handles: &[u64]) -> Result<(), Failure> {
    let list = host.memory.numbers(handles);
    task.cap_enter(&list.list())
}

#[test]
fn nothing_is_active_at_start_and_entering_replaces() {
    let host = Host::new();
    let start = host.program_start();
    let task = host.program.start(start, Kinds::ALL, Kinds::EMPTY).unwrap();
    assert_eq!(task.active(), Kinds::EMPTY);
    assert_eq!(task.time_now(), Err(Error::Permission.into()));
    let handles = acquire(&task, &[Kind::Time, Kind::Log]);
    assert_eq!(task.active(), Kinds::EMPTY, "acquiring is not entering");
    enter(&host, &task, &handles).unwrap();
    assert_eq!(task.time_now(), Ok(0));
    enter(&host, &task, &handles[1..]).unwrap();
    assert_eq!(task.active(), Kinds::EMPTY.with(Kind::Log));
    task.cap_exit();
    assert_eq!(task.active(), Kinds::EMPTY);
}

#[test]
fn what_is_outside_the_ceiling_cannot_be_had() {
    let host = Host::new();
    let ceiling = Kinds::EMPTY.with(Kind::Log).with(Kind::Io);
    let start = host.program_start();
    let task = host.program.start(start, ceiling, Kinds::EMPTY).unwrap();
    for kind in ALL {
        let acquired = task
            .cap_acquire(kind as u32)
            .map_err(|failure| failure.error);
        assert_eq!(acquired.is_ok(), ceiling.contains(kind));
        if !ceiling.contains(kind) {
            assert_eq!(acquired, Err(Error::Permission));
        }
    }
    // A handle that somebody else may have is no way around it.
    let other = host.spawn(async |_| Ok(()));
    let stolen = acquire(&other, &[Kind::Net]);
    let refused = enter(&host, &task, &stolen).unwrap_err();
    assert_eq!(
        (refused.error, refused.value),
        (Error::Permission, stolen[0])
    );
    for number in [0, 9, u32::MAX] {
        let refused = task.cap_acquire(number);
        assert_eq!(refused, Err(Failure::invalid(1, number.into())));
    }
}

#[test]
fn a_dropped_kind_is_stale_for_all_and_stays_active_for_others() {
    let host = Host::new();
    let (one, other) = (host.spawn(async |_| Ok(())), host.spawn(async |_| Ok(())));
    let handles = acquire(&one, &[Kind::Time, Kind::Net]);
    one.cap_drop(Handle::from_bits(handles[0])).unwrap();
    assert!(!one.active().contains(Kind::Time) && one.active().contains(Kind::Net));
    assert!(other.active().contains(Kind::Time));
    let before = other.active();
    assert_eq!(
        enter(&host, &other, &handles).unwrap_err().error,
        Error::Permission
    );
    assert_eq!(other.active(), before, "a refused entry changes nothing");
    let again = one.cap_drop(Handle::from_bits(handles[0])).unwrap_err();
    assert_eq!(again.error, Error::Permission);
    let fresh = acquire(&one, &[Kind::Time]);
    assert_ne!(fresh[0], handles[0]);
    enter(&host, &other, &fresh).unwrap();
}

#[test]
fn what_is_no_capability_is_invalid() {
    let host = Host::new();
    let task = host.spawn(async |_| Ok(()));
    let own = task.task_self().unwrap().to_bits();
    for number in [
        0,
        1,
        own,
        u64::MAX,
        5 << 56,
        0x0509 << 48,
        0x0501_0000_0001_0001,
    ] {
        assert_eq!(
            enter(&host, &task, &[number]).unwrap_err().error,
            Error::Invalid
        );
        assert_eq!(
            task.cap_drop(Handle::from_bits(number)).unwrap_err().error,
            Error::Invalid
        );
    }
    // A task that is under a handle of its own keeps its program until it ends.
    task.end(0);
}

#[test]
fn every_call_asks_for_its_capability() {
    let host = Host::new();
    for missing in ALL {
        let task = host.spawn_with(Kinds::ALL.without(missing), async |_| Ok(()));
        let denied = |outcome: Result<(), Failure>| {
            outcome.is_err_and(|failure| failure.error == Error::Permission)
        };
        let handle = Handle::NONE;
        let asked = [
            (Kind::Time, denied(task.time_now().map(drop))),
            (Kind::Time, denied(task.time_deadline(0).map(drop))),
            (Kind::Task, denied(task.task_get_stats(handle).map(drop))),
            (Kind::Task, denied(task.task_set_priority(handle, 0))),
            (Kind::Task, denied(task.task_cancel(handle).map(drop))),
            (Kind::Io, denied(task.io_close(handle))),
            (Kind::Io, denied(task.interest_create().map(drop))),
            (Kind::Io, denied(task.interest_remove(handle, handle))),
            (
                Kind::Log,
                denied(task.log_write(1, host.memory.bytes(b"x").input())),
            ),
        ];
        for (needed, denied) in asked {
            assert_eq!(
                denied,
                needed == missing,
                "without {missing:?}, a call of {needed:?}"
            );
        }
    }
}
