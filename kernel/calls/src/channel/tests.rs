//! Each line of the header on messages, and a property: no message is lost or doubled, whoever is cancelled.

extern crate std;

use core::cell::RefCell;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::testing::{Host, Memory};
use abi::capability::Kinds;
use abi::number::{FOREVER, MEM_READ, MEM_WRITE, TASK_CANCELLED};

const WAIT: u32 = 0;
const NONBLOCK: u32 = IPC_NONBLOCK;

/// What a task does its calls with.
#[derive(Clone)]
struct Caller {
    task: Rc<Task>,
    memory: Rc<Memory>,
}

type Received<T> = Result<T, (Failure, u64)>;

impl Caller {
    async fn send(&self, channel: Handle, bytes: &[u8], flags: u32) -> Outcome {
        let buffer = self.memory.bytes(bytes);
        self.task
            .ipc_send(channel, buffer.input(), None, flags)
            .await
    }

    async fn send_with(&self, channel: Handle, bytes: &[u8], handles: &[Handle]) -> Outcome {
        let numbers: Vec<u64> = handles.iter().map(|handle| handle.to_bits()).collect();
        let (buffer, numbers) = (self.memory.bytes(bytes), self.memory.numbers(&numbers));
        let handles = Some(numbers.list());
        self.task
            .ipc_send(channel, buffer.input(), handles, NONBLOCK)
            .await
    }

    async fn recv(&self, channel: Handle, room: usize, flags: u32) -> Received<Vec<u8>> {
        let (buffer, len) = (self.memory.buffer(room), self.memory.buffer(8));
        let (into, len_out) = (buffer.output(), len.place());
        let outcome = self
            .task
            .ipc_recv(channel, into, len_out, None, flags)
            .await;
        let len = len_out.get();
        outcome.map_err(|failure| (failure, len))?;
        Ok(buffer.to_vec()[..len as usize].to_vec())
    }

    async fn recv_with(
        &self,
        channel: Handle,
        room: usize,
        flags: u32,
    ) -> Received<(Vec<u8>, Vec<Handle>)> {
        let (buffer, numbers) = (self.memory.buffer(100), self.memory.buffer(room * 8));
        let (len, count) = (self.memory.buffer(8), self.memory.buffer(4));
        let (len_out, count_out) = (len.place(), count.place::<u32>());
        let room = Some((numbers.room(), count_out));
        let outcome = self
            .task
            .ipc_recv(channel, buffer.output(), len_out, room, flags)
            .await;
        outcome.map_err(|failure| (failure, count_out.get().into()))?;
        let handles = numbers.values::<u64>().into_iter().map(Handle::from_bits);
        let handles = handles.take(count_out.get() as usize).collect();
        Ok((buffer.to_vec()[..len_out.get() as usize].to_vec(), handles))
    }
}

/// Runs a test as a task; afterwards no allocation of the program is left.
fn with_task(body: impl AsyncFnOnce(&Host, Caller)) {
    let host = Host::new();
    host.run(async |task| {
        let memory = Rc::clone(&host.memory);
        body(&host, Caller { task, memory }).await;
    });
    assert_eq!(host.program.heap.len(), 0, "a handle was never closed");
}

