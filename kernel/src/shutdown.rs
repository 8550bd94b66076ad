//! The request to stop, which any number of tasks can await.
//!
//! Ctrl-Alt-Del raises it, which both hypervisors can send; `runtime` passes it on. It is raised
//! once and stays so. What to do about it is the workload's business: the machine ends when `main`
//! returns.

use alloc::boxed::Box;
use alloc::rc::Rc;
use core::pin::Pin;

use reactor::sync::Event;

/// The request to stop. Clones are the same request; dropping one does nothing.
///
/// ```
/// use reactor::{Reactor, testing::VirtualClock};
/// use ukernel::shutdown::Shutdown;
///
/// let shutdown = Shutdown::new();
/// shutdown.request();
/// Reactor::new(VirtualClock::new()).block_on(async {
///     shutdown.requested().await; // for `select`
///     shutdown.await; // the same, shorter
/// });
/// ```
#[derive(Clone, Default)]
pub struct Shutdown(Rc<Event>);

impl Shutdown {
    /// A request of its own, not raised yet. A workload takes the machine's instead,
    /// [`Context::shutdown`](crate::Context::shutdown).
    pub fn new() -> Self {
        Self::default()
    }

    /// Raises the request, for everyone who waits now or later.
    pub fn request(&self) {
        self.0.set();
    }

    /// Whether it has been raised.
    pub fn is_requested(&self) -> bool {
        self.0.is_set()
    }

    /// Waits until it is raised; not at all if it has been. Dropping the future loses nothing.
    pub async fn requested(&self) {
        self.0.wait().await;
    }
}

impl IntoFuture for Shutdown {
    type Output = ();
    type IntoFuture = Pin<Box<dyn Future<Output = ()>>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.requested().await })
    }
}
