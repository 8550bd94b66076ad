//! The request to stop, which `sys_shutdown` waits for: SIGTERM, from the moment that a program asks for it.
//!
//! A process that handles SIGTERM itself is not disturbed: then nobody tells the kernel.
#![allow(unsafe_code, reason = "handles a signal")]

use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::ptr;
use std::rc::Rc;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;

use crate::wake::{self, Wake, Wakes};

/// The most handles that wait for it in a process. One beyond hears of it only when it is asked for something else.
const MAX_WAITERS: usize = 256;

static ASKED: AtomicBool = AtomicBool::new(false);
/// The wakers of those who wait; 0: a free place.
static WAITERS: [AtomicU64; MAX_WAITERS] = [const { AtomicU64::new(0) }; MAX_WAITERS];

extern "C" fn on_terminate(_: libc::c_int) {
    ASKED.store(true, Ordering::Release);
    for waiter in &WAITERS {
        let waker = waiter.load(Ordering::Acquire);
        if waker != 0 {
            let _ = wake::signal(waker); // or it has just given up
        }
    }
}

/// Has SIGTERM noticed, if nobody else does.
fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: structures of numbers, for which zeros are good, filled in as sigaction(2) says; the handler uses
        // atomics, and what `wake_signal` may do in handlers.
        unsafe {
            let mut before = MaybeUninit::<libc::sigaction>::zeroed();
            libc::sigaction(libc::SIGTERM, ptr::null(), before.as_mut_ptr());
            if before.assume_init().sa_sigaction != libc::SIG_DFL {
                log::info!("kernel: the request to stop goes to the program's own handler");
                return;
            }
            let mut action: libc::sigaction = MaybeUninit::zeroed().assume_init();
            action.sa_sigaction = on_terminate as *const () as usize;
            action.sa_flags = libc::SA_RESTART;
            libc::sigaction(libc::SIGTERM, &action, ptr::null_mut());
        }
    });
}

/// Waits until the process is asked to stop.
pub(crate) async fn asked(wakes: Rc<Wakes>) {
    listen();
    let waiter = wakes.create().ok().map(Waiter::new);
    poll_fn(|cx| {
        if let Some(waiter) = &waiter {
            waiter.wake.poll_signalled(cx);
        }
        match ASKED.load(Ordering::Acquire) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
}

/// Somebody who is woken by the handler.
struct Waiter {
    wake: Rc<Wake>,
    place: Option<&'static AtomicU64>,
}

impl Waiter {
    fn new(wake: Rc<Wake>) -> Waiter {
        let number = wake.number();
        let take = |place: &&AtomicU64| {
            let taken = place.compare_exchange(0, number, Ordering::AcqRel, Ordering::Relaxed);
            taken.is_ok()
        };
        let place = WAITERS.iter().find(take);
        Waiter { wake, place }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            place.store(0, Ordering::Release);
        }
    }
}
