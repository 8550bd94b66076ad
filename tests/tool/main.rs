//! Tests of the command `ukernel` as a person uses it, with machines that are quick or only played.

mod fake;
mod firecracker;
mod place;
mod remote;
mod sshd;
