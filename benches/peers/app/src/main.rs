//! The benchmarks' worker on Linux with tokio. As the first process of a guest it takes its orders
//! from the kernel's command line (`bench.mode=serve bench.address=10.0.2.15`); on a host from its
//! arguments (`peer MODE FIRST_PORT|DISK`).
//!
//! It must do what the guest of `benches/worker` does, no less and no more.

mod disk;
mod init;
mod mark;
mod services;
mod sleep;

use std::path::PathBuf;

use tokio::runtime::Builder;

/// What to do.
pub(crate) struct Orders {
    pub(crate) mode: String,
    /// Added to every port: a host's low ones are taken.
    pub(crate) first_port: u16,
    pub(crate) disk: PathBuf,
}

fn main() {
    println!("bench: up");
    let orders = init::orders();
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime can be made");
    match orders.mode.as_str() {
        "serve" => runtime.block_on(services::serve(orders.first_port)),
        "disk" => disk::measure(&orders.disk, &runtime),
        "sleep" => runtime.block_on(sleep::measure()),
        other => println!("bench: unknown mode {other:?}"),
    }
    init::power_off();
}
