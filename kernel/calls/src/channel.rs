//! stub
use core::task::Context;
use reactor::readiness::*;
pub(crate) struct ChannelEnd;
impl Pollable for ChannelEnd {
    fn poll_readiness(&self, _: Interest, _: &mut Context<'_>) -> Readiness {
        Readiness::EMPTY
    }
}
