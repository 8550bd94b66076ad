//! Tests of the command `ukernel` as a person uses it, with machines that are quick or only played.

mod errors;
mod fake;
mod firecracker;
mod place;
mod pty;
mod remote;
mod sshd;
mod terminal;
mod variables;
