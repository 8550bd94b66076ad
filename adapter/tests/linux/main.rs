//! The library as processes use it: C programs that are linked to it, run as processes of their own.

mod conformance;
mod host;
mod panics;
mod support;
mod system_calls;
