//! A datagram socket.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::task::{Context, Poll};

use abi::Error;
use calls::backend::Datagram;
use policy::network::{Access, Protocol};
use reactor::readiness::{Interest, Pollable, Readiness};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, connect, getsockname, recvfrom, sendto};

use super::{Shared, for_socket, plain};
use crate::descriptor::Descriptor;
use crate::files::error;

/// Errors of earlier datagrams that a transfer reports in place of its own, and that are passed over.
const MAX_OLD_ERRORS: u32 = 16;

/// A bound socket.
pub(super) struct Mailbox {
    shared: Rc<Shared>,
    socket: Rc<Descriptor>,
    /// As it was bound.
    bound: SocketAddr,
    /// Whether it may talk with anybody.
    listens: bool,
}

impl Mailbox {
    /// A socket that is bound already.
    ///
    /// # Errors
    /// It has no address.
    pub(super) fn new(shared: &Rc<Shared>, fd: OwnedFd, listens: bool) -> Result<Mailbox, Error> {
        let bound = getsockname(&fd).and_then(SocketAddr::try_from);
        Ok(Mailbox {
            bound: bound.map_err(error)?,
            socket: Descriptor::own(&shared.descriptors, fd),
            shared: Rc::clone(shared),
            listens,
        })
    }

    fn check_peer(&self, peer: SocketAddr) -> Result<(), Error> {
        let connects = || self.shared.allows(Access::Connect(Protocol::Udp, peer));
        match self.listens || connects() {
            true => Ok(()),
            false => Err(Error::Permission),
        }
    }

    /// Tries a transfer until it is about itself.
    fn transfer<T>(
        &self,
        cx: &mut Context<'_>,
        interest: Interest,
        mut transfer: impl FnMut(&Descriptor) -> Result<T, Errno>,
    ) -> Poll<Result<T, Errno>> {
        for _ in 0..MAX_OLD_ERRORS {
            match transfer(&self.socket) {
                // Somebody had nothing there for a datagram that was sent before (ICMP): datagrams get lost.
                Err(Errno::CONNREFUSED | Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    self.socket.wait(interest, cx);
                    return Poll::Pending;
                }
                result => return Poll::Ready(result),
            }
        }
        Poll::Ready(Err(Errno::CONNREFUSED))
    }
}

impl Datagram for Mailbox {
    fn connect(&self, peer: SocketAddr) -> Result<(), Error> {
        if peer.port() == 0 || peer.ip().is_unspecified() {
            return Err(Error::Invalid);
        }
        self.check_peer(peer)?;
        let connected = connect(&*self.socket, &for_socket(self.bound, peer));
        connected.map_err(|errno| match errno {
            Errno::INVAL | Errno::AFNOSUPPORT => Error::Invalid,
            _ => Error::Io,
        })
    }

    fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        to: SocketAddr,
    ) -> Poll<Result<(), Error>> {
        if let Err(error) = self.check_peer(to) {
            return Poll::Ready(Err(error));
        }
        let to = for_socket(self.bound, to);
        let sent = self.transfer(cx, Interest::WRITABLE, |socket| {
            sendto(socket, bytes, SendFlags::NOSIGNAL, &to)
        });
        sent.map(|sent| match sent {
            Ok(_) => Ok(()),
            Err(Errno::MSGSIZE | Errno::INVAL) => Err(Error::Invalid),
            Err(Errno::NOBUFS | Errno::NOMEM) => Ok(()), // lost, as datagrams may be
            Err(_) => Err(Error::Io),
        })
    }

    fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<Result<(usize, SocketAddr), Error>> {
        let received = self.transfer(cx, Interest::READABLE, |socket| {
            let (read, _, from) = recvfrom(socket, &mut *into, RecvFlags::empty())?;
            let from = from.ok_or(Errno::NOTCONN).and_then(SocketAddr::try_from)?;
            Ok((read, plain(from)))
        });
        received.map(|received| received.map_err(|_| Error::Io))
    }

    fn local(&self) -> SocketAddr {
        // Connecting chooses one of several addresses.
        let local = getsockname(&*self.socket).and_then(SocketAddr::try_from);
        plain(local.unwrap_or(self.bound))
    }
}

impl Pollable for Mailbox {
    fn poll_readiness(&self, interest: Interest, cx: &mut Context<'_>) -> Readiness {
        let ready = self.socket.poll(interest, cx);
        // An error is of an earlier datagram; a transfer passes over it.
        Readiness::from_bits(ready.bits() & !Readiness::ERROR.bits())
    }
}
