//! `ukernel._native`: the library for Linux as an extension module.
//!
//! Owns nothing but the module. Python imports it never for its own sake: `ukernel.abi` loads the same file with ctypes,
//! for the C functions of [`ukernel_abi`], which are exported from here as from `libukernel_abi.so`. One file in a wheel
//! is then both, and what is worth the detour by C can become a function of the module, in the same kernel.

use pyo3::prelude::*;

// For its functions with C names, which nothing here calls.
extern crate ukernel_abi as _;

/// The kernel's calls, exported with C names; loaded by `ukernel.abi`.
#[pymodule]
mod _native {
    use super::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
