//! What foreign programs are told about where they run: the same that native workloads find in their [`Context`].

use alloc::boxed::Box;
use core::pin::Pin;
use core::time::Duration;

use calls::backend::Environment;
use rand_core::Rng;

use crate::Context;

/// The surroundings of a program.
pub(super) struct Surroundings(pub(super) Context);

impl Environment for Surroundings {
    fn argument(&self, index: usize) -> Option<&str> {
        self.0.args().get(index).copied()
    }

    fn variable(&self, name: &str) -> Option<&str> {
        self.0.variable(name)
    }

    fn wall_clock(&self) -> Option<Duration> {
        self.0.wall_clock()
    }

    fn random(&self, into: &mut [u8]) {
        self.0.random().fill_bytes(into);
    }

    fn shutdown(&self) -> Pin<Box<dyn Future<Output = ()>>> {
        self.0.shutdown().into_future()
    }
}
