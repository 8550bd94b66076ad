//! smoltcp as futures.
#![no_std]
#![forbid(unsafe_code)]
