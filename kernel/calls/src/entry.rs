//! The functions that a program links to: numbers in, numbers out. In the submodules, by prefix.
//!
//! Each finds the task that calls, checks its capability, turns addresses into checked memory, and calls the
//! method of [`Task`] with the same name. What waits is handed to the [`Door`]. Nothing of Rust may unwind out of here.
#![allow(
    unsafe_code,
    reason = "says whose contract a program's pointers are under"
)]

pub mod io;
pub mod ipc;
pub mod memory;
pub mod net;
pub mod poll;
pub mod program;
pub mod tasks;
pub mod trace;

use alloc::rc::Rc;
use core::future::Future;
use core::pin::{Pin, pin};
use core::task::{Context, Poll};

use abi::capability::Kind;
use abi::handle::Handle;
use abi::number::TASK_CANCELLED;
use abi::{Error, OK};
use conquer_once::spin::OnceCell;
use reactor::task::yield_now;

use crate::failure::{Failure, Outcome};
use crate::task::Task;
use crate::tasks::MAX_CAPABILITIES;
use crate::user::{Alleged, Place, Plain, Room, UserIn, UserList, UserOut};

/// How calls find their task, and how its stack sleeps.
pub trait Door: Sync {
    /// The task whose stack this is, which is in the kernel from now on; `None` on any other stack.
    fn enter(&self) -> Option<Rc<Task>>;
    /// What a call answers on a stack that is no task's.
    fn refusal(&self) -> Error {
        Error::Invalid
    }
    /// The task goes back to its own code.
    fn leave(&self);
    /// Polls a future until it is ready, putting the task to sleep while it is not. `false`: the task was cancelled
    /// first, and the future is to be dropped.
    fn wait(&self, task: &Task, future: Pin<&mut dyn Future<Output = ()>>) -> bool;
    /// Ends the task at once. Nothing on its stack is dropped, so nothing may need to be.
    fn exit(&self, status: i32) -> !;
}

static DOOR: OnceCell<&'static dyn Door> = OnceCell::uninit();

/// Says how calls find their task; once, before the first of them.
pub fn install(door: &'static dyn Door) {
    DOOR.init_once(|| door);
}

fn door() -> Option<&'static dyn Door> {
    DOOR.try_get().ok().copied()
}

/// What a call answers on a stack that is no task's.
#[cold]
fn refused(door: &dyn Door) -> u32 {
    door.refusal().code()
}

/// A call that does not wait: finds the task, looks whether `kind` is active, and leaves what went wrong to `err_get_last`.
pub fn call(
    name: &'static str,
    kind: Option<Kind>,
    body: impl FnOnce(&Rc<Task>) -> Outcome,
) -> u32 {
    let Some(door) = door() else {
        return Error::Invalid.code();
    };
    let Some(task) = door.enter() else {
        return refused(door);
    };
    let body = || {
        kind.map_or(Ok(()), |kind| task.need(kind))
            .and_then(|()| body(&task))
    };
    let outcome = guarded(name, body, || Err(Error::Io.into()));
    let code = code_of(name, &task, outcome);
    drop(task);
    door.leave();
    code
}

/// What a call's body gives; what `panicked` gives, if it panics, which ends here.
#[cfg(feature = "host")]
fn guarded<R>(name: &str, body: impl FnOnce() -> R, panicked: impl FnOnce() -> R) -> R {
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
    result.unwrap_or_else(|_| {
        log::error!("call: panicked call={name}");
        panicked()
    })
}

/// What a call's body gives. A panic ends the machine.
#[cfg(not(feature = "host"))]
#[inline(always)] // around every call
fn guarded<R>(_: &str, body: impl FnOnce() -> R, _: impl FnOnce() -> R) -> R {
    body()
}

/// What a call that panicked comes to.
fn panicked() -> Option<Outcome> {
    Some(Err(Error::Io.into()))
}

