//! What kernel and tools agree on, as plain data.
#![no_std]
#![forbid(unsafe_code)]
