//! The attribute `#[ukernel::main]`.
