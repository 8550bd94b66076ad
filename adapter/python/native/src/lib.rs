//! `ukernel._native`: the library for Linux as an extension module, with what an asyncio loop does at every turn and for
//! every piece of data.
//!
//! One file in a wheel is both: `ukernel.abi` loads it with ctypes, for the C functions of [`ukernel_abi`], which are exported
//! from here as from `libukernel_abi.so`; and the modules `poller`, `loop` and `transport` of the package call this
//! module, which calls the same functions without ctypes. They do without where another library is used. Nothing here
//! decides what asyncio decides: whatever is not the usual case goes back to asyncio's own methods.
//!
//! | to | look at |
//! | --- | --- |
//! | wait | `poller` |
//! | run callbacks | `dispatch` |
//! | read and write | `stream` |

mod dispatch;
mod interface;
mod poller;
mod python;
mod stream;

use pyo3::prelude::*;

/// The module, as `import` finds it.
#[pymodule]
mod _native {
    use super::*;

    #[pymodule_export]
    use super::dispatch::process_events;
    #[pymodule_export]
    use super::poller::Poller;
    #[pymodule_export]
    use super::stream::{Reader, Writer};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
