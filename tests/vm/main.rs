//! Tests that boot machines. Each has a deadline and ports of its own; two run at a time.

mod abi;
mod boot;
mod cli;
mod devices;
mod disk;
mod disk_writes;
mod entropy;
mod examples;
mod faults;
mod firecracker;
mod flood;
mod foreign;
mod garbage;
mod hard_float;
mod http;
mod interrupts;
mod launch;
mod lifecycle;
mod memory;
mod network;
mod page;
mod run_recipe;
mod serial;
mod soak;
mod time;
mod virtio;
