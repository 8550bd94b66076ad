//! A listening port: a queue of connections and who waits for them.
//!
//! It has no socket and no buffer: a connection comes into being when its SYN arrives.

use alloc::collections::VecDeque;
use core::net::IpAddr;

use super::connection::Options;
use crate::wakers::Wakers;

/// A bound port.
#[derive(Debug)]
pub(crate) struct Listener {
    /// `None`: any address of ours.
    pub(crate) address: Option<IpAddr>,
    pub(crate) port: u16,
    pub(crate) backlog: usize,
    pub(crate) options: Options,
    /// Handshakes under way.
    pub(crate) half_open: usize,
    /// Established, oldest first.
    pub(crate) ready: VecDeque<usize>,
    pub(crate) wakers: Wakers,
}

impl Listener {
    pub(crate) fn is_full(&self) -> bool {
        self.half_open + self.ready.len() >= self.backlog
    }

    /// How well the listener fits a destination: an exact address beats any address.
    pub(crate) fn fit(&self, destination: IpAddr) -> Option<u8> {
        match self.address {
            Some(address) if address == destination => Some(1),
            Some(_) => None,
            None => Some(0),
        }
    }
}
