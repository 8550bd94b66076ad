//! What the tests share that cross a crate boundary: guests, machines with a deadline, clients.
//!
//! A VM test boots a guest by [`vm::boot`], talks to it over its own ports, and lets the machine go; it
//! is killed when the test ends, however that happens. Nothing here sleeps in order to synchronise.
#![forbid(unsafe_code)]

pub mod browser;
pub mod client;
pub mod compilers;
pub mod demo;
pub mod firecracker_api;
pub mod guest;
pub mod hosts;
pub mod http;
pub mod image;
pub mod load;
pub mod namespace;
pub mod place;
pub mod process;
pub mod program;
pub mod skip;
pub mod soak;
pub mod tiny_guest;
pub mod tls_server;
pub mod vm;
