//! Where the kernel meets the workload: the symbol that `#[ukernel::main]` defines.
//!
//! `runtime` calls `start` once the devices run. The attribute's expansion calls [`spawn`];
//! nothing else should.
#![allow(
    unsafe_code,
    reason = "declares the workload's entry, which another crate defines, and names a function"
)]

use reactor::task::JoinHandle;

use crate::{Context, ExitCode, Termination};

/// The task `main`, whose output is the machine's exit status.
pub type MainTask = JoinHandle<ExitCode>;

/// Spawns a workload's `main`. Called by what `#[ukernel::main]` expands to.
pub fn spawn<F, Fut>(context: Context, main: F) -> MainTask
where
    F: FnOnce(Context) -> Fut + 'static,
    Fut: Future<Output: Termination> + 'static,
{
    let spawner = context.spawner();
    let program = async move {
        ukernel_first_poll();
        main(context).await.report()
    };
    spawner.task("main").spawn(program)
}

/// Does nothing, at the moment when the workload is polled for the first time: a place with a name,
/// for tools that measure how long the kernel takes until then.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn ukernel_first_poll() {
    core::hint::black_box(());
}

/// Spawns the workload that this image was linked with.
#[cfg(target_os = "none")]
pub(crate) fn start(context: Context) -> MainTask {
    // SAFETY: `#[ukernel::main]` defines the symbol with this very signature, which names only
    // types of this crate, and two definitions do not link.
    unsafe { __ukernel_main(context) }
}

#[cfg(target_os = "none")]
unsafe extern "Rust" {
    fn __ukernel_main(context: Context) -> MainTask;
}
