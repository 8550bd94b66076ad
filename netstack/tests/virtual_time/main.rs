//! Whole stacks on a wire, in virtual time: deterministic, and hours take milliseconds.
#![allow(clippy::unwrap_used, reason = "tests; their helpers are tests too")]

mod ends;
mod listening;
mod loss;
mod pair;
mod scale;
