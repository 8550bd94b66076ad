//! Each line of the header on memory, and a model of who keeps what alive.

extern crate std;

use std::collections::BTreeMap;
use std::vec::Vec;

use super::*;
use crate::tasks::Spawn;
use crate::testing::Host;
use abi::capability::Kinds;
use abi::number::{FOREVER, TASK_CANCELLED};
use proptest::prelude::*;

const ZEROED_PAGE: u32 = MEM_ZEROED | (12 + 1) << ALIGN_SHIFT;

fn error_of<T: std::fmt::Debug>(outcome: Outcome<T>) -> (Error, u32) {
    let failure = outcome.unwrap_err();
    (failure.error, failure.argument)
}

fn with_task<R: 'static>(body: impl AsyncFnOnce(&Host, Rc<Task>) -> R) -> R {
    let host = Host::new();
    let output = host.run(async |task| body(&host, task).await);
    let left = host.program.heap.len();
    assert_eq!(left, 0, "allocations outlived the only task");
    assert_eq!(host.program.heap.bytes(), 0, "and are still counted");
    output
}

fn usage(task: &Task) -> (u64, u64) {
    let usage = task.mem_usage(Handle::NONE).unwrap();
    (usage.bytes, usage.allocations)
}

#[test]
fn memory_is_aligned_accounted_and_the_programs() {
    with_task(async |host, task| {
        let one = task.mem_alloc(1, 0).unwrap();
        let page = task.mem_alloc(5000, ZEROED_PAGE).unwrap();
        assert_eq!((one % 16, page % 4096), (0, 0));
        assert_eq!(usage(&task), (16 + 5008, 2));
        let range = host.memory.alleged(1, page, 5008);
        let bytes = range.writable(task.space()).unwrap();
        assert!(bytes.with(|bytes| bytes.iter().all(|byte| *byte == 0)));
        bytes.with(|bytes| bytes.fill(7));
        let beyond = host.memory.alleged(1, page + 1, 5008);
        assert!(beyond.readable(task.space()).is_err());
        task.mem_free(page).unwrap();
        assert!(range.readable(task.space()).is_err(), "freed");
        assert_eq!(usage(&task), (16, 1));
        task.mem_free(one).unwrap();
        assert_eq!(usage(&task), (0, 0));
    });
}

#[test]
fn impossible_allocations_change_nothing() {
    with_task(async |_, task| {
        for (bytes, flags, expected) in [
            (0, 0, (Error::Invalid, 1)),
            (1, MEM_EXEC, (Error::Unsupported, 2)),
            (1, 1 << 5, (Error::Invalid, 2)),
            (1, 1 << 7, (Error::Invalid, 2)),
            (1, 14 << ALIGN_SHIFT, (Error::Invalid, 2)),
            (1, 1 << 31, (Error::Invalid, 2)),
            (u64::MAX, 0, (Error::NoMemory, 1)),
            (1 << 63, 0, (Error::NoMemory, 1)),
            (1 << 62, 0, (Error::NoMemory, 0)),
        ] {
            if cfg!(miri) && bytes == 1 << 62 {
                continue; // it ends when memory is short
            }
            let outcome = task.mem_alloc(bytes, flags);
            assert_eq!(error_of(outcome), expected, "{bytes:#x} {flags:#x}");
        }
        assert_eq!(usage(&task), (0, 0));
        let all = MEM_READ | MEM_WRITE | MEM_PINNED | MEM_ZEROED;
        assert!(task.mem_alloc(1, all | 1 << ALIGN_SHIFT).is_ok());
    });
}

#[test]
fn what_was_not_allocated_is_not_freed() {
    with_task(async |host, task| {
        let address = task.mem_alloc(64, 0).unwrap();
        let stack = host.memory.buffer(64);
        for wrong in [0, 1, u64::MAX, address + 16, address - 1, stack.address()] {
            assert_eq!(error_of(task.mem_free(wrong)), (Error::Invalid, 1));
        }
        task.mem_free(address).unwrap();
        assert_eq!(error_of(task.mem_free(address)), (Error::Invalid, 1));
    });
}

