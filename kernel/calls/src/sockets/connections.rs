//! The calls that make connections and end them: `net_listen`, `net_connect`, `net_accept`, `net_shutdown`.

use alloc::rc::Rc;
use core::future::poll_fn;
use core::net::SocketAddr;
use core::task::{Context, Poll, Waker, ready};

use abi::Error;
use abi::capability::Kind;
use abi::handle::Handle;
use abi::number::{NET_SHUT_BOTH, NET_SHUT_READ, NET_SHUT_WRITE};
use reactor::readiness::Interest;

use super::options::{DEFAULT_BACKLOG, MAX_BACKLOG};
use super::{Found, Link, Mailbox, Socket, State, Type};
use crate::backend::Stream;
use crate::failure::{Failure, Outcome};
use crate::object::{Direction, Object};
use crate::task::Task;
use crate::user::Alleged;
use crate::wait::until;

impl Task {
    /// `net_listen`.
    pub fn net_listen(&self, handle: Handle, backlog: u32) -> Outcome {
        self.need(Kind::Net)?;
        let found = self.found(handle)?;
        if !found.socket.is_stream() {
            return Err(found.unsupported());
        }
        let failed = |error| found.failed(error);
        let port = match &*found.socket.state.borrow() {
            State::Bound(port) => Rc::clone(port),
            State::Fresh => {
                let any = found.socket.domain.any();
                self.network()?.reserve(any).map_err(failed)?
            }
            _ => return Err(found.invalid()),
        };
        let backlog = if backlog == 0 {
            DEFAULT_BACKLOG
        } else {
            backlog
        };
        let mut options = found.socket.options.get().stream;
        options.backlog = backlog.min(MAX_BACKLOG) as usize;
        let listener = port.listen(options).map_err(failed)?;
        found.socket.set_state(State::Listening(listener));
        Ok(())
    }

    /// `net_connect`.
    pub async fn net_connect(&self, handle: Handle, address: Alleged) -> Outcome {
        self.need(Kind::Net)?;
        let found = self.found(handle)?;
        let remote = found.socket.domain.read(self.space(), &address)?;
        if !found.socket.is_stream() {
            return self.connect_datagram(&found, remote, &address);
        }
        let _connecting = found.occupy(Direction::Write)?;
        let nonblocking = found.socket.options.get().nonblocking;
        if !nonblocking && !remote.ip().is_loopback() {
            let mut ready = self.network()?.ready();
            until(&found.entry, false, |cx| ready.as_mut().poll(cx).map(Ok)).await?;
        }
        let stream = self.begin_to_connect(&found, remote, &address)?;
        until(&found.entry, nonblocking, |cx| {
            let connected = stream.poll_connected(cx);
            connected.map_err(|error| found.failed(error))
        })
        .await
    }

    fn begin_to_connect(
        &self,
        found: &Found,
        remote: SocketAddr,
        address: &Alleged,
    ) -> Outcome<Rc<dyn Stream>> {
        let options = found.socket.options.get();
        let port = match &*found.socket.state.borrow() {
            State::Fresh => None,
            State::Bound(port) => Some(Rc::clone(port)),
            State::Stream(link) => {
                let connected = link
                    .stream
                    .poll_connected(&mut Context::from_waker(Waker::noop()));
                let busy = connected.is_pending();
                return Err(if busy {
                    found.failed(Error::Busy)
                } else {
                    found.invalid()
                });
            }
            _ => return Err(found.invalid()),
        };
        let stream = match &port {
            None => self.network()?.connect(remote, options.stream),
            Some(port) => port.connect(remote, options.stream),
        };
        let stream = stream.map_err(|error| address.failure(error))?;
        options.apply(&*stream);
        found.socket.set_state(State::Stream(Link {
            stream: Rc::clone(&stream),
            _port: port,
        }));
        Ok(stream)
    }

