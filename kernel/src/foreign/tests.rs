//! A program's calls over the kernel's own network and disks, in virtual time: what they do, how they fail, and that
//! they are refused the same things as a native workload.

mod bench;
mod datagrams;
mod files;
mod policy;
mod streams;
mod traces;