/// What is freed may be kept for the next of its size, and nobody can tell: it is no memory of the program's, is freed
/// once, is on the account of whoever gets it next, and full of zeros if that is asked for.
#[test]
fn what_was_freed_is_gone_until_it_is_somebodys_again() {
    with_task(async |host, task| {
        for bytes in [16, 64, 512, 1024, 4096, 5008] {
            let first = task.mem_alloc(bytes, 0).unwrap();
            let range = host.memory.alleged(1, first, bytes);
            let all = range.writable(task.space()).unwrap();
            all.with(|all| all.fill(7));
            task.mem_free(first).unwrap();
            assert_eq!(usage(&task), (0, 0));
            assert!(range.readable(task.space()).is_err(), "freed");
            assert_eq!(error_of(task.mem_free(first)), (Error::Invalid, 1));
            assert!(task.mem_share(first, 1).is_err());
            task.mem_set_limit(Handle::NONE, 1 << 20).unwrap();
            let other = task.mem_alloc(bytes, MEM_ZEROED).unwrap();
            assert_eq!(usage(&task), (bytes, 1));
            let range = host.memory.alleged(1, other, bytes);
            let all = range.readable(task.space()).unwrap();
            all.with(|all| assert!(all.iter().all(|byte| *byte == 0)));
            task.mem_free(other).unwrap();
        }
        task.mem_set_limit(Handle::NONE, 63).unwrap();
        assert_eq!(error_of(task.mem_alloc(64, 0)).0, Error::NoMemory);
    });
}

#[test]
fn a_spare_is_charged_to_whoever_gets_it() {
    with_task(async |host, task| {
        let memory = task.mem_alloc(64, 0).unwrap();
        task.mem_free(memory).unwrap();
        let other = host.spawn(async move |other| {
            let same = other.mem_alloc(64, 0);
            assert_eq!((same, usage(&other)), (Ok(memory), (64, 1)));
            other.task_sleep(FOREVER).await
        });
        task.task_yield().await.unwrap();
        assert_eq!((usage(&task), usage(&other)), ((0, 0), (64, 1)));
        // It ends with its second owner, not with its first.
        host.program.heap.free_all(&task.account);
        assert!(host.program.heap.contains(memory as usize, 64));
        task.mem_free(memory).unwrap();
        assert_eq!(usage(&other), (0, 0));
    });
}

#[test]
#[cfg_attr(miri, ignore = "ends when memory is short")]
fn spares_are_given_up_where_memory_is_short() {
    with_task(async |host, task| {
        for bytes in [64, 64, 4096, 16_000] {
            let memory = task.mem_alloc(bytes, 0).unwrap();
            task.mem_free(memory).unwrap();
        }
        assert_eq!(host.program.heap.spares(), 2);
        let outcome = task.mem_alloc(1 << 62, 0);
        assert_eq!(error_of(outcome), (Error::NoMemory, 0));
        assert_eq!(host.program.heap.spares(), 0);
        assert!(task.mem_alloc(64, 0).is_ok());
    });
}

#[test]
fn any_task_may_free_and_the_owners_account_shrinks() {
    with_task(async |host, task| {
        let address = task.mem_alloc(100, 0).unwrap();
        let other = host.spawn(async move |other| other.mem_free(address));
        task.task_yield().await.unwrap();
        assert_eq!((other.status(), usage(&task)), (Some(0), (0, 0)));
    });
}

#[test]
fn a_tasks_memory_ends_with_it() {
    with_task(async |host, task| {
        let kept = task.mem_alloc(32, 0).unwrap();
        let other = host.spawn(async |other| {
            for bytes in 1..20 {
                other.mem_alloc(bytes * 100, 0)?;
            }
            other.mem_free(other.mem_alloc(7, 0)?)?;
            other.task_sleep(10).await
        });
        task.task_yield().await.unwrap();
        assert_eq!(host.program.heap.len(), 20);
        assert_eq!(other.account.usage().allocations, 19);
        other.cancel();
        task.task_yield().await.unwrap();
        assert_eq!(host.program.heap.len(), 1);
        assert_eq!(other.account.usage().bytes, 0);
        task.mem_free(kept).unwrap();
    });
}

