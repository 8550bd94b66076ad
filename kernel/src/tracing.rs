//! The workload's trace: made when it is first asked for, with all that hangs on it.
//!
//! [`Context::trace`](crate::Context::trace) hands it out, to native workloads and to `foreign` for programs in C, which
//! so have one ring. From then on the machine has a task that listens on the serial port for requests to write the
//! trace (`abi::trace::Request`), and writes what is left of it when it ends, however it does (`serial`). A workload
//! that never asks has none of this code in its image: nothing but that function names it.
//!
//! ```
//! use ukernel::testing::Machine;
//! let machine = Machine::booted("trace=on", &[]);
//! let ctx = machine.context();
//! machine.block_on(async {
//!     let answer = ctx.trace().span("answer");
//!     answer.attribute("status=200");
//! });
//! let lines: Vec<String> = ctx.trace().drain().map(|line| line.to_string()).collect();
//! assert_eq!(lines[2], "#trace s 0 0 3 3 1 0 answer");
//! assert!(!Machine::new().context().trace().is_on());
//! ```

mod requests;
#[cfg(any(target_os = "none", ukernel_hard_float))]
mod serial;

use alloc::boxed::Box;
use core::cell::OnceCell;

use reactor::{Clock, Spawner};
use trace::Trace;

pub use requests::Requests;

/// The trace of a context, once there is one.
pub struct Tracing {
    /// Whether it begins switched on.
    on: bool,
    made: OnceCell<Box<dyn Holder>>,
}

/// What has the trace. Behind a `dyn`, because a context that drops a trace, and be it none, would bring along the code
/// for that.
trait Holder {
    fn trace(&self) -> &Trace;
}

impl Holder for Trace {
    fn trace(&self) -> &Trace {
        self
    }
}

impl Tracing {
    /// No trace yet; one that is `on` records from its beginning.
    pub fn new(on: bool) -> Tracing {
        Tracing {
            on,
            made: OnceCell::new(),
        }
    }

    /// The trace; made by the first call.
    pub(crate) fn trace(&self, spawner: &Spawner, clock: &Clock) -> Trace {
        let made = self.made.get_or_init(|| {
            let trace = Trace::new(spawner, clock);
            if self.on && trace.enable().is_err() {
                log::warn!("trace: no memory");
            }
            #[cfg(any(target_os = "none", ukernel_hard_float))]
            serial::start(&trace, spawner);
            Box::new(trace)
        });
        made.trace().clone()
    }
}
