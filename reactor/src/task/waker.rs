//! A waker is one counted reference to a task.
//!
//! Owns the four functions behind `core::task::Waker`. A wake of a task from the reactor's own
//! context touches no lock and no atomic but (when the waker is consumed) the reference count.
#![allow(
    unsafe_code,
    reason = "RawWaker is the only way to make a waker without an allocation"
)]

use core::mem::ManuallyDrop;
use core::ptr::NonNull;
use core::task::{RawWaker, RawWakerVTable, Waker};

use crate::task::header::{Header, TaskRef};

static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_waker);

/// A static of its own, so that its address tells it from every other.
static NOBODYS: RawWakerVTable = RawWakerVTable::new(|_| nobody(), |_| {}, |_| {}, |_| {});

/// Wakes nobody.
// SAFETY: its functions do nothing with the data, and a clone is the same again.
pub(crate) static NOBODY: Waker = unsafe { Waker::from_raw(nobody()) };

const fn nobody() -> RawWaker {
    RawWaker::new(core::ptr::null(), &NOBODYS)
}

/// A waker of the task that does not count as a reference: valid while the caller's own one is.
///
/// # Safety
///
/// The task outlives the returned waker. (Clones of the waker are counted, and independent.)
pub(crate) unsafe fn borrowed(header: NonNull<Header>) -> ManuallyDrop<Waker> {
    let raw = RawWaker::new(header.as_ptr().cast_const().cast(), &VTABLE);
    // SAFETY: the functions below keep `RawWakerVTable`'s contract; `TaskRef` makes them
    // thread-safe.
    ManuallyDrop::new(unsafe { Waker::from_raw(raw) })
}

/// The task behind a waker's data pointer, without taking over the reference that the waker counts
/// as.
///
/// # Safety
///
/// `data` is the data pointer of a live waker made here.
unsafe fn task(data: *const ()) -> ManuallyDrop<TaskRef> {
    // SAFETY: made from a `NonNull` in `borrowed`.
    let header = unsafe { NonNull::new_unchecked(data.cast_mut().cast()) };
    // SAFETY: the waker is a counted reference; `ManuallyDrop` leaves it in place.
    ManuallyDrop::new(unsafe { TaskRef::from_counted(header) })
}

unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: called by `Waker` with its data pointer.
    let copy = TaskRef::clone(&*unsafe { task(data) });
    RawWaker::new(copy.into_counted().as_ptr().cast_const().cast(), &VTABLE)
}

unsafe fn wake(data: *const ()) {
    // SAFETY: called by `Waker` with its data pointer, and the reference is ours to end.
    ManuallyDrop::into_inner(unsafe { task(data) }).wake();
}

unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: called by `Waker` with its data pointer.
    unsafe { task(data) }.wake();
}

unsafe fn drop_waker(data: *const ()) {
    // SAFETY: called by `Waker` with its data pointer, and the reference is ours to end.
    drop(ManuallyDrop::into_inner(unsafe { task(data) }));
}
