//! A program's life: its machine, its first task, its end.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::ffi::{c_char, c_int};
use core::fmt;
use core::future::poll_fn;
use core::ptr;
use core::sync::atomic::{AtomicU8, Ordering};
use core::task::Poll;
use core::time::Duration;

use abi::capability::Kinds;
use abi::number::TASK_CANCELLED;
use calls::backend::Start;
use calls::coroutines::Coroutines;
use calls::{Error, Receiver, Sender, Task};
use reactor::readiness::{Interest, Pollable};

use super::console::SerialPort;
use super::door;
use super::ground::Machine;
use super::machine::{Hands, machine};
use super::space::Guest;
use crate::command_line;
use crate::{Context, ExitCode};

/// A program's `main`, as C has it.
pub type Main = extern "C" fn(argc: c_int, argv: *const *const c_char) -> c_int;

/// The number of the task that runs `main`.
pub(super) const FIRST_TASK: u64 = 1;
/// Bytes of its stack: what people expect of `main` is more than of a thread.
const FIRST_STACK: usize = 256 << 10;
/// What `main` is told it is called.
const NAME: &str = "program";
/// How long the other tasks may take to end when the first has ended. They end in their next wait, so this is for those
/// that never wait.
const PATIENCE: Duration = Duration::from_secs(1);

/// Runs a program that has no channel to the workload: short for [`Program::run`].
pub async fn run(context: Context, main: Main) -> ExitCode {
    Program::new(&context).run(main).await
}

/// A program that is about to run, and the channels between it and the workload. One at a time.
///
/// ```ignore
/// #[ukernel::main]
/// async fn run(context: Context) -> Result<ExitCode, Error> {
///     let program = Program::new(&context);
///     let requests = program.channel_from("requests", 16)?;
///     let answers = program.channel_to("answers", 16)?;
///     context.spawn(async move {
///         while let Ok(request) = requests.recv().await {
///             answers.send(&request).await?;
///         }
///         Ok::<(), Error>(())
///     });
///     Ok(program.run(main).await)
/// }
/// ```
pub struct Program {
    context: Context,
    program: Rc<calls::Program>,
}

impl Program {
    /// A program that may have what the context's policy allows.
    pub fn new(context: &Context) -> Program {
        door::open();
        let hands = Hands {
            console: Rc::new(SerialPort),
            space: Rc::new(Guest),
            runner: Rc::new(Coroutines::new(Machine::default())),
        };
        Program {
            context: context.clone(),
            program: calls::Program::new(machine(context, hands)),
        }
    }

    /// A channel from the program, which opens the other end by its name (`ipc_open` with `IPC_OPEN_SEND`), once. It
    /// holds so many messages, 1 to 4,096.
    ///
    /// # Errors
    /// As [`calls::Program::channel_from`].
    pub fn channel_from(&self, name: &str, capacity: usize) -> Result<Receiver, Error> {
        self.program.channel_from(name, capacity)
    }

    /// A channel to the program, which opens the other end by its name (`ipc_open` with `IPC_OPEN_RECEIVE`), once.
    ///
    /// # Errors
    /// As [`Program::channel_from`].
    pub fn channel_to(&self, name: &str, capacity: usize) -> Result<Sender, Error> {
        self.program.channel_to(name, capacity)
    }

    /// Runs it until `main` returns or calls `task_exit`; answers the lowest eight bits of its status, or failure where
    /// another task has cancelled it. Its other tasks are cancelled then, and its ends of channels are closed. `main` is
    /// given the words behind ` -- ` on the kernel's command line as arguments.
    ///
    /// Dropping it ends the program: its tasks are dropped in the reactor's next turn, in whatever call they wait.
    pub async fn run(self, main: Main) -> ExitCode {
        let Program { context, program } = self;
        let arguments = Arguments::of(&context, main);
        let start = Start {
            entry: first as *const () as u64,
            argument: ptr::from_ref(arguments) as u64,
            stack: FIRST_STACK,
        };
        let _program = Running(&program);
        let policy = program.machine().policy;
        let task = match program.start(start, policy, Kinds::EMPTY) {
            Ok(task) => task,
            Err(error) => {
                log::error!("program: does not start error=\"{error}\"");
                return ExitCode::FAILURE;
            }
        };
        let status = ended(&task).await;
        end_others(&program, &context).await;
        say_end(status, &context);
        match status {
            // Its lowest bits would say nothing.
            TASK_CANCELLED => ExitCode::FAILURE,
            status => ExitCode::from(status as u8),
        }
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.program.fmt(f)
    }
}

/// A program that has begun. When this goes, nothing of it runs any more; it has ended by then, unless nobody waited for
/// that.
struct Running<'a>(&'a calls::Program);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.abandon();
        self.0.withdraw_channels();
    }
}

/// Tells how the program went, and what the reactor did meanwhile: one that waits properly has few polls.
fn say_end(status: i32, context: &Context) {
    let reactor = context.spawner().stats();
    log::debug!(
        "program: ended status={status} polls={} parks={} turns={}",
        reactor.polls,
        reactor.parks,
        reactor.turns
    );
}

/// Ends the tasks that the first one left.
async fn end_others(program: &calls::Program, context: &Context) {
    program.cancel();
    let ended = context.clock().timeout(PATIENCE, program.ended()).await;
    if ended.is_err() {
        log::warn!("program: tasks do not end count={}", program.task_count());
    }
}

/// Bytes of the arguments' texts, each with its end mark: as many as a bundle can have, which is more than a command line
/// does, and the program's name.
const TEXTS: usize = ::bundle::MAX_ARGUMENT_BYTES + 64;
const _: () = assert!(TEXTS >= command_line::MAX_LENGTH + 64);
/// The texts. Part of the image, which is the program's to name and, as C has it, to write; the heap is not.
static ARGUMENTS: [AtomicU8; TEXTS] = [const { AtomicU8::new(0) }; TEXTS];

/// What `main` is called with. Lives as long as the machine: C programs keep pointers into their arguments.
struct Arguments {
    main: Main,
    count: c_int,
    texts: *const *const c_char,
}

impl Arguments {
    fn of(context: &Context, main: Main) -> &'static Arguments {
        let words = core::iter::once(&NAME).chain(context.args());
        let mut room = &ARGUMENTS[..];
        let mut texts: Vec<*const c_char> = words.map_while(|word| keep(&mut room, word)).collect();
        let count = texts.len() as c_int;
        texts.push(ptr::null());
        Box::leak(Box::new(Arguments {
            main,
            count,
            texts: texts.leak().as_ptr(),
        }))
    }
}

/// Copies a text to the front of `room`, which has zeros, and leaves one behind it. `None`: there is no room.
fn keep(room: &mut &'static [AtomicU8], text: &str) -> Option<*const c_char> {
    let (mine, rest) = room.split_at_checked(text.len() + 1)?;
    for (place, byte) in mine.iter().zip(text.bytes()) {
        place.store(byte, Ordering::Relaxed);
    }
    *room = rest;
    Some(mine.as_ptr().cast())
}

/// Where the first task begins.
extern "C" fn first(arguments: &Arguments) -> c_int {
    (arguments.main)(arguments.count, arguments.texts)
}

/// Waits for a task's end.
async fn ended(task: &Task) -> i32 {
    poll_fn(|cx| match task.status() {
        Some(status) => Poll::Ready(status),
        None => {
            task.poll_readiness(Interest::READABLE, cx);
            Poll::Pending
        }
    })
    .await
}
