//! Handles that other threads and signal handlers make readable: `wake_create`, `wake_signal`.
//!
//! Owns the table of wakers, which is the process's and lock-free, and for each kernel the handles that belong to it.
//! A signal counts, raises a line of its kernel's platform and ends its sleep, as an interrupt handler of the guest
//! would.
#![allow(
    unsafe_code,
    reason = "keeps a platform behind a pointer that signal handlers may follow"
)]

use std::cell::RefCell;
use std::pin::Pin;
use std::ptr;
use std::rc::{Rc, Weak};
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Context;

use abi::Error;
use calls::backend::{File, Waiting};
use reactor::irq::IrqEvent;
use reactor::readiness::{Interest, Pollable, Readiness};
use reactor::sync::Wakers;

use crate::platform::{Linux, SIGNALLED};
use crate::registry;

/// The most wakers of a process. Beyond, making one gives [`Error::NoMemory`].
pub(crate) const MAX_WAKES: usize = 8192;

/// The lowest bit of a slot's state: there is a waker. Then, in 31 bits, how many are using it; then its generation.
const ALIVE: u64 = 1;
const USER: u64 = 2;
const GENERATION: u32 = 32;

/// A place for a waker.
struct Slot {
    state: AtomicU64,
    /// Signals that nobody has read.
    count: AtomicU64,
    /// From `Arc::into_raw`, while it is alive or used.
    platform: AtomicPtr<Linux>,
    /// How many forks away its process was. In a child the eventfd would be the parent's.
    made_in: AtomicU32,
}

static SLOTS: [Slot; MAX_WAKES] = [const {
    Slot {
        state: AtomicU64::new(1 << GENERATION),
        count: AtomicU64::new(0),
        platform: AtomicPtr::new(ptr::null_mut()),
        made_in: AtomicU32::new(0),
    }
}; MAX_WAKES];

/// Places that nobody uses.
static FREE: Mutex<Free> = Mutex::new(Free {
    untouched: 0,
    used_before: Vec::new(),
});

pub(crate) struct Free {
    untouched: usize,
    used_before: Vec<usize>,
}

/// What keeps others from making wakers.
pub(crate) type Lock = MutexGuard<'static, Free>;

