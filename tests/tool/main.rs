//! Tests of the command `ukernel` as a person uses it, with machines that are quick or only played.

mod builder;
mod bundle_page;
mod chain;
mod errors;
mod fake;
mod firecracker;
mod full_disk;
mod getting_started;
mod killed;
mod kinds;
mod machines;
mod packs;
mod projects;
mod pty;
mod remote;
mod reproducible;
mod sshd;
mod terminal;
mod variables;
