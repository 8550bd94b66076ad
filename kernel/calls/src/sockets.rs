//! stub
use core::task::Context;
use reactor::readiness::*;
pub(crate) struct Socket;
impl Pollable for Socket {
    fn poll_readiness(&self, _: Interest, _: &mut Context<'_>) -> Readiness {
        Readiness::EMPTY
    }
}
