//! A place with a name, at which the gauge (`benches/gauge`) takes its counters.

/// Does nothing. It has a body of its own, so that the compiler does not merge it with another function
/// that does nothing.
#[inline(never)]
pub(crate) fn bench_mark() {
    core::hint::black_box("bench_mark");
}
