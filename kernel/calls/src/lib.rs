//! The kernel's calls for programs in C, and for whatever can call C: every call once, in safe Rust.
//!
//! A [`Program`] is what all tasks of one foreign program share: its handles, its policy, its memory,
//! and the [`Machine`] under it. A [`Task`] is one of them, and the calls are its methods: what does
//! not wait is a function, what waits is a future. Two things differ between the kernel's guest and a
//! Linux process, and are traits here: how a stack is put to sleep while such a future is pending
//! ([`entry::Door`]), and what lies behind sockets and files ([`backend`]).
//!
//! | to | look at |
//! | --- | --- |
//! | find a call | the module of its prefix: [`task`], `time`, `memory`, `files`, `poll`, `interest`, `channel`, `sockets`, `trace` |
//! | what a C program links to | [`entry`] |
//! | handles and their generations | [`table`] |
//! | authority | [`capability`], and `policy` of the kernel |
//!
//! Everything belongs to one reactor's context. No input of a program panics: it is answered.
#![no_std]

extern crate alloc;
#[cfg(any(test, feature = "testing", feature = "host"))]
extern crate std;

pub mod backend;
pub mod capability;
mod channel;
pub mod console;
#[cfg(feature = "coroutines")]
pub mod coroutines;
pub mod entry;
mod environment;
pub mod failure;
mod files;
mod interest;
mod memory;
mod object;
mod poll;
pub mod program;
mod signal;
mod sockets;
pub mod table;
pub mod task;
pub mod tasks;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod time;
mod trace;
pub mod user;
mod wait;

pub use abi::Error;
pub use channel::{Message, Receiver, Sender};
pub use failure::{Failure, Outcome};
pub use program::{Machine, Program};
pub use task::Task;
