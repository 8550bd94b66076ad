//! The calls `net_set_option` and `net_get_option`, and what a socket remembers for them.

use core::time::Duration;

use abi::Error;
use abi::capability::Kind;
use abi::handle::Handle;
use abi::number::{
    NET_OPT_ERROR, NET_OPT_KEEPALIVE_NS, NET_OPT_NODELAY, NET_OPT_NONBLOCK, NET_OPT_RECEIVE_BUFFER,
    NET_OPT_SEND_BUFFER, NET_OPT_TIMEOUT_NS,
};

use super::{Socket, State};
use crate::backend::{DEFAULT_BUFFER, Stream, StreamOptions};
use crate::failure::{Failure, Outcome};
use crate::task::Task;

/// Connections that may wait to be accepted, where a program does not say.
pub(super) const DEFAULT_BACKLOG: u32 = 128;
/// The most of them; a larger wish counts as this.
pub(super) const MAX_BACKLOG: u32 = 4096;
/// The most bytes of a buffer.
const MAX_BUFFER: u64 = 1 << 30;
/// How soon an idle peer may be asked: more often would be a flood.
const MIN_KEEP_ALIVE: u64 = 1_000_000_000;
/// The shortest patience with a peer that does not answer.
const MIN_TIMEOUT: u64 = 1_000_000;

/// What a program has chosen for a socket. Sockets that it accepts begin with what their listener has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Options {
    pub(super) nonblocking: bool,
    pub(super) stream: StreamOptions,
    nodelay: bool,
    /// Nanoseconds; 0: never.
    keep_alive: u64,
    /// Nanoseconds; 0: what the network does by itself.
    timeout: u64,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            nonblocking: false,
            stream: StreamOptions {
                backlog: DEFAULT_BACKLOG as usize,
                receive_buffer: DEFAULT_BUFFER,
                send_buffer: DEFAULT_BUFFER,
            },
            nodelay: true,
            keep_alive: 0,
            timeout: 0,
        }
    }
}

impl Options {
    /// Tells a new stream what is not as it begins.
    pub(super) fn apply(&self, stream: &dyn Stream) {
        if !self.nodelay {
            stream.set_nodelay(false);
        }
        if self.keep_alive != 0 {
            stream.set_keep_alive(self.keep_alive());
        }
        if self.timeout != 0 {
            stream.set_timeout(Duration::from_nanos(self.timeout));
        }
    }

    /// For a socket that was accepted.
    pub(super) fn inherited(self) -> Options {
        Options {
            nonblocking: false,
            ..self
        }
    }

    fn keep_alive(&self) -> Option<Duration> {
        (self.keep_alive != 0).then(|| Duration::from_nanos(self.keep_alive))
    }
}

/// One of a stream's buffers.
fn buffer(value: u64) -> Option<usize> {
    (1..=MAX_BUFFER).contains(&value).then_some(value as usize)
}

fn flag(value: u64) -> Option<bool> {
    (value <= 1).then_some(value == 1)
}

impl Task {
    /// `net_set_option`.
    pub fn net_set_option(&self, handle: Handle, option: u32, value: u64) -> Outcome {
        self.need(Kind::Net)?;
        let (_, socket) = self.socket_of(1, handle)?;
        let unsupported = Failure::of(Error::Unsupported, 2, option.into());
        let invalid = Failure::invalid(3, value);
        let mut options = socket.options.get();
        if option == NET_OPT_NONBLOCK {
            options.nonblocking = flag(value).ok_or(invalid)?;
            socket.options.set(options);
            return Ok(());
        }
        if !socket.is_stream() {
            return Err(unsupported);
        }
        match option {
            NET_OPT_NODELAY => options.nodelay = flag(value).ok_or(invalid)?,
            NET_OPT_KEEPALIVE_NS if value == 0 || value >= MIN_KEEP_ALIVE => {
                options.keep_alive = value;
            }
            NET_OPT_TIMEOUT_NS if value >= MIN_TIMEOUT => options.timeout = value,
            NET_OPT_KEEPALIVE_NS | NET_OPT_TIMEOUT_NS => return Err(invalid),
            NET_OPT_RECEIVE_BUFFER | NET_OPT_SEND_BUFFER if !socket.is_idle() => {
                return Err(Failure::invalid(1, handle.to_bits()));
            }
            NET_OPT_RECEIVE_BUFFER => {
                options.stream.receive_buffer = buffer(value).ok_or(invalid)?;
            }
            NET_OPT_SEND_BUFFER => options.stream.send_buffer = buffer(value).ok_or(invalid)?,
            _ => return Err(unsupported),
        }
        socket.options.set(options);
        socket.tell(option);
        Ok(())
    }

    /// `net_get_option`.
    pub fn net_get_option(&self, handle: Handle, option: u32) -> Outcome<u64> {
        self.need(Kind::Net)?;
        let (_, socket) = self.socket_of(1, handle)?;
        let options = socket.options.get();
        Ok(match option {
            NET_OPT_NONBLOCK => options.nonblocking.into(),
            NET_OPT_ERROR => socket.error().map_or(0, |error| error.code().into()),
            NET_OPT_NODELAY if socket.is_stream() => options.nodelay.into(),
            NET_OPT_KEEPALIVE_NS if socket.is_stream() => options.keep_alive,
            NET_OPT_TIMEOUT_NS if socket.is_stream() => options.timeout,
            NET_OPT_RECEIVE_BUFFER if socket.is_stream() => options.stream.receive_buffer as u64,
            NET_OPT_SEND_BUFFER if socket.is_stream() => options.stream.send_buffer as u64,
            _ => return Err(Failure::of(Error::Unsupported, 2, option.into())),
        })
    }
}

impl Socket {
    /// Tells a stream that is there about an option that has just been set.
    fn tell(&self, option: u32) {
        let State::Stream(link) = &*self.state.borrow() else {
            return;
        };
        let options = self.options.get();
        match option {
            NET_OPT_NODELAY => link.stream.set_nodelay(options.nodelay),
            NET_OPT_KEEPALIVE_NS => link.stream.set_keep_alive(options.keep_alive()),
            NET_OPT_TIMEOUT_NS => link
                .stream
                .set_timeout(Duration::from_nanos(options.timeout)),
            _ => {}
        }
    }

    /// How the connection failed, if there was one and it did.
    fn error(&self) -> Option<Error> {
        match &*self.state.borrow() {
            State::Stream(link) => link.stream.error(),
            _ => None,
        }
    }
}