/// Keeps others from making wakers.
pub(crate) fn lock() -> Lock {
    FREE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Signals a waker: its handle is readable until it is read. From any thread and any signal handler.
///
/// # Errors
/// [`Error::Invalid`]: there is none of that number any more; [`Error::Unsupported`]: it was made before a fork.
pub(crate) fn signal(waker: u64) -> Result<(), Error> {
    let slot = SLOTS.get(waker as u32 as usize).ok_or(Error::Invalid)?;
    let mut state = slot.state.load(Ordering::Acquire);
    loop {
        if state & ALIVE == 0 || state >> GENERATION != waker >> GENERATION {
            return Err(Error::Invalid);
        }
        let used = slot.state.compare_exchange_weak(
            state,
            state + USER,
            Ordering::AcqRel,
            Ordering::Acquire,
        );
        match used {
            Ok(_) => break,
            Err(now) => state = now,
        }
    }
    let is_ours = slot.made_in.load(Ordering::Relaxed) == registry::forks();
    if is_ours && slot.count.fetch_add(1, Ordering::AcqRel) == 0 {
        let platform = slot.platform.load(Ordering::Acquire);
        // SAFETY: `Slot::open` put it there before the slot was alive, and `Slot::close` takes it when nobody uses the
        // slot; this does.
        unsafe { &*platform }.interrupt(SIGNALLED);
    }
    slot.state.fetch_sub(USER, Ordering::Release);
    is_ours.then_some(()).ok_or(Error::Unsupported)
}

/// Takes a place for a waker of a kernel.
fn open(platform: &Arc<Linux>) -> Result<usize, Error> {
    let mut free = lock();
    let index = free.used_before.pop().or_else(|| {
        let index = free.untouched;
        free.untouched += 1;
        (index < MAX_WAKES).then_some(index)
    });
    let index = index.ok_or(Error::NoMemory)?;
    let slot = &SLOTS[index];
    slot.count.store(0, Ordering::Relaxed);
    slot.made_in.store(registry::forks(), Ordering::Relaxed);
    let platform = Arc::into_raw(Arc::clone(platform)).cast_mut();
    slot.platform.store(platform, Ordering::Relaxed);
    slot.state.fetch_or(ALIVE, Ordering::Release);
    Ok(index)
}

/// Gives it back, once no other thread is in the middle of using it.
fn close(index: usize) {
    let slot = &SLOTS[index];
    slot.state.fetch_and(!ALIVE, Ordering::AcqRel);
    let users = u64::from(u32::MAX) & !ALIVE;
    while slot.state.load(Ordering::Acquire) & users != 0 {
        std::thread::yield_now(); // it has a few instructions left
    }
    let platform = slot.platform.swap(ptr::null_mut(), Ordering::Relaxed);
    // SAFETY: from `Arc::into_raw` in `open`; nobody uses it, and nobody else gets it.
    drop(unsafe { Arc::from_raw(platform) });
    let before = slot.state.fetch_add(1 << GENERATION, Ordering::Release);
    // A slot whose generations are used up is not used again.
    if before >> GENERATION < u64::from(u32::MAX) {
        let mut free = lock();
        free.used_before.push(index);
    }
}

// --- a kernel's
// ------------------------------------------------------------------------------------------------------

/// The wakers of a kernel.
pub(crate) struct Wakes {
    platform: Arc<Linux>,
    all: RefCell<Vec<Weak<Wake>>>,
}

impl Wakes {
    /// None yet.
    pub(crate) fn new(platform: Arc<Linux>) -> Wakes {
        Wakes {
            platform,
            all: RefCell::default(),
        }
    }

    /// Makes one; it lives as long as what is returned.
    ///
    /// # Errors
    /// [`Error::NoMemory`]: there are [`MAX_WAKES`].
    pub(crate) fn create(&self) -> Result<Rc<Wake>, Error> {
        let wake = Rc::new(Wake {
            index: open(&self.platform)?,
            waiters: RefCell::default(),
        });
        let mut all = self.all.borrow_mut();
        if all.len() == all.capacity() {
            all.retain(|wake| wake.strong_count() > 0);
        }
        all.push(Rc::downgrade(&wake));
        Ok(wake)
    }

    fn tell(&self) {
        let all = self.all.borrow();
        for wake in all.iter().filter_map(Weak::upgrade) {
            if wake.is_signalled() {
                wake.waiters.borrow_mut().wake_all();
            }
        }
    }
}

/// Passes signals on to who waits, for ever.
pub(crate) async fn pass_on(wakes: Rc<Wakes>, signalled: IrqEvent) {
    loop {
        signalled.raised().await;
        wakes.tell();
    }
}

/// A waker, as its handle has it. Readable once it was signalled, until it is read.
pub(crate) struct Wake {
    index: usize,
    waiters: RefCell<Wakers>,
}

impl Wake {
    /// What [`signal`] takes.
    pub(crate) fn number(&self) -> u64 {
        let state = SLOTS[self.index].state.load(Ordering::Relaxed);
        state >> GENERATION << GENERATION | self.index as u64
    }

    fn is_signalled(&self) -> bool {
        SLOTS[self.index].count.load(Ordering::Acquire) > 0
    }

    /// How often it was signalled since this was asked last.
    fn take(&self) -> u64 {
        SLOTS[self.index].count.swap(0, Ordering::AcqRel)
    }

    /// Waits until it is signalled.
    pub(crate) fn poll_signalled(&self, cx: &mut Context<'_>) -> bool {
        if !self.is_signalled() {
            self.waiters.borrow_mut().register(cx.waker());
        }
        self.is_signalled()
    }
}

impl Drop for Wake {
    fn drop(&mut self) {
        close(self.index);
    }
}

/// What `wake_create` opens.
pub(crate) struct WakeFile(pub(crate) Rc<Wake>);

/// Bytes of a count.
const COUNT: usize = size_of::<u64>();

impl File for WakeFile {
    fn size(&self) -> Option<u64> {
        None
    }

    fn block(&self) -> u32 {
        1
    }

    fn access(&self) -> (bool, bool) {
        (true, false)
    }

    fn read(&self, _: u64, most: usize) -> Waiting<'_, Vec<u8>> {
        Box::pin(async move {
            if most < COUNT {
                return Err(Error::Invalid);
            }
            std::future::poll_fn(|cx| match self.0.poll_signalled(cx) {
                true => std::task::Poll::Ready(()),
                false => std::task::Poll::Pending,
            })
            .await;
            Ok(self.0.take().to_ne_bytes().to_vec())
        })
    }

    fn write(&self, _: u64, _: Vec<u8>) -> Waiting<'_, usize> {
        Box::pin(async { Err(Error::Permission) })
    }

    fn sync(&self) -> Pin<Box<dyn Future<Output = Result<(), Error>> + '_>> {
        Box::pin(async { Ok(()) })
    }
}

impl Pollable for WakeFile {
    fn poll_readiness(&self, _: Interest, cx: &mut Context<'_>) -> Readiness {
        match self.0.poll_signalled(cx) {
            true => Readiness::READABLE,
            false => Readiness::EMPTY,
        }
    }
}
