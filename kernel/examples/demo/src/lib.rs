//! The demonstration worker's parts that need no machine: what it computes, parses and prints.
//!
//! The binary beside this library wires them to the network, the disks and the clock.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod byte_range;
pub mod jobs;
pub mod metrics;
pub mod settings;
pub mod summary;