#[test]
fn a_limit_holds_and_only_sinks() {
    with_task(async |_, task| {
        let first = task.mem_alloc(100, 0).unwrap();
        task.mem_set_limit(Handle::NONE, 160).unwrap();
        assert_eq!(task.mem_usage(Handle::NONE).unwrap().limit, 160);
        assert_eq!(error_of(task.mem_alloc(49, 0)), (Error::NoMemory, 0));
        assert_eq!(
            error_of(task.mem_alloc(u64::MAX - 100, 0)),
            (Error::NoMemory, 1)
        );
        task.mem_alloc(48, 0).unwrap();
        assert_eq!(error_of(task.mem_alloc(1, 0)), (Error::NoMemory, 0));
        let raised = task.mem_set_limit(Handle::NONE, 161);
        assert_eq!(error_of(raised), (Error::Permission, 2));
        let own = task.task_self().unwrap();
        let raised = task.mem_set_limit(own, 161);
        assert_eq!(error_of(raised), (Error::Permission, 2));
        task.mem_set_limit(Handle::NONE, 10).unwrap(); // less than it has
        task.mem_free(first).unwrap();
        assert_eq!(error_of(task.mem_alloc(1, 0)), (Error::NoMemory, 0));
    });
}

#[test]
fn a_spawned_task_has_its_parents_limit_until_it_gets_less() {
    with_task(async |host, task| {
        task.mem_set_limit(Handle::NONE, 1024).unwrap();
        let entry = host.functions.add(|task: Rc<Task>, _| async move {
            assert!(task.mem_alloc(1025, 0).is_err());
            task.mem_alloc(1000, 0).unwrap();
            task.task_sleep(FOREVER - 1).await.map_or(1, |()| 0)
        });
        let kinds = [Kind::Task, Kind::Memory];
        let caps = kinds.map(|kind| task.cap_acquire(kind as u32).unwrap().to_bits());
        let caps = host.memory.numbers(&caps);
        let spawn = Spawn {
            entry,
            argument: 0,
            capabilities: caps.list(),
            flags: 0,
        };
        let handle = task.task_spawn(&spawn).unwrap().unwrap();
        task.task_yield().await.unwrap();
        assert_eq!(task.mem_usage(handle).unwrap().limit, 1024);
        task.mem_set_limit(handle, 500).unwrap();
        task.mem_set_limit(handle, 600).unwrap(); // its parent may
        task.task_cancel(handle).unwrap();
        let status = task.task_join(handle, FOREVER).await;
        assert_eq!(status, Ok(TASK_CANCELLED));
    });
}

#[test]
fn figures_are_of_tasks_and_limits_of_living_ones() {
    with_task(async |host, task| {
        let other = host.spawn(async |other| {
            other.mem_alloc(64, 0)?;
            other.task_sleep(5).await
        });
        let handle = task.adopt(Object::Task(Rc::clone(&other))).unwrap();
        task.task_yield().await.unwrap();
        assert_eq!(task.mem_usage(handle).unwrap().bytes, 64);
        task.mem_set_limit(handle, 99).unwrap();
        task.task_sleep(10).await.unwrap();
        let usage = task.mem_usage(handle).unwrap();
        assert_eq!((usage.bytes, usage.limit), (0, 99));
        assert_eq!(error_of(task.mem_set_limit(handle, 1)), (Error::Closed, 1));
        let arena = task.mem_arena_create(0).unwrap();
        for wrong in [arena, Handle::from_bits(1), Handle::from_bits(u64::MAX)] {
            assert_eq!(error_of(task.mem_usage(wrong)), (Error::Invalid, 1));
            assert_eq!(error_of(task.mem_set_limit(wrong, 1)), (Error::Invalid, 1));
        }
    });
}

#[test]
fn map_answers_for_one_allocation() {
    const BOTH: u32 = MEM_READ | MEM_WRITE;
    with_task(async |host, task| {
        let address = task.mem_alloc(100, 0).unwrap();
        let buffer = host.memory.buffer(100);
        for (at, bytes, flags, expected) in [
            (address, 100, BOTH, None),
            (address + 10, 90, BOTH | MEM_PINNED, None),
            (address, 113, BOTH, Some((Error::Invalid, 1))),
            (address + 112, 1, BOTH, Some((Error::Invalid, 1))),
            (address - 1, 2, BOTH, Some((Error::Invalid, 1))),
            (address, 0, BOTH, Some((Error::Invalid, 1))),
            (address, u64::MAX, BOTH, Some((Error::Invalid, 1))),
            (buffer.address(), 1, BOTH, Some((Error::Invalid, 1))),
            (0, 1, BOTH, Some((Error::Invalid, 1))),
            (address, 100, MEM_READ, Some((Error::Unsupported, 3))),
            (address, 100, BOTH | MEM_EXEC, Some((Error::Unsupported, 3))),
            (
                address,
                100,
                BOTH | MEM_ZEROED,
                Some((Error::Unsupported, 3)),
            ),
            (address, 100, 0, Some((Error::Unsupported, 3))),
        ] {
            let outcome = task.mem_map(at, bytes, flags);
            assert_eq!(outcome.err().map(|f| (f.error, f.argument)), expected);
        }
    });
}

