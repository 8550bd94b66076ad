//! Tests that boot machines. Each has a deadline and ports of its own; two run at a time.

mod boot;
mod cli;
mod disk;
mod examples;
mod http;
mod launch;
mod lifecycle;
mod network;
mod page;
mod virtio;
