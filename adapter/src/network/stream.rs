//! A connection, or one that is being made.

use std::cell::Cell;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use abi::Error;
use calls::backend::Stream;
use reactor::readiness::{Interest, Pollable, Readiness};
use reactor::sync::Wakers;
use rustix::io::{self, Errno};
use rustix::net::{
    RecvFlags, SendFlags, Shutdown, connect, getsockname, recv, send, shutdown, sockopt,
};

use super::{Shared, for_socket, local_address, peer_address};
use crate::descriptor::Descriptor;
use crate::files::error;

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The call that began it has not looked at it yet.
    Begun,
    /// On its way.
    Connecting,
    /// It has been there; what happened since is not about connecting.
    Connected,
    /// It has never been there.
    Failed(Error),
}

/// A stream's socket.
pub(super) struct Connection {
    socket: Rc<Descriptor>,
    state: Cell<State>,
    /// How it failed since it was there.
    broken: Cell<Option<Error>>,
    /// We have ended sending.
    has_ended: Cell<bool>,
    local: Cell<Option<SocketAddr>>,
    remote: SocketAddr,
    /// It has a port that the program chose.
    has_port: bool,
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.has_port {
            // From now on, so that what is left of it (TIME_WAIT) does not keep the port (`take_port`).
            self.advise(|socket| sockopt::set_socket_reuseaddr(socket, true));
        }
    }
}

impl Connection {
    /// Begins to connect; with a socket that is bound, if it `has_port`.
    ///
    /// # Errors
    /// [`Error::Invalid`]: that is no address of a peer; [`Error::Io`]: no way there.
    pub(super) fn begin(
        shared: &Rc<Shared>,
        fd: OwnedFd,
        remote: SocketAddr,
        has_port: bool,
    ) -> Result<Rc<dyn Stream>, Error> {
        if remote.port() == 0 || remote.ip().is_unspecified() || remote.ip().is_multicast() {
            return Err(Error::Invalid);
        }
        let own = getsockname(&fd).and_then(SocketAddr::try_from);
        let to = for_socket(own.map_err(error)?, remote);
        match connect(&fd, &to) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(Errno::ADDRNOTAVAIL) => return Err(Error::Busy),
            Err(errno) => return Err(stream_error(errno)),
        }
        Ok(Rc::new(Connection {
            socket: Descriptor::own(&shared.descriptors, fd),
            state: Cell::new(State::Begun),
            broken: Cell::new(None),
            has_ended: Cell::new(false),
            local: Cell::new(None),
            remote,
            has_port,
        }))
    }

    /// A connection that somebody else has made.
    ///
    /// # Errors
    /// It is gone already.
    pub(super) fn accepted(shared: &Rc<Shared>, fd: OwnedFd) -> Result<Rc<dyn Stream>, Error> {
        // Of a peer that has reset it meanwhile nobody knows any more who it was.
        let local = local_address(&fd)?;
        let nobody = SocketAddr::new(local.ip(), 0);
        let remote = peer_address(&fd).unwrap_or(nobody);
        sockopt::set_tcp_nodelay(&fd, true).map_err(error)?;
        Ok(Rc::new(Connection {
            socket: Descriptor::own(&shared.descriptors, fd),
            state: Cell::new(State::Connected),
            broken: Cell::new(None),
            has_ended: Cell::new(false),
            local: Cell::new(Some(local)),
            remote,
            has_port: false,
        }))
    }

    /// Finds out how connecting went, now that something is known to have happened.
    fn settle(&self) {
        let state = match sockopt::socket_error(&*self.socket) {
            Ok(Ok(())) => State::Connected,
            Ok(Err(errno)) | Err(errno) => State::Failed(stream_error(errno)),
        };
        self.state.set(state);
    }

    /// What a transfer came to; an error is the connection's from then on.
    fn done(&self, result: io::Result<usize>) -> Poll<Result<usize, Error>> {
        Poll::Ready(result.map_err(|errno| {
            let error = match (errno, self.broken.get()) {
                (Errno::PIPE, _) if self.has_ended.get() => return Error::Closed,
                (Errno::PIPE, known) => known.unwrap_or(Error::Io),
                (errno, _) => stream_error(errno),
            };
            self.broken.set(Some(error));
            error
        }))
    }

    /// How it has failed since it was there, if Linux knows of it.
    fn failure(&self) -> Option<Error> {
        if self.broken.get().is_none() {
            let failed = sockopt::socket_error(&*self.socket).ok()?.err()?;
            self.broken.set(Some(stream_error(failed)));
        }
        self.broken.get()
    }

    /// Tells Linux something that only makes the connection better or worse.
    fn advise(&self, advice: impl FnOnce(&Descriptor) -> io::Result<()>) {
        if let Err(errno) = advice(&self.socket) {
            log::debug!("net: option not taken error=\"{errno}\"");
        }
    }
}

