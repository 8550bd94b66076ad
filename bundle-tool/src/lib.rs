//! Starts virtual machines: the one way to do so in this repository. The `ukernel` command, the
//! justfile, the tests and the benchmarks all come through [`machine`].
//!
//! Runs on the host and knows of the kernel only what the crates `abi`, `bundle` and
//! `policy` say.

pub mod adapter;
pub mod build;
pub mod cli;
pub mod disk_image;
pub mod doctor;
pub mod environment;
pub mod image;
pub mod init;
pub mod kernel_file;
pub mod lock;
pub mod machine;
pub mod machines;
pub mod manifest;
pub mod pack;
mod partial;
pub mod program;
pub mod project;
pub mod remote;
pub mod signing;
pub mod sources;
pub mod template;
pub mod toolchain;
pub mod trace;
pub mod ui;
pub mod whole_file;
