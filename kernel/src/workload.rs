//! Where the kernel meets the workload: the symbols that `#[ukernel::main]` defines.
//!
//! `runtime` calls `start` once the devices run. The attribute's expansion calls [`spawn`];
//! nothing else should, but a test that wants to run a workload's `main`:
//!
//! ```
//! use ukernel::testing::Machine;
//! use ukernel::{Context, ExitCode, workload};
//!
//! async fn main_of_a_workload(ctx: Context) -> Result<(), &'static str> {
//!     ctx.args().first().map(|_| ()).ok_or("an argument is missing")
//! }
//!
//! # #[allow(clippy::needless_doctest_main)]
//! # fn main() {
//! let machine = Machine::with_arguments(&["now"]);
//! let main = workload::spawn(machine.context(), main_of_a_workload);
//! assert_eq!(machine.block_on(main), Ok(ExitCode::SUCCESS));
//! # }
//! ```
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

/// What finds and checks the bundle of a workload that asks for one, and nothing for others: who does not ask does not
/// name it, and has nothing of it in the image.
pub struct BundleLoader {
    #[cfg(any(target_os = "none", ukernel_hard_float))]
    loader: Option<&'static crate::runtime::Loader>,
}

impl BundleLoader {
    /// For `#[ukernel::main]`.
    pub const NONE: BundleLoader = BundleLoader {
        #[cfg(any(target_os = "none", ukernel_hard_float))]
        loader: None,
    };
    /// For `#[ukernel::main(bundle)]`.
    pub const ASKED: BundleLoader = BundleLoader {
        #[cfg(any(target_os = "none", ukernel_hard_float))]
        loader: Some(&crate::runtime::LOADER),
    };
}

/// Spawns the workload that this image was linked with.
#[cfg(any(target_os = "none", ukernel_hard_float))]
pub(crate) fn start(context: Context) -> MainTask {
    // SAFETY: `#[ukernel::main]` defines the symbol with this very signature, which names only
    // types of this crate, and two definitions do not link.
    unsafe { __ukernel_main(context) }
}

/// What loads the bundle of the workload that this image was linked with.
#[cfg(any(target_os = "none", ukernel_hard_float))]
#[inline]
pub(crate) fn bundle_loader() -> Option<&'static crate::runtime::Loader> {
    // SAFETY: as in `start`.
    unsafe { __ukernel_bundle() }.loader
}

#[cfg(any(target_os = "none", ukernel_hard_float))]
unsafe extern "Rust" {
    fn __ukernel_main(context: Context) -> MainTask;
    fn __ukernel_bundle() -> BundleLoader;
}
