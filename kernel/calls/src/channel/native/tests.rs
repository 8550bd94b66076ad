//! Both directions between a program and Rust, the ends' ends, and a property: no message is lost or doubled, and none is
//! sent by a send that was dropped.

extern crate std;

use core::cell::{Cell, RefCell};
use core::pin::pin;
use core::task::{Poll, Waker};
use std::vec::Vec;

use abi::handle::Handle;
use abi::number::{IPC_NONBLOCK, IPC_OPEN_RECEIVE, IPC_OPEN_SEND};
use futures_util::future::{Either, select};
use proptest::prelude::*;
use reactor::task::yield_now;

use super::*;
use crate::channel::MAX_CAPACITY;
use crate::failure::{Failure, Outcome};
use crate::task::Task;
use crate::testing::{Host, Memory};

/// Bytes of a long message; fewer under Miri, which copies one at a time.
const LONG: usize = if cfg!(miri) { 1000 } else { MAX_MESSAGE };

/// A program's task with memory for its calls.
#[derive(Clone)]
struct Caller {
    task: Rc<Task>,
    memory: Rc<Memory>,
}

impl Caller {
    fn open(&self, name: &str, flags: u32) -> Outcome<Handle> {
        let name = self.memory.bytes(name.as_bytes());
        self.task.ipc_open(name.input(), flags)
    }

    async fn send(&self, channel: Handle, bytes: &[u8], flags: u32) -> Outcome {
        let buffer = self.memory.bytes(bytes);
        let sent = self.task.ipc_send(channel, buffer.input(), None, flags);
        sent.await
    }

    async fn send_with(&self, channel: Handle, handles: &[Handle]) -> Outcome {
        let numbers: Vec<u64> = handles.iter().map(|handle| handle.to_bits()).collect();
        let (buffer, numbers) = (self.memory.bytes(b"x"), self.memory.numbers(&numbers));
        let list = Some(numbers.list());
        let sent = self
            .task
            .ipc_send(channel, buffer.input(), list, IPC_NONBLOCK);
        sent.await
    }

    async fn recv(&self, channel: Handle, room: usize, flags: u32) -> Outcome<Vec<u8>> {
        let (buffer, len) = (self.memory.buffer(room), self.memory.buffer(8));
        let (into, len_out) = (buffer.output(), len.place());
        let received = self.task.ipc_recv(channel, into, len_out, None, flags);
        received.await?;
        Ok(buffer.to_vec()[..len_out.get() as usize].to_vec())
    }
}

/// Runs a test as a task of the program.
fn with_task(body: impl AsyncFnOnce(&Host, Caller)) {
    let host = Host::new();
    host.run(async |task| {
        let memory = Rc::clone(&host.memory);
        body(&host, Caller { task, memory }).await;
    });
}