#[test]
fn shared_memory_stays_until_its_last_handle_is_closed() {
    with_task(async |host, task| {
        let address = task.mem_alloc(100, 0).unwrap();
        let whole = task.mem_share(address, 100).unwrap();
        let part = task.mem_share(address + 50, 5).unwrap();
        assert_eq!(task.mem_shared(part), Ok((address + 50, 5)));
        task.mem_free(address).unwrap();
        assert_eq!(error_of(task.mem_free(address)), (Error::Invalid, 1));
        assert_eq!(usage(&task), (112, 1), "still there, still charged");
        let again = task.mem_share(address + 1, 1).unwrap();
        task.mem_unshare(whole).unwrap();
        task.handle_close(again).unwrap();
        let memory = host.memory.alleged(1, address, 112);
        assert!(memory.writable(task.space()).is_ok());
        task.mem_unshare(part).unwrap();
        assert_eq!((usage(&task), host.program.heap.len()), ((0, 0), 0));
        assert_eq!(error_of(task.mem_unshare(part)), (Error::Invalid, 1));
    });
}

#[test]
fn shared_memory_outlives_the_task_that_allocated_it() {
    with_task(async |host, task| {
        let inherited = Rc::clone(&task);
        let other = host.spawn(async move |other| {
            let address = other.mem_alloc(8, MEM_ZEROED)?;
            let shared = other.program().heap.share(address as usize, 8).unwrap();
            let handle = inherited.adopt(Object::Shared(Rc::new(shared)))?;
            inherited.set_own_handle(handle); // just to hand it over
            Ok(())
        });
        task.task_yield().await.unwrap();
        assert_eq!(other.status(), Some(0));
        let handle = task.program().handles.borrow().handles().next().unwrap();
        let (address, _) = task.mem_shared(handle).unwrap();
        assert!(task.mem_map(address, 8, MEM_READ | MEM_WRITE).is_ok());
        assert_eq!(error_of(task.mem_free(address)), (Error::Invalid, 1));
        task.mem_unshare(handle).unwrap();
        assert_eq!(host.program.heap.len(), 0);
    });
}

#[test]
fn only_one_allocation_is_shared() {
    with_task(async |host, task| {
        let address = task.mem_alloc(100, 0).unwrap();
        let arena = task.mem_arena_create(0).unwrap();
        let piece = task.mem_arena_alloc(arena, 100, 0).unwrap();
        let buffer = host.memory.buffer(4);
        for (at, bytes) in [
            (address, 113),
            (address, 0),
            (address - 1, 1),
            (piece, 1),
            (buffer.address(), 4),
            (0, 0),
        ] {
            assert_eq!(error_of(task.mem_share(at, bytes)), (Error::Invalid, 1));
        }
        for wrong in [arena, Handle::NONE, Handle::from_bits(u64::MAX)] {
            assert_eq!(error_of(task.mem_shared(wrong)), (Error::Invalid, 1));
            assert_eq!(error_of(task.mem_unshare(wrong)), (Error::Invalid, 1));
        }
    });
}

#[test]
fn an_arena_frees_all_at_once() {
    with_task(async |host, task| {
        let arena = task.mem_arena_create(0).unwrap();
        let mut seen = BTreeMap::new();
        for bytes in 1..300 {
            let align_power = (bytes % 13) as u32;
            let flags = (align_power + 1) << ALIGN_SHIFT | MEM_ZEROED;
            let address = task.mem_arena_alloc(arena, bytes * 10, flags).unwrap();
            assert_eq!(address % (1 << align_power), 0);
            assert_eq!(error_of(task.mem_free(address)), (Error::Invalid, 1));
            let range = host.memory.alleged(1, address, bytes * 10);
            let memory = range.writable(task.space()).unwrap();
            assert!(memory.with(|memory| memory.iter().all(|byte| *byte == 0)));
            memory.with(|memory| memory.fill(0xff));
            seen.insert(address, address + bytes * 10);
        }
        let ranges: Vec<(u64, u64)> = seen.into_iter().collect();
        assert!(ranges.is_sorted_by(|one, next| one.1 <= next.0), "overlap");
        let before = usage(&task);
        assert!(before.0 >= 300 * 299 * 5 && before.1 < 30, "{before:?}");
        task.mem_arena_reset(arena).unwrap();
        assert_eq!((usage(&task), host.program.heap.len()), ((0, 0), 0));
        task.mem_arena_alloc(arena, 1, 0).unwrap();
        assert_eq!(host.program.heap.len(), 1);
        task.handle_close(arena).unwrap();
        assert_eq!(host.program.heap.len(), 0);
    });
}

