//! Tests that cross a crate boundary.