/// A call that may wait: as [`call`], for what a future gives.
pub fn wait<F>(name: &'static str, kind: Option<Kind>, body: impl FnOnce(Rc<Task>) -> F) -> u32
where
    F: Future<Output = Outcome>,
{
    let Some(door) = door() else {
        return Error::Invalid.code();
    };
    let Some(task) = door.enter() else {
        return refused(door);
    };
    let body = || match kind.map_or(Ok(()), |kind| task.need(kind)) {
        Ok(()) => wait_for(door, &task, body(Rc::clone(&task))),
        Err(failure) => Some(Err(failure)),
    };
    let outcome = guarded(name, body, panicked);
    end_wait(door, name, task, outcome)
}

/// A call that may wait and seldom does: `body` makes it, and gives what is to be waited for, if there is something.
fn wait_if_needed<F>(
    name: &'static str,
    kind: Option<Kind>,
    body: impl FnOnce(&Rc<Task>) -> Outcome<Option<F>>,
) -> u32
where
    F: Future<Output = Outcome>,
{
    let Some(door) = door() else {
        return Error::Invalid.code();
    };
    let Some(task) = door.enter() else {
        return refused(door);
    };
    let body = || {
        let begun = kind
            .map_or(Ok(()), |kind| task.need(kind))
            .and_then(|()| body(&task));
        match begun {
            Ok(Some(future)) => wait_for(door, &task, future),
            Ok(None) => Some(Ok(())),
            Err(failure) => Some(Err(failure)),
        }
    };
    let outcome = guarded(name, body, panicked);
    end_wait(door, name, task, outcome)
}

/// Leaves a call that may have waited, with its code. No outcome: the task was cancelled in it.
#[inline(always)] // else those who call it are larger and slower
fn end_wait(door: &dyn Door, name: &'static str, task: Rc<Task>, outcome: Option<Outcome>) -> u32 {
    let Some(outcome) = outcome else {
        end_task(door, task);
    };
    let code = code_of(name, &task, outcome);
    if task.break_is_due() {
        let turn = guarded(name, || wait_for(door, &task, yield_now()), || Some(()));
        if turn.is_none() {
            end_task(door, task);
        }
    }
    drop(task);
    door.leave();
    code
}

#[cold]
fn end_task(door: &dyn Door, task: Rc<Task>) -> ! {
    drop(task); // nothing on the stack is dropped by what follows
    door.exit(TASK_CANCELLED)
}

/// The output of a future; `None`: the task was cancelled meanwhile.
fn wait_for<T>(door: &dyn Door, task: &Task, future: impl Future<Output = T>) -> Option<T> {
    let mut kept = Kept {
        future: pin!(future),
        output: None,
    };
    let future = Pin::new(&mut kept);
    door.wait(task, future);
    kept.output
}

/// A future where it lies, and its output. By hand, because an async block would move the future into itself.
struct Kept<'a, F: Future> {
    future: Pin<&'a mut F>,
    output: Option<F::Output>,
}

// Nothing of it is pinned: the future is elsewhere.
impl<F: Future> Unpin for Kept<'_, F> {}

impl<F: Future> Future for Kept<'_, F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.future.as_mut().poll(cx).map(|output| {
            self.output = Some(output);
        })
    }
}

fn code_of(name: &'static str, task: &Task, outcome: Outcome) -> u32 {
    match outcome {
        Ok(()) => OK,
        Err(failure) => {
            task.failed(name, failure);
            failure.error.code()
        }
    }
}

/// A range of the calling program.
fn alleged(argument: u32, address: u64, len: u64) -> Alleged {
    // SAFETY: these functions' contract with their callers, in the header: memory that is passed to a call
    // stays what it is until the call returns.
    unsafe { Alleged::new(argument, address, len) }
}

fn input(task: &Task, argument: u32, address: u64, len: u64) -> Outcome<UserIn> {
    alleged(argument, address, len).readable(task.space())
}

fn output(task: &Task, argument: u32, address: u64, len: u64) -> Outcome<UserOut> {
    alleged(argument, address, len).writable(task.space())
}

/// A place for one value of the calling program, which argument `argument` names.
///
/// # Errors
/// [`Error::Invalid`]: it is not the program's.
pub fn place<T: Plain>(task: &Task, argument: u32, address: u64) -> Outcome<Place<T>> {
    alleged(argument, address, 0).place(task.space())
}

fn optional<T: Plain>(task: &Task, argument: u32, address: u64) -> Outcome<Option<Place<T>>> {
    alleged(argument, address, 0).optional_place(task.space())
}

fn list<T: Plain>(task: &Task, argument: u32, address: u64, count: u32) -> Outcome<UserList<T>> {
    alleged(argument, address, 0).list(task.space(), count)
}

fn room<T: Plain>(task: &Task, argument: u32, address: u64, count: u32) -> Outcome<Room<T>> {
    alleged(argument, address, 0).room(task.space(), count)
}

fn handle(bits: u64) -> Handle {
    Handle::from_bits(bits)
}

/// Writes a value that the caller may not want.
fn put<T: Plain>(place: Option<Place<T>>, value: T) {
    if let Some(place) = place {
        place.put(value);
    }
}

fn capabilities(task: &Task, argument: u32, address: u64, count: u32) -> Outcome<UserList<u64>> {
    if count > MAX_CAPABILITIES {
        return Err(Failure::invalid(argument + 1, count.into()));
    }
    list(task, argument, address, count)
}
