//! All kernels of the process: who is in which, and what a fork does to them.
//!
//! Owns them. Called by the functions of [`host`](crate::host) from any thread, and by the door for a thread's own
//! kernel.
#![allow(
    unsafe_code,
    reason = "moves kernels between threads, one thread at a time"
)]

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use abi::Error;

use crate::coroutine::Running;
use crate::kernel::Kernel;
use crate::network::resolve;
use crate::{logger, space, thread, wake};

/// The most kernels of a process; each has two descriptors.
pub(crate) const MAX_KERNELS: usize = 4096;

/// A kernel where nobody is in it, or who is.
enum Place {
    /// Nobody.
    Free(Parked),
    /// Some thread.
    Entered,
}

struct Parked(Rc<Kernel>);

// SAFETY: a kernel's `Rc`s, tasks and cells are reached through the kernel only, and what leaves it (wakers, `Linux`)
// is made for other threads. It is parked when the last thread has left it, in `leave`, which gives away that
// thread's only `Rc`; the lock of `KERNELS` orders what that thread did before what the next one does.
unsafe impl Send for Parked {}

#[derive(Default)]
struct Kernels {
    last: usize,
    /// By number, each with how many forks the process had come from when it was made.
    places: Option<HashMap<usize, (u32, Place)>>,
}

static KERNELS: Mutex<Kernels> = Mutex::new(Kernels {
    last: 0,
    places: None,
});
/// How many forks this process is away from the one that loaded the library.
static FORKS: AtomicU32 = AtomicU32::new(0);

fn kernels() -> MutexGuard<'static, Kernels> {
    KERNELS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many forks this process is away from the one that loaded the library.
pub(crate) fn forks() -> u32 {
    FORKS.load(Ordering::Relaxed)
}

/// Makes a kernel.
///
/// # Errors
/// [`Error::NoMemory`]: there are [`MAX_KERNELS`], or no descriptors are left; [`Error::Unsupported`]: Linux is older than
/// 5.11.
pub(crate) fn create() -> Result<usize, Error> {
    let number = {
        let mut kernels = kernels();
        // With the lock, so that no child is forked in the middle of it.
        logger::install();
        let places = kernels.places.get_or_insert_default();
        if places.len() >= MAX_KERNELS {
            return Err(Error::NoMemory);
        }
        kernels.last += 1;
        kernels.last
    };
    let kernel = Kernel::new(number)?;
    let mut kernels = kernels();
    let places = kernels.places.get_or_insert_default();
    places.insert(number, (forks(), Place::Free(Parked(kernel))));
    Ok(number)
}

/// Enters a kernel: this thread is its outermost task from now on.
///
/// # Errors
/// [`Error::Invalid`]: there is none of that number; [`Error::Busy`]: a thread is in it; [`Error::NoMemory`]: this thread is in
/// too many; [`Error::Unsupported`]: it was made before a fork.
pub(crate) fn enter(number: usize) -> Result<(), Error> {
    if thread::depth() >= thread::MAX_DEPTH {
        return Err(Error::NoMemory);
    }
    let mut kernels = kernels();
    let (made_in, place) = kernels.find(number)?;
    if *made_in != forks() {
        return Err(refuse_after_fork(number));
    }
    match std::mem::replace(place, Place::Entered) {
        Place::Free(Parked(kernel)) => {
            thread::push(kernel);
            Ok(())
        }
        Place::Entered => Err(Error::Busy),
    }
}

/// Leaves the kernel that was entered last.
///
/// # Errors
/// [`Error::Invalid`]: this thread is in none; [`Error::Busy`]: it is on the stack of one of that kernel's tasks.
pub(crate) fn leave() -> Result<(), Error> {
    if Running::current().is_some() {
        return Err(Error::Busy);
    }
    let kernel = thread::pop().ok_or(Error::Invalid)?;
    let number = kernel.number();
    let mut kernels = kernels();
    if let Ok((_, place)) = kernels.find(number) {
        *place = Place::Free(Parked(kernel));
    }
    Ok(())
}

