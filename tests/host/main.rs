//! Tests of the repository itself, on the host: which crate may know which, where unsafe code may
//! stand, how files begin.

mod layers;
mod sources;
