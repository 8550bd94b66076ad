//! What the benchmarks' workers have in common, so that what differs is the system below: the guest
//! `benches/worker` and the peers' `benches/peers/app` do this, and `benches` asks for it. Plain data and
//! arithmetic; it must never name a system.
//!
//! ```
//! use bench_work::http;
//!
//! assert_eq!(http::heads(http::REQUEST), (1, http::REQUEST.len()));
//! ```
#![no_std]

pub mod disk;
pub mod http;
pub mod services;
pub mod sleep;
