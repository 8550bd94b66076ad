//! Tests of the repository itself, on the host.
