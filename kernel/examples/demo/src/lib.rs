//! The demonstration worker: an HTTP server, an echo server and a job queue on one kernel.
//!
//! A library beside its binary, so that its tests run on the host: the pure parts by themselves, the
//! server over a network stack that talks to itself in virtual time.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod answer;
pub mod byte_range;
pub mod disk_answer;
pub mod disk_stream;
pub mod echo;
pub mod heartbeat;
pub mod http;
pub mod job_answer;
pub mod job_queue;
pub mod jobs;
pub mod metrics;
pub mod number;
pub mod route;
pub mod settings;
pub mod shares;
pub mod stats;
pub mod summary;
pub mod worker;
