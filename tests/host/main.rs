//! Tests of the repository itself, on the host: which crate may know which, where unsafe code may
//! stand, how files begin, what the documents say, what `./just` installs.

mod abi_header;
mod documents;
mod layers;
mod sources;
mod wrapper;
