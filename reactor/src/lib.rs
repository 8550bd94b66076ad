//! Tasks, timers and readiness.
#![no_std]