/// Starts a task that does one thing, and lets it run into its wait.
async fn start<F>(host: &Host, main: &Caller, body: impl FnOnce(Caller) -> F + 'static) -> Rc<Task>
where
    F: Future<Output = Outcome> + 'static,
{
    let memory = Rc::clone(&host.memory);
    let task = host.spawn(move |task| body(Caller { task, memory }));
    main.task.task_yield().await.unwrap();
    task
}

/// A receiver that expects this message.
async fn expect(host: &Host, main: &Caller, channel: Handle, bytes: &'static [u8]) -> Rc<Task> {
    start(host, main, async move |caller| {
        assert_eq!(caller.recv(channel, 64, WAIT).await, Ok(bytes.to_vec()));
        Ok(())
    })
    .await
}

fn error_of<T: std::fmt::Debug>(outcome: Outcome<T>) -> (Error, u32) {
    let failure = outcome.unwrap_err();
    (failure.error, failure.argument)
}

fn recv_error<T: std::fmt::Debug>(received: Received<T>) -> (Error, u32, u64) {
    let (failure, told) = received.unwrap_err();
    (failure.error, failure.argument, told)
}

/// A handle to a little memory, which is there for as long as the handle is.
fn memory_handle(task: &Task) -> Handle {
    let address = task.mem_alloc(16, 0).unwrap();
    let handle = task.mem_share(address, 16).unwrap();
    task.mem_free(address).unwrap();
    handle
}

#[test]
fn messages_keep_their_boundaries_and_order() {
    with_task(async |_, main| {
        let channel = main.task.ipc_channel_create(0).unwrap();
        let long = std::vec![7; MAX_MESSAGE];
        for bytes in [b"one".as_slice(), b"", &long, &[1; 40], &[2; 41]] {
            main.send(channel, bytes, WAIT).await.unwrap();
        }
        for bytes in [b"one".as_slice(), b"", &long, &[1; 40], &[2; 41]] {
            let received = main.recv(channel, MAX_MESSAGE + 1, WAIT).await;
            assert_eq!(received, Ok(bytes.to_vec()));
        }
        let longer = std::vec![7; MAX_MESSAGE + 1];
        let refused = main.send(channel, &longer, WAIT).await;
        assert_eq!(error_of(refused), (Error::Invalid, 3));
    });
}

#[test]
fn a_channel_holds_what_it_was_made_for() {
    with_task(async |_, main| {
        let most = if cfg!(miri) { 40 } else { 4096 };
        for (flags, capacity) in [(0, 16), (1 << 16, 1), (most << 16, most)] {
            let channel = main.task.ipc_channel_create(flags).unwrap();
            for _ in 0..capacity {
                main.send(channel, b"x", NONBLOCK).await.unwrap();
            }
            let full = main.send(channel, b"x", NONBLOCK).await;
            assert_eq!(error_of(full), (Error::WouldBlock, 0));
            main.recv(channel, 1, NONBLOCK).await.unwrap();
            main.send(channel, b"x", NONBLOCK).await.unwrap();
        }
        for flags in [1, 1 << 15, 4097 << 16, u32::MAX] {
            let refused = main.task.ipc_channel_create(flags);
            assert_eq!(error_of(refused), (Error::Invalid, 1));
            let refused = main.task.ipc_channel_pair(flags);
            assert_eq!(error_of(refused), (Error::Invalid, 1));
        }
    });
}

#[test]
fn arguments_are_checked() {
    with_task(async |host, main| {
        let (sender, receiver) = main.task.ipc_channel_pair(0).unwrap();
        let arena = main.task.mem_arena_create(0).unwrap();
        let refused = main.send(receiver, b"", WAIT).await;
        assert_eq!(error_of(refused), (Error::Permission, 1));
        let refused = main.recv(sender, 1, WAIT).await;
        assert_eq!(recv_error(refused), (Error::Permission, 1, 0));
        for wrong in [arena, Handle::NONE, Handle::from_bits(u64::MAX)] {
            assert_eq!(
                error_of(main.send(wrong, b"", WAIT).await),
                (Error::Invalid, 1)
            );
            let refused = main.recv(wrong, 1, WAIT).await;
            assert_eq!(recv_error(refused), (Error::Invalid, 1, 0));
            assert_eq!(error_of(main.task.ipc_close(wrong)), (Error::Invalid, 1));
        }
        assert_eq!(
            error_of(main.send(sender, b"", 2).await),
            (Error::Invalid, 4)
        );
        let refused = main.recv(receiver, 1, 2).await;
        assert_eq!(recv_error(refused), (Error::Invalid, 5, 0));
        let refused = main.recv_with(receiver, 1, 2).await;
        assert_eq!(recv_error(refused), (Error::Invalid, 8, 0));
        let empty = main.recv(receiver, 1, NONBLOCK).await;
        assert_eq!(recv_error(empty), (Error::WouldBlock, 0, 0));
        let denied = host.spawn_with(Kinds::EMPTY.with(Kind::Io), {
            let memory = Rc::clone(&host.memory);
            async move |task| {
                let caller = Caller { task, memory };
                let none = Handle::NONE;
                let refused = [
                    caller.send(none, b"", 2).await.unwrap_err(),
                    caller.recv(none, 0, 2).await.unwrap_err().0,
                    caller.task.ipc_close(none).unwrap_err(),
                    caller.task.ipc_channel_create(1).unwrap_err(),
                    caller.task.ipc_channel_pair(1).unwrap_err(),
                ];
                assert!(
                    refused
                        .iter()
                        .all(|failure| failure.error == Error::Permission)
                );
                Ok(())
            }
        });
        main.task.task_yield().await.unwrap();
        assert_eq!(denied.status(), Some(0));
    });
}

#[test]
fn a_message_that_is_too_long_stays() {
    with_task(async |host, main| {
        let channel = main.task.ipc_channel_create(0).unwrap();
        main.send(channel, b"four", WAIT).await.unwrap();
        for _ in 0..2 {
            let short = main.recv(channel, 3, WAIT).await;
            assert_eq!(recv_error(short), (Error::Invalid, 3, 4));
        }
        assert_eq!(main.recv(channel, 4, WAIT).await, Ok(b"four".to_vec()));
        // The same for those who wait: the first has too little room, the second has enough.
        let short = start(host, &main, async move |caller| {
            let short = caller.recv(channel, 3, WAIT).await;
            assert_eq!(recv_error(short), (Error::Invalid, 3, 5));
            Ok(())
        });
        let short = short.await;
        let long = expect(host, &main, channel, b"fives").await;
        main.send(channel, b"fives", WAIT).await.unwrap();
        main.task.task_yield().await.unwrap();
        assert_eq!((short.status(), long.status()), (Some(0), Some(0)));
    });
}

#[test]
fn closing_the_sending_end_lets_the_receivers_finish() {
    with_task(async |host, main| {
        let (sender, receiver) = main.task.ipc_channel_pair(0).unwrap();
        main.send(sender, b"last", WAIT).await.unwrap();
        main.task.ipc_close(sender).unwrap();
        assert_eq!(
            error_of(main.send(sender, b"", WAIT).await),
            (Error::Invalid, 1)
        );
        assert_eq!(main.recv(receiver, 9, WAIT).await, Ok(b"last".to_vec()));
        let over = main.recv(receiver, 9, WAIT).await;
        assert_eq!(recv_error(over), (Error::Closed, 0, 0));
        // And wakes those who wait.
        let (sender, receiver) = main.task.ipc_channel_pair(0).unwrap();
        let waits = start(host, &main, async move |caller| {
            let over = caller.recv(receiver, 9, WAIT).await;
            assert_eq!(recv_error(over), (Error::Closed, 0, 0));
            Ok(())
        });
        let waits = waits.await;
        main.task.handle_close(sender).unwrap();
        main.task.task_yield().await.unwrap();
        assert_eq!(waits.status(), Some(0));
    });
}

#[test]
fn closing_the_receiving_end_tells_the_senders() {
    with_task(async |host, main| {
        let (sender, receiver) = main.task.ipc_channel_pair(1 << 16).unwrap();
        main.send(sender, b"lost", WAIT).await.unwrap();
        let waits = start(host, &main, async move |caller| {
            let over = caller.send(sender, b"", WAIT).await;
            assert_eq!(error_of(over), (Error::Closed, 0));
            Ok(())
        });
        let waits = waits.await;
        main.task.ipc_close(receiver).unwrap();
        main.task.task_yield().await.unwrap();
        assert_eq!(waits.status(), Some(0));
        assert_eq!(
            error_of(main.send(sender, b"", NONBLOCK).await),
            (Error::Closed, 0)
        );
    });
}

#[test]
fn closing_a_handle_ends_its_own_waits() {
    with_task(async |host, main| {
        for full in [false, true] {
            let channel = main.task.ipc_channel_create(1 << 16).unwrap();
            if full {
                main.send(channel, b"", WAIT).await.unwrap();
            }
            let waits = start(host, &main, async move |caller| {
                let failure = if full {
                    caller.send(channel, b"", WAIT).await.unwrap_err()
                } else {
                    caller.recv(channel, 1, WAIT).await.unwrap_err().0
                };
                assert_eq!(failure.error, Error::Closed);
                Ok(())
            });
            let waits = waits.await;
            main.task.ipc_close(channel).unwrap();
            main.task.task_yield().await.unwrap();
            assert_eq!(waits.status(), Some(0));
        }
    });
}

#[test]
fn senders_wait_in_line() {
    with_task(async |host, main| {
        let channel = main.task.ipc_channel_create(1 << 16).unwrap();
        main.send(channel, b"0", WAIT).await.unwrap();
        let mut senders = Vec::new();
        for text in [b"1", b"2", b"3"] {
            let sender = start(host, &main, async move |caller| {
                caller.send(channel, text, WAIT).await
            });
            senders.push(sender.await);
        }
        senders[1].cancel();
        main.task.task_yield().await.unwrap();
        for text in [b"0", b"1", b"3"] {
            // Whoever waits is first, though the channel has just been read.
            let full = main.send(channel, b"x", NONBLOCK).await;
            assert_eq!(error_of(full), (Error::WouldBlock, 0));
            assert_eq!(main.recv(channel, 1, WAIT).await, Ok(text.to_vec()));
        }
        main.task.task_yield().await.unwrap();
        let ends: Vec<_> = senders.iter().map(|sender| sender.status()).collect();
        assert_eq!(ends, [Some(0), Some(TASK_CANCELLED), Some(0)]);
        main.send(channel, b"x", NONBLOCK).await.unwrap();
    });
}

#[test]
fn receivers_wait_in_line_and_get_the_bytes_at_once() {
    with_task(async |host, main| {
        let channel = main.task.ipc_channel_create(0).unwrap();
        let long: &'static [u8] = &[9; 64];
        let first = expect(host, &main, channel, b"first").await;
        let gone = expect(host, &main, channel, b"").await;
        let second = expect(host, &main, channel, long).await;
        gone.cancel();
        main.task.task_yield().await.unwrap();
        main.send(channel, b"first", WAIT).await.unwrap();
        main.send(channel, long, WAIT).await.unwrap();
        let inner = main.task.channel_of(channel, |_| true).unwrap();
        let room = inner.with(|state| state.room_allocated());
        assert_eq!(room, 0, "nothing has been in the queue");
        main.task.task_yield().await.unwrap();
        assert_eq!((first.status(), second.status()), (Some(0), Some(0)));
    });
}

#[test]
fn a_buffer_that_is_sent_and_received_into_at_once() {
    with_task(async |host, main| {
        let channel = main.task.ipc_channel_create(0).unwrap();
        let buffer = Rc::new(host.memory.bytes(b"abcdef"));
        let receiver = start(host, &main, {
            let buffer = Rc::clone(&buffer);
            async move |caller| {
                let len = caller.memory.buffer(8);
                let into = buffer.output().after(2);
                caller
                    .task
                    .ipc_recv(channel, into, len.place(), None, WAIT)
                    .await
            }
        });
        let receiver = receiver.await;
        let from = host
            .memory
            .alleged(2, buffer.address(), 4)
            .readable(&*host.memory)
            .unwrap();
        main.task.ipc_send(channel, from, None, WAIT).await.unwrap();
        main.task.task_yield().await.unwrap();
        assert_eq!(
            (receiver.status(), &*buffer.to_vec()),
            (Some(0), b"ababcd".as_slice())
        );
    });
}

#[test]
fn ends_tell_what_they_are_ready_for() {
    const READ: u32 = 1;
    const WRITE: u32 = 2;
    const HANGUP: u32 = 4;
    with_task(async |_, main| {
        let task = &main.task;
        let ready = async |handle, interest| match task.io_wait(handle, interest, 0).await {
            Ok(events) => events,
            Err(failure) => {
                assert_eq!(failure.error, Error::WouldBlock);
                0
            }
        };
        let (sender, receiver) = task.ipc_channel_pair(1 << 16).unwrap();
        assert_eq!(
            (ready(sender, 3).await, ready(receiver, 3).await),
            (WRITE, 0)
        );
        main.send(sender, b"", WAIT).await.unwrap();
        assert_eq!(
            (ready(sender, 3).await, ready(receiver, 3).await),
            (0, READ)
        );
        task.ipc_close(sender).unwrap();
        assert_eq!(ready(receiver, 3).await, READ | HANGUP);
        main.recv(receiver, 0, WAIT).await.unwrap();
        assert_eq!(
            ready(receiver, 3).await,
            READ | HANGUP,
            "receiving gives CLOSED at once"
        );
        let (sender, receiver) = task.ipc_channel_pair(1 << 16).unwrap();
        main.send(sender, b"", WAIT).await.unwrap();
        task.ipc_close(receiver).unwrap();
        assert_eq!(
            ready(sender, 3).await,
            WRITE | HANGUP,
            "sending gives CLOSED at once"
        );
        let both = task.ipc_channel_create(1 << 16).unwrap();
        assert_eq!((ready(both, 3).await, ready(both, READ).await), (WRITE, 0));
        main.send(both, b"", WAIT).await.unwrap();
        assert_eq!((ready(both, 3).await, ready(both, WRITE).await), (READ, 0));
    });
}

#[test]
fn who_polls_is_woken() {
    with_task(async |host, main| {
        let (sender, receiver) = main.task.ipc_channel_pair(1 << 16).unwrap();
        let poll = async |handle, interest, expected| {
            let polled = start(host, &main, async move |caller| {
                let events = caller.task.io_wait(handle, interest, FOREVER).await?;
                assert_eq!(events, expected);
                Ok(())
            });
            polled.await
        };
        let readable = poll(receiver, 1, 1).await;
        main.send(sender, b"", WAIT).await.unwrap();
        main.task.task_yield().await.unwrap();
        assert_eq!(readable.status(), Some(0));
        let (writable, hangup) = (poll(sender, 2, 2).await, poll(sender, 0, 4).await);
        main.recv(receiver, 0, WAIT).await.unwrap();
        main.task.task_yield().await.unwrap();
        assert_eq!((writable.status(), hangup.status()), (Some(0), None));
        main.task.ipc_close(receiver).unwrap();
        main.task.task_yield().await.unwrap();
        assert_eq!(hangup.status(), Some(0));
        let (sender, receiver) = main.task.ipc_channel_pair(0).unwrap();
        let hangup = poll(receiver, 0, 4).await;
        main.task.ipc_close(sender).unwrap();
        main.task.task_yield().await.unwrap();
        assert_eq!(hangup.status(), Some(0));
    });
}

#[test]
fn a_cancelled_receiver_loses_nothing() {
    with_task(async |host, main| {
        let channel = main.task.ipc_channel_create(0).unwrap();
        for (len, other_waits) in [(3, false), (100, false), (3, true), (100, true)] {
            let message = std::vec![5; len];
            let cancelled = start(host, &main, async move |caller| {
                caller.recv_with(channel, 1, WAIT).await.unwrap();
                Ok(())
            });
            let cancelled = cancelled.await;
            let other = if other_waits {
                let expected = message.clone();
                let other = start(host, &main, async move |caller| {
                    let (bytes, handles) = caller.recv_with(channel, 8, WAIT).await.unwrap();
                    assert_eq!((bytes, handles.len()), (expected, 1));
                    caller.task.mem_shared(handles[0]).map(drop)
                });
                Some(other.await)
            } else {
                None
            };
            let handle = memory_handle(&main.task);
            main.send_with(channel, &message, &[handle]).await.unwrap();
            cancelled.cancel(); // it has the message, and does not know
            main.task.task_yield().await.unwrap();
            assert_eq!(cancelled.status(), Some(TASK_CANCELLED));
            main.task.task_yield().await.unwrap();
            match other {
                Some(other) => assert_eq!(other.status(), Some(0)),
                None => {
                    let (bytes, handles) = main.recv_with(channel, 8, NONBLOCK).await.unwrap();
                    assert_eq!(bytes, message);
                    main.task.mem_unshare(handles[0]).unwrap();
                }
            }
            assert_eq!(host.program.heap.len(), 0);
        }
    });
}

#[test]
fn handles_travel() {
    with_task(async |host, main| {
        let channel = main.task.ipc_channel_create(0).unwrap();
        let (sender, receiver) = main.task.ipc_channel_pair(0).unwrap();
        let memory = memory_handle(&main.task);
        let (address, _) = main.task.mem_shared(memory).unwrap();
        let waits = start(host, &main, async move |caller| {
            let over = caller.recv(receiver, 1, WAIT).await;
            assert_eq!(recv_error(over), (Error::Closed, 0, 0));
            Ok(())
        });
        let waits = waits.await;
        let polls = start(host, &main, async move |caller| {
            let over = caller.task.io_wait(receiver, 1, FOREVER).await;
            assert_eq!(error_of(over), (Error::Closed, 0));
            Ok(())
        });
        let polls = polls.await;
        main.send_with(channel, b"here", &[receiver, memory])
            .await
            .unwrap();
        main.task.task_yield().await.unwrap();
        assert_eq!((waits.status(), polls.status()), (Some(0), Some(0)));
        assert_eq!(error_of(main.task.mem_shared(memory)), (Error::Invalid, 1));
        assert_eq!(
            main.recv(receiver, 1, WAIT).await.unwrap_err().0.error,
            Error::Invalid
        );
        main.send(sender, b"through", WAIT).await.unwrap();
        let other = start(host, &main, async move |caller| {
            let (bytes, handles) = caller.recv_with(channel, 2, WAIT).await.unwrap();
            assert_eq!(bytes, b"here");
            assert!(handles[0] != receiver && handles[1] != memory);
            let waiting = caller.recv(handles[0], 9, WAIT).await;
            assert_eq!(waiting, Ok(b"through".to_vec()));
            assert_eq!(caller.task.mem_shared(handles[1])?.0, address);
            Ok(())
        });
        // Its handles are closed with it.
        assert_eq!(other.await.status(), Some(0));
        assert_eq!(
            error_of(main.send(sender, b"", WAIT).await),
            (Error::Closed, 0)
        );
        assert_eq!(host.program.heap.len(), 0);
    });
}

#[test]
fn handles_that_cannot_travel_stay() {
    with_task(async |_, main| {
        let (sender, receiver) = main.task.ipc_channel_pair(0).unwrap();
        let good = main.task.ipc_channel_create(0).unwrap();
        let own = main.task.task_self().unwrap();
        let cap = main.task.cap_acquire(Kind::Log as u32).unwrap();
        let span = Handle::object(Tag::Span, 0, 1);
        for wrong in [sender, receiver, own, cap, span, good, Handle::NONE] {
            let refused = main.send_with(sender, b"", &[good, wrong]).await;
            assert_eq!(error_of(refused), (Error::Invalid, 4), "{wrong:?}");
        }
        let many = [(); 9].map(|()| main.task.ipc_channel_create(0).unwrap());
        let refused = main.send_with(sender, b"", &many).await;
        assert_eq!(error_of(refused), (Error::Invalid, 5));
        let empty = main.recv(receiver, 1, NONBLOCK).await;
        assert_eq!(recv_error(empty), (Error::WouldBlock, 0, 0));
        main.send_with(sender, b"", &many[..8]).await.unwrap();
        let (_, handles) = main.recv_with(receiver, 8, NONBLOCK).await.unwrap();
        assert_eq!(handles.len(), 8);
        main.send(good, b"still there", NONBLOCK).await.unwrap();
    });
}

#[test]
fn too_little_room_for_handles_leaves_the_message() {
    with_task(async |_, main| {
        let channel = main.task.ipc_channel_create(0).unwrap();
        let handles = [(); 2].map(|()| memory_handle(&main.task));
        main.send_with(channel, b"two", &handles).await.unwrap();
        let short = main.recv_with(channel, 1, WAIT).await;
        assert_eq!(recv_error(short), (Error::Invalid, 6, 2));
        let (_, handles) = main.recv_with(channel, 2, WAIT).await.unwrap();
        assert_eq!(handles.len(), 2);
        main.send_with(channel, b"none", &[]).await.unwrap();
        let (_, handles) = main.recv_with(channel, 2, WAIT).await.unwrap();
        assert_eq!(handles, []);
    });
}

#[test]
fn handles_that_nobody_receives_are_closed() {
    with_task(async |host, main| {
        let channel = main.task.ipc_channel_create(0).unwrap();
        let unasked = memory_handle(&main.task);
        main.send_with(channel, b"x", &[unasked]).await.unwrap();
        assert_eq!(main.recv(channel, 1, WAIT).await, Ok(b"x".to_vec()));
        assert_eq!(host.program.heap.len(), 0, "ipc_recv closes them");
        let waits = expect(host, &main, channel, b"y").await;
        let unasked = memory_handle(&main.task);
        main.send_with(channel, b"y", &[unasked]).await.unwrap();
        assert_eq!(host.program.heap.len(), 0, "and so does one that waited");
        let left = memory_handle(&main.task);
        main.send_with(channel, b"z", &[left]).await.unwrap();
        assert_eq!(host.program.heap.len(), 1);
        main.task.ipc_close(channel).unwrap();
        assert_eq!(host.program.heap.len(), 0, "closed with the channel");
        main.task.task_yield().await.unwrap();
        assert_eq!(waits.status(), Some(0));
    });
}

#[cfg_attr(miri, ignore = "fills the table of handles")]
#[test]
#[cfg_attr(miri, ignore = "fills a table of many places")]
fn a_table_without_room_loses_no_message() {
    with_task(async |host, main| {
        let channel = main.task.ipc_channel_create(0).unwrap();
        let pair = [(); 2].map(|()| memory_handle(&main.task));
        main.send_with(channel, b"x", &pair).await.unwrap();
        let room = crate::program::MAX_HANDLES - host.program.handles.borrow().len();
        for _ in 1..room {
            main.task.mem_arena_create(0).unwrap();
        }
        for _ in 0..2 {
            // There is room for one of the two.
            let full = main.recv_with(channel, 2, WAIT).await;
            assert_eq!(recv_error(full), (Error::NoMemory, 0, 0));
            let handles = host.program.handles.borrow().len();
            assert_eq!(handles, crate::program::MAX_HANDLES - 1);
        }
        let last = main.task.ipc_channel_pair(0);
        assert_eq!(error_of(last), (Error::NoMemory, 0));
        assert_eq!(main.recv(channel, 1, WAIT).await, Ok(b"x".to_vec()));
    });
}

#[test]
fn receiving_ends_cannot_hold_each_other() {
    with_task(async |host, main| {
        let (to_one, one) = main.task.ipc_channel_pair(0).unwrap();
        let (to_two, two) = main.task.ipc_channel_pair(0).unwrap();
        let (to_three, three) = main.task.ipc_channel_pair(0).unwrap();
        let memory = memory_handle(&main.task);
        main.send_with(to_two, b"", &[memory]).await.unwrap();
        main.send_with(to_one, b"two", &[two]).await.unwrap();
        // Two is in one: it takes no receiving end, and one does not travel.
        for (through, end) in [(to_two, one), (to_two, three), (to_three, one)] {
            let busy = main.send_with(through, b"", &[end]).await;
            assert_eq!(error_of(busy), (Error::Busy, 4));
        }
        main.send_with(to_two, b"", &[to_one]).await.unwrap(); // a sending end may
        let (_, received) = main.recv_with(one, 1, WAIT).await.unwrap();
        main.send_with(to_three, b"", &[one]).await.unwrap();
        let busy = main.send_with(to_two, b"", &[three]).await;
        assert_eq!(error_of(busy), (Error::Busy, 4), "it holds one");
        main.recv_with(three, 1, WAIT).await.unwrap();
        main.send_with(to_two, b"", &[three]).await.unwrap();
        assert_eq!(host.program.heap.len(), 1);
        main.task.ipc_close(received[0]).unwrap();
        assert_eq!(host.program.heap.len(), 0, "and all that was in them");
    });
}

#[test]
fn ends_in_each_others_queues_are_freed() {
    with_task(async |host, main| {
        let (to_one, one) = main.task.ipc_channel_pair(0).unwrap();
        let (to_two, two) = main.task.ipc_channel_pair(0).unwrap();
        let memory = memory_handle(&main.task);
        main.send_with(to_one, b"", &[memory]).await.unwrap();
        main.send_with(to_two, b"", &[two; 0]).await.unwrap();
        main.send_with(to_two, b"", &[to_one]).await.unwrap();
        // Closing one drops the sending end of two, whose queue has the sending end of one.
        let again = main.task.ipc_channel_create(0).unwrap();
        main.send_with(again, b"", &[to_two]).await.unwrap();
        main.task.ipc_close(two).unwrap();
        main.task.ipc_close(again).unwrap();
        main.task.ipc_close(one).unwrap();
        assert_eq!(host.program.heap.len(), 0);
    });
}

/// What a step of the property test does.
#[derive(Clone, Copy, Debug)]
enum Step {
    Send {
        waits: bool,
        len: usize,
        handle: bool,
    },
    Receive {
        waits: bool,
        room: usize,
        handles: bool,
    },
    Cancel(usize),
    Yield,
}

fn step() -> impl Strategy<Value = Step> {
    let len = prop_oneof![8usize..12, 38usize..44];
    prop_oneof![
        3 => (any::<bool>(), len.clone(), any::<bool>())
            .prop_map(|(waits, len, handle)| Step::Send { waits, len, handle }),
        3 => (any::<bool>(), len, any::<bool>())
            .prop_map(|(waits, room, handles)| Step::Receive { waits, room, handles }),
        1 => (0usize..8).prop_map(Step::Cancel),
        1 => Just(Step::Yield),
    ]
}

/// Message numbers, in the order in which it happened.
#[derive(Default)]
struct Log {
    sent: RefCell<Vec<u64>>,
    tried: RefCell<Vec<u64>>,
    received: RefCell<Vec<u64>>,
}

impl Log {
    fn got(&self, bytes: &[u8]) {
        let (number, rest) = bytes.split_first_chunk().unwrap();
        assert!(rest.iter().all(|byte| *byte == number[0]), "garbled");
        self.received.borrow_mut().push(u64::from_ne_bytes(*number));
    }
}

async fn send_number(caller: Caller, ends: Ends, number: u64, step: Step, log: Rc<Log>) -> Outcome {
    let Step::Send { waits, len, handle } = step else {
        return Ok(());
    };
    let mut bytes = std::vec![number as u8; len];
    bytes[..8].copy_from_slice(&number.to_ne_bytes());
    let handles: Vec<u64> = handle
        .then(|| memory_handle(&caller.task).to_bits())
        .into_iter()
        .collect();
    let (buffer, numbers) = (caller.memory.bytes(&bytes), caller.memory.numbers(&handles));
    let flags = if waits { WAIT } else { NONBLOCK };
    log.tried.borrow_mut().push(number);
    let outcome = caller
        .task
        .ipc_send(ends.0, buffer.input(), Some(numbers.list()), flags)
        .await;
    if outcome.is_ok() {
        log.sent.borrow_mut().push(number);
    } else if let Some(handle) = handles.first() {
        caller.task.mem_unshare(Handle::from_bits(*handle))?;
    }
    Ok(())
}

async fn receive_number(caller: Caller, ends: Ends, step: Step, log: Rc<Log>) -> Outcome {
    let Step::Receive {
        waits,
        room,
        handles,
    } = step
    else {
        return Ok(());
    };
    let flags = if waits { WAIT } else { NONBLOCK };
    if handles {
        if let Ok((bytes, handles)) = caller.recv_with(ends.1, room % 2, flags).await {
            log.got(&bytes);
            handles
                .into_iter()
                .try_for_each(|handle| caller.task.mem_unshare(handle))?;
        }
    } else if let Ok(bytes) = caller.recv(ends.1, room, flags).await {
        log.got(&bytes);
    }
    Ok(())
}

type Ends = (Handle, Handle);

async fn run_steps(host: &Host, main: &Caller, ends: Ends, steps: &[Step], log: &Rc<Log>) {
    let mut tasks: Vec<Rc<Task>> = Vec::new();
    for (number, step) in (0..).zip(steps.iter().copied()) {
        let (memory, log) = (Rc::clone(&host.memory), Rc::clone(log));
        match step {
            Step::Cancel(which) => {
                let mut waiting = tasks.iter().filter(|task| task.status().is_none());
                if let Some(task) = waiting.nth(which) {
                    task.cancel();
                }
            }
            Step::Yield => main.task.task_yield().await.unwrap(),
            Step::Send { .. } => {
                tasks.push(host.spawn(move |task| {
                    send_number(Caller { task, memory }, ends, number, step, log)
                }));
            }
            Step::Receive { .. } => tasks.push(
                host.spawn(move |task| receive_number(Caller { task, memory }, ends, step, log)),
            ),
        }
    }
    main.task.task_yield().await.unwrap();
    for task in &tasks {
        task.cancel(); // whatever still waits
    }
    main.task.task_yield().await.unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 8 } else { 512 }))]
    #[test]
    fn no_message_is_lost_or_doubled(steps in prop::collection::vec(step(), 0..60)) {
        let log = Rc::new(Log::default());
        with_task(async |host, main| {
            let ends = main.task.ipc_channel_pair(2 << 16).unwrap();
            run_steps(host, &main, ends, &steps, &log).await;
            main.task.ipc_close(ends.0).unwrap();
            loop {
                match main.recv(ends.1, 64, NONBLOCK).await {
                    Ok(bytes) => log.got(&bytes),
                    Err((failure, _)) => {
                        assert_eq!(failure.error, Error::Closed);
                        break;
                    }
                }
            }
            main.task.ipc_close(ends.1).unwrap();
        });
        let (tried, received) = (log.tried.borrow(), log.received.borrow());
        let mut once = received.clone();
        once.sort_unstable();
        once.dedup();
        prop_assert_eq!(once.len(), received.len(), "doubled");
        prop_assert!(received.iter().all(|number| tried.contains(number)));
        for number in log.sent.borrow().iter() {
            prop_assert!(received.contains(number), "{} lost", number);
        }
        if !steps.iter().any(|step| matches!(step, Step::Cancel(_) | Step::Yield)) {
            // Everybody began in order, and nobody was cancelled before the end.
            prop_assert!(received.is_sorted());
        }
    }
}

#[test]
fn memory_behind_a_handle_is_usable_where_it_arrives() {
    with_task(async |_, main| {
        let channel = main.task.ipc_channel_create(0).unwrap();
        let handle = memory_handle(&main.task);
        main.send_with(channel, b"", &[handle]).await.unwrap();
        let (_, handles) = main.recv_with(channel, 1, WAIT).await.unwrap();
        let (address, len) = main.task.mem_shared(handles[0]).unwrap();
        assert_eq!(
            main.task.mem_map(address, len, MEM_READ | MEM_WRITE),
            Ok(())
        );
    });
}
