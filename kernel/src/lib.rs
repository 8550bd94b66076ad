//! A kernel for one asynchronous program.
#![no_std]
