//! The kernel's calls as a library for processes of Linux: `libukernel_abi.so`, which has every function of
//! `kernel/include/ukernel_abi.h`.
//!
//! Handles, capabilities, channels and interest sets, tasks and timers are the kernel's own (the crates `calls` and
//! `reactor`); here is what they stand on: a [`Platform`](reactor::platform::Platform) over epoll, sockets and files
//! of Linux behind the traits of [`calls::backend`], stacks of the process. And what only makes sense in a process
//! ([`host`]): several kernels, descriptors that the program has opened itself, wakes from other threads and from
//! signal handlers.
//!
//! | to | look at |
//! | --- | --- |
//! | find how a wait becomes `epoll_wait` | `door`, `kernel`, `platform` |
//! | find how readiness becomes an event | `descriptors`, `descriptor` |
//! | add a setting | `settings` |
//!
//! No thread of its own waits for anything; names are resolved on short-lived ones (`resolve`). Everything but the
//! [`registry`] belongs to the kernel that a thread is in.

mod alias;
mod coroutine;
mod descriptor;
mod descriptors;
mod door;
mod environment;
mod fault;
mod files;
pub mod host;
mod kernel;
mod logger;
mod network;
mod platform;
mod registry;
mod settings;
mod space;
mod stop;
mod storage;
#[cfg(feature = "test-hooks")]
mod test_hooks;
mod thread;
mod wake;
