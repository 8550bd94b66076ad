//! Whole stacks on a wire, in virtual time: deterministic, and hours take milliseconds.

#![allow(
    clippy::unwrap_used,
    dead_code,
    reason = "tests; their helpers are tests too"
)]

mod pair;
mod tcp;
