//! Platforms for hosts: virtual time for tests, real time for wakes from other threads.
//!
//! Owns [`VirtualClock`] and [`ThreadPlatform`]. Uses std; not part of the kernel.

mod thread_platform;
mod virtual_clock;

pub use thread_platform::ThreadPlatform;
pub use virtual_clock::VirtualClock;

/// The identity of the running thread, as [`Platform::context`](crate::platform::Platform::context)
/// wants it.
fn thread_context() -> usize {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static NEXT: AtomicUsize = AtomicUsize::new(1);
    std::thread_local! {
        // A number that is never given to another thread, unlike the address of a thread-local.
        static CONTEXT: usize = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    CONTEXT.with(|context| *context)
}