#[test]
fn an_arenas_limit_is_what_its_allocations_come_to() {
    with_task(async |_, task| {
        let arena = task.mem_arena_create(4096).unwrap();
        for _ in 0..4096 / 16 {
            task.mem_arena_alloc(arena, 1, 0).unwrap();
        }
        let full = task.mem_arena_alloc(arena, 1, 0);
        assert_eq!(error_of(full), (Error::NoMemory, 0));
        task.mem_arena_reset(arena).unwrap();
        task.mem_arena_alloc(arena, 4096, 0).unwrap();
        assert_eq!(usage(&task), (4096, 1));
    });
}

#[test]
fn an_arena_is_on_its_tasks_account() {
    with_task(async |_, task| {
        let arena = task.mem_arena_create(0).unwrap();
        task.mem_set_limit(Handle::NONE, 100).unwrap();
        // No room for a chunk of the usual length, but for what is asked.
        task.mem_arena_alloc(arena, 64, 0).unwrap();
        assert_eq!(usage(&task), (64, 1));
        let beyond = task.mem_arena_alloc(arena, 64, 0);
        assert_eq!(error_of(beyond), (Error::NoMemory, 0));
        task.mem_arena_alloc(arena, 32, 0).unwrap();
        for (bytes, flags, expected) in [
            (0, 0, (Error::Invalid, 2)),
            (1, 1 << 5, (Error::Invalid, 3)),
            (1, MEM_EXEC, (Error::Unsupported, 3)),
            (u64::MAX, 0, (Error::NoMemory, 2)),
        ] {
            let outcome = task.mem_arena_alloc(arena, bytes, flags);
            assert_eq!(error_of(outcome), expected);
        }
        assert!(task.mem_alloc(4, 0).is_err(), "the account is full");
        for wrong in [Handle::NONE, Handle::object(Tag::Memory, 9, 1)] {
            assert_eq!(
                error_of(task.mem_arena_alloc(wrong, 1, 0)),
                (Error::Invalid, 1)
            );
            assert_eq!(error_of(task.mem_arena_reset(wrong)), (Error::Invalid, 1));
        }
    });
}

#[test]
fn without_the_capability_there_is_no_memory() {
    let host = Host::new();
    let denied = host.spawn_with(Kinds::EMPTY.with(Kind::Io), async |task| {
        let none = Handle::NONE;
        for error in [
            task.mem_alloc(0, 0).unwrap_err(),
            task.mem_free(0).unwrap_err(),
            task.mem_map(0, 0, 0).unwrap_err(),
            task.mem_share(0, 0).unwrap_err(),
            task.mem_unshare(none).unwrap_err(),
            task.mem_shared(none).unwrap_err(),
            task.mem_usage(none).unwrap_err(),
            task.mem_set_limit(none, 0).unwrap_err(),
            task.mem_arena_create(0).unwrap_err(),
            task.mem_arena_alloc(none, 0, 0).unwrap_err(),
            task.mem_arena_reset(none).unwrap_err(),
        ] {
            assert_eq!(error.error, Error::Permission);
        }
        Ok(())
    });
    let no_tasks = host.spawn_with(Kinds::EMPTY.with(Kind::Memory), async |task| {
        let outcome = task.mem_set_limit(Handle::NONE, 0);
        assert_eq!(error_of(outcome), (Error::Permission, 0));
        Ok(())
    });
    host.run(async |task| task.task_yield().await.unwrap());
    assert_eq!((denied.status(), no_tasks.status()), (Some(0), Some(0)));
}

