//! A task's allocation: the header and, behind it, the future that becomes its output.
//!
//! Owns allocation, the typed side of the header's vtable, and freeing. Called by `Spawner`
//! (allocate) and through the vtable. The future is polled, and dropped, only in the reactor's
//! context.
#![allow(
    unsafe_code,
    reason = "typed access behind the header's untyped pointer"
)]

use alloc::alloc::{Layout, alloc};
use alloc::boxed::Box;
use core::cell::UnsafeCell;
use core::future::Future;
use core::pin::Pin;
use core::ptr::NonNull;
use core::task::{Context, Poll};

use crate::task::JoinHandle;
use crate::task::header::{Header, TaskRef, Vtable};
use crate::task::local::LocalTask;

enum Stage<F: Future> {
    Future(F),
    Output(F::Output),
    Empty,
}

#[repr(C)] // the header first: a pointer to one is a pointer to the other
struct Task<F: Future> {
    header: Header,
    stage: UnsafeCell<Stage<F>>,
}

/// The typed operations on a task that runs an `F`.
struct Typed<F>(core::marker::PhantomData<F>);

impl<F: Future> Typed<F> {
    const VTABLE: Vtable = Vtable {
        poll: poll::<F>,
        clear: clear::<F>,
        take_output: take_output::<F>,
        free: free::<F>,
    };
}

/// Makes a task that will run `future`: the executor's token, which goes to `Core::start`, and the
/// join handle. `header` makes its header, given the vtable. Hands the future back if there is no
/// memory.
pub(crate) fn allocate<F: Future + 'static>(
    future: F,
    header: impl FnOnce(&'static Vtable) -> Header,
) -> Result<(LocalTask, JoinHandle<F::Output>), F> {
    // SAFETY: the future borrows nothing that could end.
    unsafe { allocate_unchecked(future, header) }
}

/// As [`allocate`], for futures that borrow.
///
/// # Safety
///
/// The future is gone (completed or cleared), and the output taken, before what they borrow ends.
pub(crate) unsafe fn allocate_unchecked<F: Future>(
    future: F,
    header: impl FnOnce(&'static Vtable) -> Header,
) -> Result<(LocalTask, JoinHandle<F::Output>), F> {
    // SAFETY: the layout has a size, since the header has one.
    let memory = unsafe { alloc(Layout::new::<Task<F>>()) }.cast::<Task<F>>();
    let Some(memory) = NonNull::new(memory) else {
        return Err(future);
    };
    let task = Task {
        header: header(&Typed::<F>::VTABLE),
        stage: UnsafeCell::new(Stage::Future(future)),
    };
    // SAFETY: fresh memory with the layout of a `Task<F>`.
    unsafe { memory.write(task) };
    // SAFETY: `Header::new` counted two references, one for each of these, and set `JOINABLE`. The
    // token is the first. The callers are in the reactor's context, where spawners stay.
    Ok(unsafe {
        let handle = JoinHandle::new(TaskRef::from_counted(memory.cast()));
        (LocalTask::from_token(memory.cast()), handle)
    })
}

/// # Safety
///
/// `header` heads a live `Task<F>`, and nobody else is at its stage: the caller is the executor
/// while the task is `RUNNING`, or is the owner of the output of a `COMPLETE` one.
unsafe fn stage<'a, F: Future>(header: NonNull<Header>) -> &'a mut Stage<F> {
    // SAFETY: the pointer has the whole task's provenance (`allocate` made it); exclusive by the
    // contract.
    unsafe { &mut *header.cast::<Task<F>>().as_ref().stage.get() }
}

/// # Safety
///
/// As `Vtable::poll` is used by `LocalTask::poll`: in the context, `RUNNING`.
unsafe fn poll<F: Future>(header: NonNull<Header>, cx: &mut Context<'_>) -> bool {
    // SAFETY: passed on to the caller.
    let stage = unsafe { stage::<F>(header) };
    let Stage::Future(future) = stage else {
        return false;
    };
    // SAFETY: the future stays where it is in the allocation until it is dropped in place.
    let Poll::Ready(output) = unsafe { Pin::new_unchecked(future) }.poll(cx) else {
        return false;
    };
    *stage = Stage::Output(output);
    true
}

/// # Safety
///
/// As for `stage`.
unsafe fn clear<F: Future>(header: NonNull<Header>) {
    // SAFETY: passed on to the caller.
    unsafe { *stage::<F>(header) = Stage::Empty };
}

/// # Safety
///
/// As for `stage`; `output` points to an `Option<F::Output>`.
unsafe fn take_output<F: Future>(header: NonNull<Header>, output: *mut ()) {
    // SAFETY: passed on to the caller.
    let stage = unsafe { stage::<F>(header) };
    if matches!(stage, Stage::Output(_))
        && let Stage::Output(value) = core::mem::replace(stage, Stage::Empty)
    {
        // SAFETY: the contract.
        unsafe { *output.cast::<Option<F::Output>>() = Some(value) };
    }
}

/// # Safety
///
/// The last reference to the task; its stage is `Empty`.
unsafe fn free<F: Future>(header: NonNull<Header>) {
    // SAFETY: allocated in `allocate` with the layout that a box of a `Task<F>` has.
    drop(unsafe { Box::from_raw(header.cast::<Task<F>>().as_ptr()) });
}