impl Stream for Connection {
    fn poll_connected(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let only_looks = cx.waker().will_wake(Wakers::nobody());
        match self.state.get() {
            State::Connected => return Poll::Ready(Ok(())),
            State::Failed(error) => return Poll::Ready(Err(error)),
            // Who begins without waiting is told so, however fast it went.
            State::Begun => {
                self.state.set(State::Connecting);
                if only_looks {
                    return Poll::Pending;
                }
            }
            State::Connecting => {}
        }
        if !self
            .socket
            .poll(Interest::WRITABLE, cx)
            .answers(Interest::WRITABLE)
        {
            return Poll::Pending;
        }
        self.settle();
        self.poll_connected(cx)
    }

    fn poll_read(&self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<Result<usize, Error>> {
        ready!(self.poll_connected(cx))?;
        if let Some(error) = self.broken.get() {
            return Poll::Ready(Err(error));
        }
        if into.is_empty() {
            return Poll::Ready(Ok(0));
        }
        loop {
            match recv(&*self.socket, &mut *into, RecvFlags::empty()) {
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    self.socket.wait(Interest::READABLE, cx);
                    return Poll::Pending;
                }
                result => return self.done(result.map(|(read, _)| read)),
            }
        }
    }

    fn poll_write(&self, cx: &mut Context<'_>, from: &[u8]) -> Poll<Result<usize, Error>> {
        ready!(self.poll_connected(cx))?;
        if let Some(error) = self.broken.get() {
            return Poll::Ready(Err(error));
        }
        if from.is_empty() {
            return Poll::Ready(Ok(0));
        }
        loop {
            match send(&*self.socket, from, SendFlags::NOSIGNAL) {
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    self.socket.wait(Interest::WRITABLE, cx);
                    return Poll::Pending;
                }
                result => return self.done(result),
            }
        }
    }

    fn shutdown_write(&self) -> Result<(), Error> {
        if let Some(error) = self.failure() {
            return Err(error);
        }
        self.has_ended.set(true);
        match shutdown(&*self.socket, Shutdown::Write) {
            Ok(()) | Err(Errno::NOTCONN) => Ok(()), // both sides are done
            Err(errno) => Err(stream_error(errno)),
        }
    }

    fn local(&self) -> SocketAddr {
        let known = self.local.get();
        let local = known.or_else(|| local_address(&*self.socket).ok());
        self.local.set(local);
        local.unwrap_or(self.remote)
    }

    fn remote(&self) -> SocketAddr {
        self.remote
    }

    fn set_nodelay(&self, nodelay: bool) {
        self.advise(|socket| sockopt::set_tcp_nodelay(socket, nodelay));
    }

    fn set_keep_alive(&self, interval: Option<Duration>) {
        self.advise(|socket| sockopt::set_socket_keepalive(socket, interval.is_some()));
        if let Some(interval) = interval {
            // Whole seconds, and no more of them than Linux takes.
            let interval = interval.clamp(Duration::from_secs(1), Duration::from_secs(32_767));
            self.advise(|socket| sockopt::set_tcp_keepidle(socket, interval));
            self.advise(|socket| sockopt::set_tcp_keepintvl(socket, interval));
        }
    }

    fn set_timeout(&self, limit: Duration) {
        let millis = u32::try_from(limit.as_millis()).unwrap_or(i32::MAX as u32);
        self.advise(|socket| sockopt::set_tcp_user_timeout(socket, millis));
    }

    fn error(&self) -> Option<Error> {
        if self.state.get() == State::Connecting {
            let ready = self.socket.ask(Interest::WRITABLE);
            if ready.answers(Interest::WRITABLE) {
                self.settle();
            }
        }
        match self.state.get() {
            State::Failed(error) => Some(error),
            State::Connected => self.failure(),
            _ => None,
        }
    }
}

impl Pollable for Connection {
    fn poll_readiness(&self, interest: Interest, cx: &mut Context<'_>) -> Readiness {
        let both = Readiness::READABLE | Readiness::WRITABLE;
        match self.broken.get() {
            Some(_) => both | Readiness::HANGUP | Readiness::ERROR,
            None => self.socket.poll(interest, cx),
        }
    }
}

/// How connections fail.
fn stream_error(errno: Errno) -> Error {
    match errno {
        Errno::TIMEDOUT => Error::Timeout,
        Errno::INVAL | Errno::AFNOSUPPORT => Error::Invalid,
        Errno::NOMEM | Errno::NOBUFS | Errno::MFILE | Errno::NFILE => Error::NoMemory,
        // Refused, reset, unreachable, whatever else.
        _ => Error::Io,
    }
}
