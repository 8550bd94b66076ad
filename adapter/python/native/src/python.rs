//! Calls into Python that make neither tuples nor bound methods, which PyO3 does where it is built for many versions.
#![allow(unsafe_code, reason = "calls Python's C interface")]

use pyo3::exceptions::{PyKeyboardInterrupt, PySystemExit};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyString;
use std::ptr;

/// `object.name(argument)`.
pub(crate) fn call_method<'py>(
    object: &Bound<'py, PyAny>,
    name: &Bound<'py, PyString>,
    argument: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: all are references that live until the call returns, and the list of arguments ends with null; the
    // result is a new reference, or null with an exception set.
    unsafe {
        let result = ffi::PyObject_CallMethodObjArgs(
            object.as_ptr(),
            name.as_ptr(),
            argument.as_ptr(),
            ptr::null_mut::<ffi::PyObject>(),
        );
        Bound::from_owned_ptr_or_err(object.py(), result)
    }
}

/// Whether asyncio lets it through everything: it ends the program.
pub(crate) fn ends_program(py: Python<'_>, error: &PyErr) -> bool {
    error.is_instance_of::<PySystemExit>(py) || error.is_instance_of::<PyKeyboardInterrupt>(py)
}
