//! A workload in Rust that runs a program of the interface for C as one of its jobs, and gives it up while the program's
//! tasks are in the middle of all sorts of calls. `tests/vm/foreign.rs` boots it; a panic is a failure.
#![no_std]
#![no_main]

extern crate alloc;

mod program;

use core::future::poll_fn;
use core::pin::pin;
use core::task::Poll;
use core::time::Duration;

use program::PORT;
use ukernel::net::{BindAddress, ListenOptions, TcpListener};
use ukernel::task::yield_now;
use ukernel::{Context, ExitCode};

/// Programs after which one must have left nothing: the first ones also pay for what is made once, such as buffers that
/// the network has for frames to come.
const MAX_ROUNDS: usize = 100;
/// Bytes that each keeps: its arguments, which live as long as the machine.
const ARGUMENTS: u64 = 64;
/// Turns in which everything ends that is to.
const TURNS: usize = 10;

/// What a program must leave as it found it.
#[derive(Debug)]
struct Figures {
    tasks: usize,
    free_frames: u64,
    heap: u64,
}

impl Figures {
    fn of(ctx: &Context) -> Figures {
        Figures {
            tasks: ctx.spawner().stats().tasks_live,
            free_frames: ukernel::memory::frame_stats().free,
            heap: ctx.stats().memory.heap_used_bytes,
        }
    }
}

impl Figures {
    fn has_left_nothing(&self, before: &Figures) -> bool {
        self.tasks == before.tasks
            && self.free_frames == before.free_frames
            && self.heap <= before.heap + ARGUMENTS
    }
}

#[ukernel::main]
async fn main(ctx: Context) -> ExitCode {
    let mut before = Figures::of(&ctx);
    for round in 1..=MAX_ROUNDS {
        give_up_a_program(&ctx).await;
        let after = Figures::of(&ctx);
        if after.has_left_nothing(&before) {
            log::info!("embedding: nothing is left round={round} {after:?}");
            return ExitCode::SUCCESS;
        }
        before = after;
    }
    log::error!("embedding: each leaves something {before:?}");
    ExitCode::FAILURE
}

/// Runs the program until all of its tasks wait but one that has not begun, drops it, and sees that nothing of it is left.
async fn give_up_a_program(ctx: &Context) {
    program::reset();
    {
        let mut running = pin!(ukernel::foreign::run(ctx.clone(), program::main));
        poll_fn(|cx| {
            assert!(running.as_mut().poll(cx).is_pending(), "it ended by itself");
            if program::is_to_be_given_up() {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
        assert!(!has_free_port(ctx), "the program listens there");
    }
    let ticks = program::ticks();
    for _ in 0..TURNS {
        yield_now().await;
    }
    assert!(has_free_port(ctx), "its handles are closed");
    ctx.clock().sleep(Duration::from_millis(20)).await;
    assert_eq!(program::ticks(), ticks, "nobody runs any more");
    assert!(!program::has_begun_late(), "and nobody has begun");
}

fn has_free_port(ctx: &Context) -> bool {
    let network = ctx.network().expect("the test gives the machine one");
    let address = BindAddress::ipv4(PORT);
    TcpListener::bind(network, address, ListenOptions::default()).is_ok()
}