/// Starts a task of the program, and lets it run into its wait.
async fn start<F>(host: &Host, body: impl FnOnce(Caller) -> F + 'static) -> Rc<Task>
where
    F: Future<Output = Outcome> + 'static,
{
    let memory = Rc::clone(&host.memory);
    let task = host.spawn(move |task| body(Caller { task, memory }));
    yield_now().await;
    task
}

fn error_of<T: std::fmt::Debug>(outcome: Outcome<T>) -> (Error, u32) {
    let failure = outcome.unwrap_err();
    (failure.error, failure.argument)
}

/// One poll that nobody waits for.
fn poll_once<F: Future>(future: core::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn readiness(end: &impl Pollable) -> Readiness {
    let interest = Interest::READABLE | Interest::WRITABLE;
    end.poll_readiness(interest, &mut Context::from_waker(Waker::noop()))
}

#[test]
fn messages_reach_rust_whole_and_in_order() {
    with_task(async |host, main| {
        let requests = host.program.channel_from("requests", 4).unwrap();
        let channel = main.open("requests", IPC_OPEN_SEND).unwrap();
        let long = std::vec![7; LONG];
        let messages = [b"one".as_slice(), b"", &long, &[1; 41]];
        for bytes in messages {
            main.send(channel, bytes, IPC_NONBLOCK).await.unwrap();
        }
        let full = main.send(channel, b"x", IPC_NONBLOCK).await;
        assert_eq!(error_of(full), (Error::WouldBlock, 0));
        for bytes in messages {
            assert_eq!(*requests.recv().await.unwrap(), *bytes);
        }
        assert_eq!(requests.try_recv().err(), Some(Error::WouldBlock));
    });
}

#[test]
fn messages_reach_the_program_whole_and_in_order() {
    with_task(async |host, main| {
        let answers = host.program.channel_to("answers", 4).unwrap();
        let long = std::vec![7; LONG];
        let messages = [b"one".as_slice(), b"", &long, &[1; 41]];
        for bytes in messages {
            answers.send(bytes).await.unwrap(); // also before anybody has opened it
        }
        assert_eq!(answers.try_send(b"x"), Err(Error::WouldBlock));
        let longer = std::vec![7; MAX_MESSAGE + 1];
        assert_eq!(answers.try_send(&longer), Err(Error::Invalid));
        let channel = main.open("answers", IPC_OPEN_RECEIVE).unwrap();
        let short = main.recv(channel, 2, 0).await;
        assert_eq!(error_of(short), (Error::Invalid, 3));
        for bytes in messages {
            assert_eq!(main.recv(channel, LONG, 0).await, Ok(bytes.to_vec()));
        }
    });
}

#[test]
fn who_waits_is_handed_what_is_sent() {
    with_task(async |host, main| {
        let requests = host.program.channel_from("both", 1).unwrap();
        let answers = host.program.channel_to("both", 1).unwrap();
        let echo = start(host, async move |caller| {
            let receiver = caller.open("both", IPC_OPEN_RECEIVE)?;
            let sender = caller.open("both", IPC_OPEN_SEND)?;
            for _ in 0..3 {
                let message = caller.recv(receiver, 100, 0).await?;
                caller.send(sender, &message, 0).await?;
            }
            Ok(())
        });
        let echo = echo.await;
        for bytes in [b"".as_slice(), &[3; 40], &[4; 100]] {
            answers.send(bytes).await.unwrap();
            let room = answers.0.channel.look(|state| state.room_allocated());
            assert_eq!(room, 0, "straight into the program's memory");
            assert_eq!(*requests.recv().await.unwrap(), *bytes);
        }
        main.task.task_yield().await.unwrap();
        assert_eq!(echo.status(), Some(0));
    });
}

#[test]
fn rust_that_waits_is_woken_by_room_and_by_messages() {
    with_task(async |host, main| {
        let answers = host.program.channel_to("answers", 1).unwrap();
        let channel = main.open("answers", IPC_OPEN_RECEIVE).unwrap();
        let sender = host.reactor.spawner().spawn(async move {
            for bytes in [b"1", b"2", b"3"] {
                answers.send(bytes).await?;
            }
            Ok::<(), Error>(())
        });
        for bytes in [b"1", b"2", b"3"] {
            assert_eq!(main.recv(channel, 1, 0).await, Ok(bytes.to_vec()));
        }
        assert_eq!(sender.await.unwrap(), Ok(()));
        let over = main.recv(channel, 1, 0).await;
        assert_eq!(error_of(over), (Error::Closed, 0));
    });
}

#[test]
fn dropping_an_end_of_rusts_tells_the_program() {
    with_task(async |host, main| {
        let requests = host.program.channel_from("x", 1).unwrap();
        let answers = host.program.channel_to("x", 2).unwrap();
        let sender = main.open("x", IPC_OPEN_SEND).unwrap();
        let receiver = main.open("x", IPC_OPEN_RECEIVE).unwrap();
        main.send(sender, b"lost", 0).await.unwrap();
        let waits = start(host, async move |caller| {
            assert_eq!(
                error_of(caller.send(sender, b"", 0).await),
                (Error::Closed, 0)
            );
            Ok(())
        });
        let waits = waits.await;
        drop(requests);
        main.task.task_yield().await.unwrap();
        assert_eq!(waits.status(), Some(0));
        answers.try_send(b"last").unwrap();
        let clone = answers.clone();
        drop(answers);
        clone.try_send(b"very last").unwrap();
        drop(clone);
        assert_eq!(main.recv(receiver, 9, 0).await, Ok(b"last".to_vec()));
        assert_eq!(main.recv(receiver, 9, 0).await, Ok(b"very last".to_vec()));
        assert_eq!(
            error_of(main.recv(receiver, 9, 0).await),
            (Error::Closed, 0)
        );
    });
}

#[test]
fn closing_the_programs_end_tells_rust() {
    with_task(async |host, main| {
        let requests = host.program.channel_from("x", 2).unwrap();
        let answers = host.program.channel_to("x", 1).unwrap();
        let sender = main.open("x", IPC_OPEN_SEND).unwrap();
        let receiver = main.open("x", IPC_OPEN_RECEIVE).unwrap();
        main.send(sender, b"last", 0).await.unwrap();
        main.task.ipc_close(sender).unwrap();
        assert_eq!(*requests.recv().await.unwrap(), *b"last");
        assert_eq!(requests.recv().await.err(), Some(Error::Closed));
        answers.send(b"lost").await.unwrap();
        let waiting = async {
            yield_now().await;
            main.task.ipc_close(receiver).unwrap();
        };
        let (sent, ()) = futures_util::join!(answers.send(b"never"), waiting);
        assert_eq!(sent, Err(Error::Closed));
        assert_eq!(answers.try_send(b""), Err(Error::Closed));
    });
}

#[test]
fn what_the_program_has_not_opened_is_closed_when_it_is_withdrawn() {
    with_task(async |host, main| {
        let requests = host.program.channel_from("x", 2).unwrap();
        let answers = host.program.channel_to("x", 1).unwrap();
        let opened = host.program.channel_from("opened", 1).unwrap();
        let channel = main.open("opened", IPC_OPEN_SEND).unwrap();
        let withdraw = async {
            yield_now().await;
            host.program.withdraw_channels();
        };
        let (received, ()) = futures_util::join!(requests.recv(), withdraw);
        assert_eq!(received.err(), Some(Error::Closed));
        assert_eq!(answers.send(b"").await, Err(Error::Closed));
        assert_eq!(error_of(main.open("x", IPC_OPEN_SEND)), (Error::NoEntry, 1));
        main.send(channel, b"still open", 0).await.unwrap();
        assert_eq!(*opened.recv().await.unwrap(), *b"still open");
    });
}

#[test]
fn an_end_is_opened_once_by_its_name_and_direction() {
    with_task(async |host, main| {
        let requests = host.program.channel_from("requests", 1).unwrap();
        let none = [
            ("requests", IPC_OPEN_RECEIVE),
            ("request", IPC_OPEN_SEND),
            ("requestss", IPC_OPEN_SEND),
            ("", IPC_OPEN_SEND),
        ];
        for (name, flags) in none {
            assert_eq!(error_of(main.open(name, flags)), (Error::NoEntry, 1));
        }
        for flags in [0, 1, IPC_OPEN_SEND | IPC_OPEN_RECEIVE, u32::MAX] {
            assert_eq!(error_of(main.open("requests", flags)), (Error::Invalid, 3));
        }
        let channel = main.open("requests", IPC_OPEN_SEND).unwrap();
        assert_eq!(
            error_of(main.open("requests", IPC_OPEN_SEND)),
            (Error::Busy, 1)
        );
        let wrong = main.recv(channel, 1, 0).await;
        assert_eq!(error_of(wrong), (Error::Permission, 1));
        main.task.ipc_close(channel).unwrap();
        assert_eq!(
            error_of(main.open("requests", IPC_OPEN_SEND)),
            (Error::Busy, 1)
        );
        assert_eq!(requests.recv().await.err(), Some(Error::Closed));
    });
}

#[test]
fn a_task_without_the_capability_opens_nothing() {
    with_task(async |host, main| {
        let _requests = host.program.channel_from("x", 1).unwrap();
        main.task.cap_exit();
        assert_eq!(
            error_of(main.open("x", IPC_OPEN_SEND)),
            (Error::Permission, 0)
        );
    });
}

#[test]
fn an_end_that_finds_no_room_among_the_handles_can_be_opened_later() {
    with_task(async |host, main| {
        let requests = host.program.channel_from("x", 1).unwrap();
        host.memory.be_short(true);
        assert_eq!(
            error_of(main.open("x", IPC_OPEN_SEND)),
            (Error::NoMemory, 0)
        );
        host.memory.be_short(false);
        let channel = main.open("x", IPC_OPEN_SEND).unwrap();
        main.send(channel, b"here", 0).await.unwrap();
        assert_eq!(*requests.recv().await.unwrap(), *b"here");
    });
}

#[cfg_attr(miri, ignore = "compares many names")]
#[test]
fn names_and_capacities_have_their_limits() {
    let host = Host::new();
    let from = |name: &str, capacity| host.program.channel_from(name, capacity).err();
    let long = "x".repeat(256);
    assert_eq!(from("", 1), Some(Error::Invalid));
    assert_eq!(from(&long, 1), Some(Error::Invalid));
    assert_eq!(from(&long[1..], 0), Some(Error::Invalid));
    assert_eq!(from(&long[1..], MAX_CAPACITY + 1), Some(Error::Invalid));
    assert_eq!(from(&long[1..], MAX_CAPACITY), None);
    assert_eq!(from(&long[1..], 1), Some(Error::Busy));
    assert!(host.program.channel_to(&long[1..], 1).is_ok());
    for number in 2..256 {
        assert_eq!(from(&std::format!("{number}"), 1), None);
    }
    assert_eq!(from("one more", 1), Some(Error::NoMemory));
}

#[test]
fn rust_is_sent_no_handles() {
    with_task(async |host, main| {
        let requests = host.program.channel_from("x", 2).unwrap();
        let channel = main.open("x", IPC_OPEN_SEND).unwrap();
        let own = main.task.ipc_channel_create(0).unwrap();
        let refused = main.send_with(channel, &[own]).await;
        assert_eq!(error_of(refused), (Error::Unsupported, 4));
        main.send(own, b"still there", 0).await.unwrap();
        assert_eq!(requests.try_recv().err(), Some(Error::WouldBlock));
        let stale = main.send_with(channel, &[Handle::NONE]).await;
        assert_eq!(error_of(stale), (Error::Invalid, 4));
        main.send_with(channel, &[]).await.unwrap();
        assert_eq!(*requests.recv().await.unwrap(), *b"x");
    });
}

#[test]
fn an_end_of_rusts_channel_travels_like_any_other() {
    with_task(async |host, main| {
        let answers = host.program.channel_to("x", 2).unwrap();
        answers.send(b"through").await.unwrap();
        let end = main.open("x", IPC_OPEN_RECEIVE).unwrap();
        let channel = main.task.ipc_channel_create(0).unwrap();
        main.send_with(channel, &[end]).await.unwrap();
        main.task.ipc_close(channel).unwrap();
        assert_eq!(answers.try_send(b""), Err(Error::Closed), "closed with it");
    });
}

#[test]
fn ends_of_rusts_tell_what_they_are_ready_for() {
    with_task(async |host, main| {
        let requests = host.program.channel_from("x", 1).unwrap();
        let answers = host.program.channel_to("x", 1).unwrap();
        let sender = main.open("x", IPC_OPEN_SEND).unwrap();
        let receiver = main.open("x", IPC_OPEN_RECEIVE).unwrap();
        assert_eq!(readiness(&requests), Readiness::EMPTY);
        assert_eq!(readiness(&answers), Readiness::WRITABLE);
        main.send(sender, b"", 0).await.unwrap();
        answers.try_send(b"").unwrap();
        assert_eq!(readiness(&requests), Readiness::READABLE);
        assert_eq!(readiness(&answers), Readiness::EMPTY);
        main.task.ipc_close(sender).unwrap();
        main.task.ipc_close(receiver).unwrap();
        assert_eq!(
            readiness(&requests),
            Readiness::READABLE | Readiness::HANGUP
        );
        assert_eq!(readiness(&answers), Readiness::WRITABLE | Readiness::HANGUP);
    });
}

#[test]
fn a_send_that_is_dropped_has_sent_nothing() {
    with_task(async |host, main| {
        let answers = host.program.channel_to("x", 1).unwrap();
        let channel = main.open("x", IPC_OPEN_RECEIVE).unwrap();
        answers.try_send(b"1").unwrap();
        {
            let mut dropped = pin!(answers.send(b"never"));
            let mut next = pin!(answers.send(b"2"));
            assert!(poll_once(dropped.as_mut()).is_pending());
            assert!(poll_once(next.as_mut()).is_pending());
            assert_eq!(main.recv(channel, 9, IPC_NONBLOCK).await, Ok(b"1".to_vec()));
            // The first has a place now and does not know; others find none.
            assert_eq!(answers.try_send(b"x"), Err(Error::WouldBlock));
            assert_eq!(readiness(&answers), Readiness::EMPTY);
            assert!(poll_once(next.as_mut()).is_pending());
            dropped.set(answers.send(b"never, too"));
            assert!(poll_once(next.as_mut()).is_ready());
        }
        assert_eq!(main.recv(channel, 9, IPC_NONBLOCK).await, Ok(b"2".to_vec()));
        let empty = main.recv(channel, 9, IPC_NONBLOCK).await;
        assert_eq!(error_of(empty), (Error::WouldBlock, 0));
        answers.try_send(b"there is room").unwrap();
    });
}

#[test]
fn a_place_that_is_kept_is_filled_past_a_receiver_that_waits() {
    with_task(async |host, main| {
        let answers = host.program.channel_to("x", 1).unwrap();
        let channel = main.open("x", IPC_OPEN_RECEIVE).unwrap();
        answers.try_send(b"1").unwrap();
        let (mut second, mut third) = (pin!(answers.send(b"2")), pin!(answers.send(b"3")));
        assert!(poll_once(second.as_mut()).is_pending());
        assert!(poll_once(third.as_mut()).is_pending());
        assert_eq!(main.recv(channel, 1, IPC_NONBLOCK).await, Ok(b"1".to_vec()));
        let waits = start(host, async move |caller| {
            assert_eq!(caller.recv(channel, 1, 0).await, Ok(b"2".to_vec()));
            assert_eq!(caller.recv(channel, 1, 0).await, Ok(b"3".to_vec()));
            Ok(())
        });
        let waits = waits.await;
        // The receiver has it at once, so there is room for the third.
        assert_eq!(poll_once(second.as_mut()), Poll::Ready(Ok(())));
        assert_eq!(poll_once(third.as_mut()), Poll::Ready(Ok(())));
        main.task.task_yield().await.unwrap();
        assert_eq!(waits.status(), Some(0));
        answers.try_send(b"4").unwrap();
        assert_eq!(answers.try_send(b"5"), Err(Error::WouldBlock));
    });
}

#[test]
fn a_receive_that_is_dropped_loses_nothing() {
    with_task(async |host, main| {
        let requests = host.program.channel_from("x", 1).unwrap();
        let channel = main.open("x", IPC_OPEN_SEND).unwrap();
        for len in [3, 100] {
            let mut dropped = pin!(requests.recv());
            let mut next = pin!(requests.recv());
            assert!(poll_once(dropped.as_mut()).is_pending());
            main.send(channel, &std::vec![5; len], 0).await.unwrap();
            // It is the first one's, which nobody takes from it.
            assert_eq!(requests.try_recv().err(), Some(Error::WouldBlock));
            assert_eq!(readiness(&requests), Readiness::EMPTY);
            let full = main.send(channel, b"x", IPC_NONBLOCK).await;
            assert_eq!(error_of(full), (Error::WouldBlock, 0));
            if len == 100 {
                assert!(poll_once(next.as_mut()).is_pending());
            }
            dropped.set(requests.recv()); // and it does not know
            let received = match len {
                100 => poll_once(next.as_mut()),
                _ => Poll::Ready(requests.try_recv()),
            };
            let Poll::Ready(Ok(message)) = received else {
                panic!("lost");
            };
            assert_eq!(message.into_vec(), std::vec![5; len]);
        }
    });
}

// --- the property --------------------------------------------------------------------------------

/// What a side does next; numbers choose who is dropped and how often others have their turn.
#[derive(Clone, Copy, Debug)]
enum Step {
    Send(usize),
    /// Gives up when others have had so many turns.
    SendOrDrop(usize, u8),
    Receive,
    ReceiveOrDrop(u8),
    Yield,
}

fn step() -> impl Strategy<Value = Step> {
    let len = prop_oneof![8usize..12, 38usize..44];
    prop_oneof![
        2 => len.clone().prop_map(Step::Send),
        2 => (len, 0u8..4).prop_map(|(len, turns)| Step::SendOrDrop(len, turns)),
        2 => Just(Step::Receive),
        2 => (0u8..4).prop_map(Step::ReceiveOrDrop),
        1 => Just(Step::Yield),
    ]
}

async fn turns(count: u8) {
    for _ in 0..count {
        yield_now().await;
    }
}

/// What has happened, by message numbers.
#[derive(Default)]
struct Log {
    last: Cell<u64>,
    sent: RefCell<Vec<u64>>,
    received: RefCell<Vec<u64>>,
}

impl Log {
    fn message(&self, len: usize) -> (u64, Vec<u8>) {
        let number = self.last.get() + 1;
        self.last.set(number);
        let mut bytes = std::vec![number as u8; len];
        bytes[..8].copy_from_slice(&number.to_ne_bytes());
        (number, bytes)
    }

    fn got(&self, bytes: &[u8]) {
        let (number, rest) = bytes.split_first_chunk().unwrap();
        assert!(rest.iter().all(|byte| *byte == number[0]), "garbled");
        self.received.borrow_mut().push(u64::from_ne_bytes(*number));
    }
}

/// Rust's part: sends, of which some are dropped.
async fn send_steps(sender: Sender, steps: Vec<Step>, log: Rc<Log>) {
    for step in steps {
        match step {
            Step::Send(len) => {
                let (number, bytes) = log.message(len);
                if sender.send(&bytes).await.is_ok() {
                    log.sent.borrow_mut().push(number);
                }
            }
            Step::SendOrDrop(len, count) => {
                let (number, bytes) = log.message(len);
                let (send, patience) = (pin!(sender.send(&bytes)), pin!(turns(count)));
                let sent = select(patience, send).await; // patience first: it may be over when the send is, too
                if let Either::Right((Ok(()), _)) = sent {
                    log.sent.borrow_mut().push(number);
                }
            }
            _ => yield_now().await,
        }
    }
}

/// The program's part: what it is given it sends on, and ends when there is no more.
async fn relay(caller: Caller, flags: u32) -> Outcome {
    let receiver = caller.open("in", IPC_OPEN_RECEIVE)?;
    let sender = caller.open("out", IPC_OPEN_SEND)?;
    loop {
        match caller.recv(receiver, 64, flags).await {
            Ok(bytes) => caller.send(sender, &bytes, 0).await?,
            Err(Failure {
                error: Error::WouldBlock,
                ..
            }) => caller.task.task_yield().await?,
            Err(_) => return Ok(()),
        }
    }
}

/// Rust's other part: receives, of which some are dropped; and then the rest.
async fn receive_steps(receiver: &Receiver, steps: &[Step], log: &Log) {
    for step in steps {
        match step {
            Step::Receive => match receiver.recv().await {
                Ok(message) => log.got(&message),
                Err(_) => break,
            },
            Step::ReceiveOrDrop(count) => {
                let (receive, patience) = (pin!(receiver.recv()), pin!(turns(*count)));
                let received = select(patience, receive).await;
                if let Either::Right((Ok(message), _)) = received {
                    log.got(&message);
                }
            }
            _ => yield_now().await,
        }
    }
    while let Ok(message) = receiver.recv().await {
        log.got(&message);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 512 }))]
    #[test]
    fn exactly_what_was_sent_comes_back(
        capacities in (1usize..3, 1usize..3),
        nonblocking in any::<bool>(),
        sends in prop::collection::vec(prop::collection::vec(step(), 0..20), 1..4),
        receives in prop::collection::vec(step(), 0..40),
    ) {
        let log = Rc::new(Log::default());
        with_task(async |host, _| {
            let sender = host.program.channel_to("in", capacities.0).unwrap();
            let receiver = host.program.channel_from("out", capacities.1).unwrap();
            for steps in sends {
                let (sender, log) = (sender.clone(), Rc::clone(&log));
                host.reactor.spawner().spawn(send_steps(sender, steps, log)).detach();
            }
            drop(sender);
            let flags = if nonblocking { IPC_NONBLOCK } else { 0 };
            let relay = start(host, async move |caller| relay(caller, flags).await).await;
            receive_steps(&receiver, &receives, &log).await;
            yield_now().await;
            assert_eq!(relay.status(), Some(0));
        });
        let (mut sent, mut received) = (log.sent.take(), log.received.take());
        sent.sort_unstable();
        received.sort_unstable();
        prop_assert_eq!(sent, received);
    }
}
