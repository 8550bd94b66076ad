//! A port that accepts connections.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::task::{Context, Poll};

use abi::Error;
use calls::backend::{Listener, Stream};
use reactor::readiness::{Interest, Pollable, Readiness};
use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};

use super::Shared;
use super::stream::Connection;
use crate::descriptor::Descriptor;
use crate::files::error;

/// A socket that listens.
pub(super) struct Listening {
    shared: Rc<Shared>,
    socket: Rc<Descriptor>,
    local: SocketAddr,
}

impl Listening {
    /// A socket that listens already.
    pub(super) fn new(shared: &Rc<Shared>, fd: OwnedFd, local: SocketAddr) -> Listening {
        Listening {
            socket: Descriptor::own(&shared.descriptors, fd),
            shared: Rc::clone(shared),
            local,
        }
    }
}

impl Listener for Listening {
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<Result<Rc<dyn Stream>, Error>> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        match accept_with(&*self.socket, flags) {
            Ok(fd) => Poll::Ready(Connection::accepted(&self.shared, fd)),
            // Somebody else took it, or it went away before it was accepted.
            Err(Errno::AGAIN | Errno::CONNABORTED | Errno::INTR) => {
                self.socket.wait(Interest::READABLE, cx);
                Poll::Pending
            }
            Err(errno) => Poll::Ready(Err(error(errno))),
        }
    }

    fn local(&self) -> SocketAddr {
        self.local
    }
}

impl Pollable for Listening {
    fn poll_readiness(&self, interest: Interest, cx: &mut Context<'_>) -> Readiness {
        self.socket.poll(interest, cx)
    }
}