/// Ends a kernel: its tasks, its handles, its descriptors.
///
/// # Errors
/// [`Error::Invalid`]: there is none of that number; [`Error::Busy`]: a thread is in it.
pub(crate) fn destroy(number: usize) -> Result<(), Error> {
    let mut kernels = kernels();
    let (made_in, place) = kernels.find(number)?;
    let is_inherited = *made_in != forks();
    if !is_inherited && matches!(place, Place::Entered) {
        return Err(Error::Busy);
    }
    let removed = kernels
        .places
        .as_mut()
        .and_then(|places| places.remove(&number));
    drop(kernels);
    match removed {
        Some((_, Place::Free(Parked(kernel)))) if is_inherited => kernel.abandon(),
        Some((_, Place::Free(Parked(kernel)))) => {
            thread::push(Rc::clone(&kernel));
            kernel.end();
            thread::pop();
            // Its reactor ends in its own context too.
            thread::with_context(number, move || drop(kernel));
        }
        // Entered by a thread that this process does not have; or by this one, whose stack it is still on.
        _ => {}
    }
    Ok(())
}

impl Kernels {
    fn find(&mut self, number: usize) -> Result<&mut (u32, Place), Error> {
        let places = self.places.as_mut();
        let place = places.and_then(|places| places.get_mut(&number));
        place.ok_or(Error::Invalid)
    }
}

/// Says that a kernel of the parent is refused; what it answers.
pub(crate) fn refuse_after_fork(number: usize) -> Error {
    log::error!("kernel: made before a fork, and of no use after it kernel={number}");
    Error::Unsupported
}

// --- a thread's own kernel
// -----------------------------------------------------------------------------------------------

/// The kernel that a thread has got without asking for one.
struct Own(usize);

impl Drop for Own {
    fn drop(&mut self) {
        // Others that the thread is still in stay as they are: the program forgot to leave them.
        while thread::context() != 0 && leave().is_ok() {}
        let _ = destroy(self.0); // or the program has done so
    }
}

thread_local! {
    static OWN: RefCell<Option<Own>> = const { RefCell::new(None) };
}

/// Gives the thread a kernel of its own, which ends with it, and enters it.
///
/// # Errors
/// As [`create`].
pub(crate) fn enter_own() -> Result<(), Error> {
    let number = create()?;
    enter(number)?;
    let kept = OWN.try_with(|own| own.replace(Some(Own(number))));
    // A thread that is ending keeps nothing any more.
    kept.map(drop).map_err(|_| Error::Invalid)
}

// --- forks
// ---------------------------------------------------------------------------------------------------------------

/// The locks of the process, all of them at once.
struct Locks {
    _kernels: MutexGuard<'static, Kernels>,
    _wakes: wake::Lock,
    _code: space::Lock,
    _questions: resolve::Lock,
}

thread_local! {
    /// The locks while this thread forks, so that the child inherits none that another thread has.
    static FORKING: RefCell<Option<Locks>> = const { RefCell::new(None) };
}

extern "C" fn before_fork() {
    // Whoever has one of them takes no other.
    let locks = Locks {
        _kernels: kernels(),
        _wakes: wake::lock(),
        _code: space::lock(),
        _questions: resolve::lock(),
    };
    let _ = FORKING.try_with(|forking| forking.replace(Some(locks)));
}

extern "C" fn after_fork_in_parent() {
    let _ = FORKING.try_with(RefCell::take);
}

extern "C" fn after_fork_in_child() {
    FORKS.fetch_add(1, Ordering::Relaxed);
    let _ = FORKING.try_with(RefCell::take);
}

/// From now on a child of this process knows that it is one. Once, when the library is loaded.
pub(crate) fn notice_forks() {
    // SAFETY: the three are functions of this library, which is never unloaded (`build.rs`); they use nothing but locks,
    // which they hold in between.
    let failed = unsafe {
        libc::pthread_atfork(
            Some(before_fork),
            Some(after_fork_in_parent),
            Some(after_fork_in_child),
        )
    };
    // For want of memory, before the program has begun: nobody could be told.
    debug_assert_eq!(failed, 0, "forks are not noticed");
}
