//! From what is ready to callbacks: `_process_events` of asyncio's selector loop, natively.
//!
//! Called by the loop, once a turn. Callbacks of the package's own transports run at once where nothing is queued before
//! them; everything else is queued, as asyncio does it.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use crate::poller::{EVENT_READ, EVENT_WRITE};
use crate::python::{call_method, ends_program};
use crate::stream::Reader;

/// Where a `selectors.SelectorKey` has its data.
const KEY_DATA: usize = 3;

/// Queues what is ready, or runs it. `queued`: the loop's queue of handles.
///
/// Callbacks run at once, in `events`' order, if the queue is empty: so nothing that was queued earlier runs later than
/// it would. What they queue runs after all that is ready now.
#[pyfunction]
pub(crate) fn process_events<'py>(
    event_loop: &Bound<'py, PyAny>,
    queued: &Bound<'py, PyAny>,
    events: &Bound<'py, PyList>,
) -> PyResult<()> {
    let py = event_loop.py();
    let runs = queued.is_empty()? && !event_loop.getattr(intern!(py, "_debug"))?.is_truthy()?;
    let mut others = Vec::new();
    for event in events.iter() {
        let event = event.cast_into::<PyTuple>()?;
        let key = event.get_item(0)?.cast_into::<PyTuple>()?;
        let mask: u32 = event.get_borrowed_item(1)?.extract()?;
        let data = key.get_item(KEY_DATA)?.cast_into::<PyTuple>()?;
        for (bit, at) in [(EVENT_READ, 0), (EVENT_WRITE, 1)] {
            let handle = data.get_item(at)?;
            // One that was cancelled has no callback that would run.
            if mask & bit == 0 || handle.is_none() || (runs && run(&handle)?) {
                continue;
            }
            if handle.getattr(intern!(py, "_cancelled"))?.is_truthy()? {
                event_loop.call_method1(intern!(py, "_forget"), (&key, handle))?;
            } else {
                others.push(handle);
            }
        }
    }
    if runs && event_loop.getattr(intern!(py, "_stopping"))?.is_truthy()? {
        // What callbacks queue before they stop the loop is for its next run.
        event_loop.call_method0(intern!(py, "_hold"))?;
    }
    queue(queued, others, runs)
}

/// Runs a handle's callback, if it is a transport's. Says whether it was.
fn run(handle: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = handle.py();
    let callback = handle.getattr(intern!(py, "_callback"))?;
    if !callback.is_exact_instance_of::<Reader>() {
        return Ok(false);
    }
    let context = handle.getattr(intern!(py, "_context"))?;
    match call_method(&context, intern!(py, "run"), &callback) {
        Err(error) if ends_program(py, &error) => Err(error),
        // It has failed in its own handling of a failure: asyncio has words for that.
        Err(error) => report(handle, &error).map(|()| true),
        Ok(_) => Ok(true),
    }
}

/// Tells the loop's exception handler, as `asyncio.Handle` does.
#[cold]
fn report(handle: &Bound<'_, PyAny>, error: &PyErr) -> PyResult<()> {
    let py = handle.py();
    py.import(intern!(py, "ukernel.transport"))?
        .call_method1(intern!(py, "report"), (handle, error.value(py)))
        .map(drop)
}

/// Queues handles: where others ran at once, before what those have queued.
fn queue(
    queued: &Bound<'_, PyAny>,
    mut handles: Vec<Bound<'_, PyAny>>,
    before: bool,
) -> PyResult<()> {
    let py = queued.py();
    if handles.is_empty() {
        return Ok(());
    }
    let name = if before {
        handles.reverse();
        intern!(py, "extendleft")
    } else {
        intern!(py, "extend")
    };
    let handles = PyList::new(py, handles)?;
    call_method(queued, name, handles.as_any()).map(drop)
}
