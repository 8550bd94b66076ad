//! The calls that send and receive, on streams and as datagrams.

use core::net::SocketAddr;
use core::task::Poll;

use abi::Error;
use abi::capability::Kind;
use abi::handle::Handle;

use super::{Found, State};
use crate::failure::{Failure, Outcome};
use crate::object::Direction;
use crate::task::Task;
use crate::user::{Alleged, UserIn, UserOut};
use crate::wait::until;

impl Task {
    /// `net_send`.
    pub async fn net_send(&self, handle: Handle, from: UserIn, flags: u32) -> Outcome<usize> {
        self.need(Kind::Net)?;
        let found = self.found(handle)?;
        let nonblocking = found.socket.nonblocking(4, flags)?;
        if found.socket.is_stream() {
            return found.write(nonblocking, &[from]).await;
        }
        let peer = match &*found.socket.state.borrow() {
            State::Datagram(mailbox) => mailbox.peer,
            _ => None,
        };
        let peer = peer.ok_or(found.invalid())?;
        found.send_to(nonblocking, from, peer).await?;
        Ok(from.len())
    }

    /// `net_recv`.
    pub async fn net_recv(&self, handle: Handle, into: UserOut, flags: u32) -> Outcome<usize> {
        self.need(Kind::Net)?;
        let found = self.found(handle)?;
        let nonblocking = found.socket.nonblocking(4, flags)?;
        if found.socket.is_stream() {
            return found.read(nonblocking, &[into]).await;
        }
        Ok(found.recv_from(nonblocking, into).await?.0)
    }

    /// `net_send_to`.
    pub async fn net_send_to(
        &self,
        handle: Handle,
        from: UserIn,
        flags: u32,
        to: Alleged,
    ) -> Outcome {
        self.need(Kind::Net)?;
        let found = self.found(handle)?;
        let nonblocking = found.socket.nonblocking(4, flags)?;
        if found.socket.is_stream() {
            return Err(found.unsupported());
        }
        let remote = found.socket.domain.read(self.space(), &to)?;
        if remote.port() == 0 || remote.ip().is_unspecified() {
            return Err(to.failure(Error::Invalid));
        }
        self.ensure_mailbox(&found)?;
        if let State::Datagram(mailbox) = &*found.socket.state.borrow()
            && mailbox.peer.is_some_and(|peer| peer != remote)
        {
            return Err(to.failure(Error::Invalid));
        }
        found.send_to(nonblocking, from, remote).await
    }

    /// `net_recv_from`: how many bytes, and from whom.
    pub async fn net_recv_from(
        &self,
        handle: Handle,
        into: UserOut,
        flags: u32,
    ) -> Outcome<(usize, SocketAddr)> {
        self.need(Kind::Net)?;
        let found = self.found(handle)?;
        let nonblocking = found.socket.nonblocking(4, flags)?;
        if found.socket.is_stream() {
            return Err(found.unsupported());
        }
        let (read, peer) = found.recv_from(nonblocking, into).await?;
        Ok((read, found.socket.domain.seen(peer)))
    }

    /// `io_read` and `io_readv` for a stream.
    pub(crate) async fn read_stream(&self, handle: Handle, pieces: &[UserOut]) -> Outcome<usize> {
        let found = self.found(handle)?;
        if !found.socket.is_stream() {
            return Err(found.unsupported());
        }
        let nonblocking = found.socket.options.get().nonblocking;
        found.read(nonblocking, pieces).await
    }

    /// `io_write` and `io_writev` for a stream.
    pub(crate) async fn write_stream(&self, handle: Handle, pieces: &[UserIn]) -> Outcome<usize> {
        let found = self.found(handle)?;
        if !found.socket.is_stream() {
            return Err(found.unsupported());
        }
        let nonblocking = found.socket.options.get().nonblocking;
        found.write(nonblocking, pieces).await
    }
}

impl Found {
    /// Reads what is there into the pieces, at least one byte.
    async fn read(&self, nonblocking: bool, pieces: &[UserOut]) -> Outcome<usize> {
        let _reading = self.occupy(Direction::Read)?;
        until(&self.entry, nonblocking, |cx| {
            let State::Stream(link) = &*self.socket.state.borrow() else {
                return Poll::Ready(Err(self.invalid()));
            };
            if self.socket.is_deaf() {
                return Poll::Ready(Ok(0));
            }
            let read = one_after_the_other(pieces, UserOut::len, |piece| {
                piece.with(|bytes| link.stream.poll_read(cx, bytes))
            });
            if read.is_pending() {
                self.socket.changed.borrow_mut().register(cx.waker());
            }
            read.map_err(|error| self.failed(error))
        })
        .await
    }

    /// Writes from the pieces what there is room for, at least one byte.
    async fn write(&self, nonblocking: bool, pieces: &[UserIn]) -> Outcome<usize> {
        let _writing = self.occupy(Direction::Write)?;
        until(&self.entry, nonblocking, |cx| {
            let State::Stream(link) = &*self.socket.state.borrow() else {
                return Poll::Ready(Err(self.invalid()));
            };
            one_after_the_other(pieces, UserIn::len, |piece| {
                piece.with(|bytes| link.stream.poll_write(cx, bytes))
            })
            .map_err(|error| self.failed(error))
        })
        .await
    }

    async fn send_to(&self, nonblocking: bool, from: UserIn, to: SocketAddr) -> Outcome {
        let _writing = self.occupy(Direction::Write)?;
        until(&self.entry, nonblocking, |cx| {
            let State::Datagram(mailbox) = &*self.socket.state.borrow() else {
                return Poll::Ready(Err(self.invalid()));
            };
            let sent = from.with(|bytes| mailbox.socket.poll_send_to(cx, bytes, to));
            sent.map_err(|error| match error {
                Error::Invalid => Failure::invalid(3, from.len() as u64),
                error => self.failed(error),
            })
        })
        .await
    }

    async fn recv_from(&self, nonblocking: bool, into: UserOut) -> Outcome<(usize, SocketAddr)> {
        let _reading = self.occupy(Direction::Read)?;
        until(&self.entry, nonblocking, |cx| {
            let State::Datagram(mailbox) = &*self.socket.state.borrow() else {
                return Poll::Ready(Err(self.invalid()));
            };
            let received = into.with(|bytes| mailbox.socket.poll_recv_from(cx, bytes));
            received.map_err(|error| self.failed(error))
        })
        .await
    }
}

/// Transfers piece after piece as long as each is transferred whole. What comes after the first byte is no reason to
/// wait, and an error there is for the next call.
fn one_after_the_other<P>(
    pieces: &[P],
    len: impl Fn(&P) -> usize,
    mut transfer: impl FnMut(&P) -> Poll<Result<usize, Error>>,
) -> Poll<Result<usize, Error>> {
    let mut total = 0;
    for piece in pieces.iter().filter(|piece| len(piece) > 0) {
        match transfer(piece) {
            Poll::Ready(Ok(done)) => {
                total += done;
                if done < len(piece) {
                    break;
                }
            }
            other if total == 0 => return other,
            _ => break,
        }
    }
    Poll::Ready(Ok(total))
}
