//! stub
use core::task::Context;
use reactor::readiness::*;
pub(crate) struct OpenFile;
impl Pollable for OpenFile {
    fn poll_readiness(&self, _: Interest, _: &mut Context<'_>) -> Readiness {
        Readiness::EMPTY
    }
}
