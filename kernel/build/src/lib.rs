//! Linker arguments for a workload.