    fn connect_datagram(&self, found: &Found, remote: SocketAddr, address: &Alleged) -> Outcome {
        self.ensure_mailbox(found)?;
        if let State::Datagram(mailbox) = &mut *found.socket.state.borrow_mut() {
            let connected = mailbox.socket.connect(remote);
            connected.map_err(|error| address.failure(error))?;
            mailbox.peer = Some(remote);
        }
        Ok(())
    }

    /// Gives a datagram socket any free port, if it has none yet.
    pub(super) fn ensure_mailbox(&self, found: &Found) -> Outcome {
        if found.socket.is_fresh() {
            let bound = self.network()?.bind(found.socket.domain.any());
            let socket = bound.map_err(|error| found.failed(error))?;
            let peer = None;
            found
                .socket
                .set_state(State::Datagram(Mailbox { socket, peer }));
        }
        Ok(())
    }

    /// `net_accept`: the new socket and the peer.
    pub async fn net_accept(&self, handle: Handle, flags: u32) -> Outcome<(Handle, SocketAddr)> {
        self.need(Kind::Net)?;
        let found = self.found(handle)?;
        let nonblocking = found.socket.nonblocking(2, flags)?;
        if !found.socket.is_stream() {
            return Err(found.unsupported());
        }
        until(&found.entry, nonblocking, |cx| self.poll_accept(&found, cx)).await
    }

    fn poll_accept(
        &self,
        found: &Found,
        cx: &mut Context<'_>,
    ) -> Poll<Outcome<(Handle, SocketAddr)>> {
        let listening = &found.socket;
        let State::Listening(listener) = &*listening.state.borrow() else {
            return Poll::Ready(Err(found.invalid()));
        };
        let ready = listener.poll_readiness(Interest::READABLE, cx);
        if !ready.answers(Interest::READABLE) {
            return Poll::Pending;
        }
        // Its handle first: no connection is taken for which there is none.
        let options = listening.options.get().inherited();
        let socket = Rc::new(Socket::new(listening.domain, Type::Stream, options));
        let handle = self.adopt(Object::Socket(Rc::clone(&socket)))?;
        let accepted = listener.poll_accept(cx);
        let Poll::Ready(Ok(stream)) = accepted else {
            self.release(handle);
            return Poll::Ready(Err(
                found.failed(ready!(accepted).err().unwrap_or(Error::Io))
            ));
        };
        options.apply(&*stream);
        let peer = listening.domain.seen(stream.remote());
        socket.set_state(State::Stream(Link {
            stream,
            _port: None,
        }));
        Poll::Ready(Ok((handle, peer)))
    }

    /// `net_shutdown`.
    pub fn net_shutdown(&self, handle: Handle, how: u32) -> Outcome {
        self.need(Kind::Net)?;
        let found = self.found(handle)?;
        if !matches!(how, NET_SHUT_READ | NET_SHUT_WRITE | NET_SHUT_BOTH) {
            return Err(Failure::invalid(2, how.into()));
        }
        if !found.socket.is_stream() {
            return Err(found.unsupported());
        }
        let link = found.socket.connected().ok_or(found.invalid())?;
        if how & NET_SHUT_READ != 0 {
            self.discard(&found, &link)?;
        }
        if how & NET_SHUT_WRITE != 0 {
            let ended = link.stream.shutdown_write();
            ended.map_err(|error| found.failed(error))?;
        }
        Ok(())
    }

    /// Has what comes on a stream dropped, so that the peer is not held up by what nobody reads.
    fn discard(&self, found: &Found, link: &Link) -> Outcome {
        if found.socket.is_deaf() {
            return Ok(());
        }
        let stream = Rc::clone(&link.stream);
        let discarding = async move {
            let mut bytes = [0; 512];
            while let Ok(1..) = poll_fn(|cx| stream.poll_read(cx, &mut bytes)).await {}
        };
        let spawner = &self.program().machine.spawner;
        let job = spawner.task("discard").try_spawn(discarding);
        *found.socket.discarding.borrow_mut() = Some(job.map_err(|_| Error::NoMemory)?);
        found.socket.changed.borrow_mut().wake_all();
        Ok(())
    }
}
