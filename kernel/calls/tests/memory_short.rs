//! Memory is short: what makes something that stays is refused, and nothing else is.

use abi::Error;
use abi::number::FOREVER;
use calls::testing::Host;
use calls::{Failure, Outcome, Task};

/// Every call that leaves something behind which the kernel has to keep.
async fn attempts(
    host: &Host,
    task: &std::rc::Rc<Task>,
    channel: abi::handle::Handle,
) -> Vec<Outcome> {
    let (none, text) = (host.memory.numbers(&[]), host.memory.bytes(b"text"));
    let spawn = calls::tasks::Spawn {
        entry: host.functions.add(async |_, _| 0),
        argument: 0,
        capabilities: none.list(),
        flags: 0,
    };
    let set = task.interest_create();
    let added = set.and_then(|set| task.interest_add(set, channel, 1, 0));
    vec![
        task.task_spawn(&spawn).map(drop),
        task.time_deadline(FOREVER).map(drop),
        task.mem_alloc(16, 0).map(drop),
        task.mem_arena_create(0).map(drop),
        task.ipc_channel_create(0).map(drop),
        task.ipc_channel_pair(0).map(drop),
        task.ipc_send(channel, text.input(), None, 0).await,
        task.shutdown_handle().map(drop),
        set.map(drop),
        added,
    ]
}

#[test]
fn what_would_stay_is_refused() {
    let host = Host::new();
    host.run(async |task| {
        let channel = task.ipc_channel_create(0).unwrap();
        host.memory.be_short(true);
        for (index, outcome) in attempts(&host, &task, channel)
            .await
            .into_iter()
            .enumerate()
        {
            assert_eq!(
                outcome,
                Err(Failure::from(Error::NoMemory)),
                "attempt {index}"
            );
        }
        // What there is can still be used and given up.
        assert_eq!(task.handle_close(channel), Ok(()));
        host.memory.be_short(false);
        let channel = task.ipc_channel_create(0).unwrap();
        for (index, outcome) in attempts(&host, &task, channel)
            .await
            .into_iter()
            .enumerate()
        {
            assert_eq!(outcome, Ok(()), "attempt {index}");
        }
    });
}
