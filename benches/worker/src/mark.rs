//! A place with a name, at which the gauge (`benches/gauge`) takes its counters.
#![allow(unsafe_code, reason = "names a function")]

/// Does nothing. Called at the start and at the end of each phase that is counted. It has a body of its
/// own, so that the compiler does not merge it with another function that does nothing.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn bench_mark() {
    core::hint::black_box("bench_mark");
}
