//! Starts virtual machines.