/// What a step of the property test does, to the allocation or handle of that number.
#[derive(Clone, Debug)]
enum Step {
    Allocate(u64),
    Free(usize),
    Share(usize),
    Unshare(usize),
    Reset,
    FromArena(u64),
    EndOther,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1u64..200).prop_map(Step::Allocate),
        (0usize..20).prop_map(Step::Free),
        (0usize..20).prop_map(Step::Share),
        (0usize..20).prop_map(Step::Unshare),
        Just(Step::Reset),
        (1u64..6000).prop_map(Step::FromArena),
        Just(Step::EndOther),
    ]
}

/// What ought to be: every allocation by address.
#[derive(Default)]
struct Model {
    live: BTreeMap<u64, Kept>,
    /// What the arena's allocations come to.
    from_arena: u64,
    handles: Vec<(Handle, u64)>,
}

struct Kept {
    bytes: u64,
    freed: bool,
    shares: usize,
    of_other: bool,
}

impl Model {
    fn nth(&self, number: usize) -> Option<u64> {
        self.live.keys().nth(number).copied()
    }

    fn drop_dead(&mut self) {
        self.live.retain(|_, kept| !kept.freed || kept.shares > 0);
    }

    fn bytes(&self, of_other: bool) -> u64 {
        let kept = self.live.values().filter(|kept| kept.of_other == of_other);
        kept.map(|kept| kept.bytes.next_multiple_of(16)).sum()
    }
}

fn run_step(model: &mut Model, task: &Task, other: &Task, arena: Handle, step: Step) {
    match step {
        Step::Allocate(bytes) => {
            // Every other one is the other task's, as long as that lives.
            let of_other = bytes % 2 == 0 && other.status().is_none();
            let owner = if of_other { other } else { task };
            let address = owner.mem_alloc(bytes, 0).unwrap();
            let kept = Kept {
                bytes,
                freed: false,
                shares: 0,
                of_other,
            };
            assert!(model.live.insert(address, kept).is_none(), "given twice");
        }
        Step::Free(number) => {
            let Some(address) = model.nth(number) else {
                return;
            };
            let kept = model.live.get_mut(&address).unwrap();
            assert_eq!(task.mem_free(address).is_ok(), !kept.freed);
            kept.freed = true;
        }
        Step::Share(number) => {
            let Some(address) = model.nth(number) else {
                return;
            };
            let kept = model.live.get_mut(&address).unwrap();
            let handle = task.mem_share(address + kept.bytes / 2, 1).unwrap();
            kept.shares += 1;
            model.handles.push((handle, address));
        }
        Step::Unshare(number) if number < model.handles.len() => {
            let (handle, address) = model.handles.swap_remove(number);
            task.mem_unshare(handle).unwrap();
            assert!(task.mem_unshare(handle).is_err());
            model.live.get_mut(&address).unwrap().shares -= 1;
        }
        Step::Unshare(_) => {}
        Step::Reset => {
            task.mem_arena_reset(arena).unwrap();
            model.from_arena = 0;
        }
        Step::FromArena(bytes) => {
            let address = task.mem_arena_alloc(arena, bytes, 0).unwrap();
            model.from_arena += bytes;
            assert!(task.mem_free(address).is_err());
        }
        Step::EndOther => {
            other.end(0);
            for kept in model.live.values_mut().filter(|kept| kept.of_other) {
                kept.freed = true;
            }
        }
    }
    model.drop_dead();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 8 } else { 512 }))]
    /// Freed exactly once, whoever ends first.
    #[test]
    fn agrees_with_a_model(steps in prop::collection::vec(step(), 0..60)) {
        let host = Host::new();
        host.run(async |task| {
            let other = host.spawn(|_| core::future::pending());
            let arena = task.mem_arena_create(0).unwrap();
            let mut model = Model::default();
            for step in steps {
                run_step(&mut model, &task, &other, arena, step);
                let of_arena = task.account.usage().bytes - model.bytes(false);
                assert!(of_arena >= model.from_arena && (of_arena > 0) == (model.from_arena > 0));
                assert_eq!(other.account.usage().bytes, model.bytes(true));
                for (address, kept) in &model.live {
                    assert!(task.mem_map(*address, kept.bytes, MEM_READ | MEM_WRITE).is_ok());
                }
            }
            task.handle_close(arena).unwrap();
            assert_eq!(host.program.heap.len(), model.live.len());
            other.end(0);
        });
        prop_assert_eq!(host.program.heap.len(), 0);
    }
}
