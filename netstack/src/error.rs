//! What can go wrong, one small enum for each operation.
//!
//! "Not yet" is never an error here: futures wait, and `try_` calls say `None`.

use core::fmt;

/// Why a stack could not be made or an address could not be bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BindError {
    /// Another socket has this port and address.
    InUse,
    /// The address is neither unspecified nor one of ours.
    NotOurs,
    /// No ephemeral port is free.
    NoPort,
    /// The stack's limit on sockets is reached, or there is no memory for the queues.
    OutOfMemory,
    /// The [`Policy`](crate::Policy) of the stack's handle does not allow it.
    Forbidden,
}

/// Why `connect` failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectError {
    /// The peer answered with a reset: nobody listens there.
    Refused,
    /// The peer did not answer within [`Timeouts::connect`](crate::Timeouts).
    TimedOut,
    /// There is no address of ours or no route to reach it from, or ours went away meanwhile.
    Unreachable,
    /// Port zero, or an address that is no single host's.
    InvalidAddress,
    /// No ephemeral port is free.
    NoPort,
    /// The socket is bound, and a connection between these two addresses is there, or was a moment ago.
    InUse,
    /// The [`Policy`](crate::Policy) of the stack's handle does not allow it.
    Forbidden,
    /// The limit on connections is reached, or there is no memory for the buffers.
    OutOfMemory,
}

/// Why a stream cannot be read or written any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamError {
    /// The peer reset the connection.
    Reset,
    /// The peer has been silent for too long.
    TimedOut,
    /// Our address is gone, or the stack gave the connection up for its limits.
    Aborted,
    /// We shut the sending side down before.
    Closed,
}

/// Why a datagram was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// Larger than one packet of the link, or than the socket's queue; nothing is fragmented.
    TooLarge,
    /// Port zero, or the unspecified address.
    InvalidAddress,
    /// There is no address of ours or no route to reach it from.
    Unreachable,
    /// The [`Policy`](crate::Policy) of the stack's handle does not allow it.
    Forbidden,
}

/// Why a name was not resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResolveError {
    /// Not a domain name: an empty label, one above 63 bytes, or more than 253 in all.
    InvalidName,
    /// Neither DHCP, router advertisements nor the configuration named a server.
    NoServer,
    /// The servers say that there is no such name, or that it has no address.
    NotFound,
    /// A server failed or refused.
    ServerFailed,
    /// No server answered in time.
    TimedOut,
    /// The sockets or routes needed to ask are not there.
    Unreachable,
    /// The [`Policy`](crate::Policy) of the stack's handle does not allow it.
    Forbidden,
}

macro_rules! messages {
    ($($error:ident { $($variant:ident => $text:literal),* $(,)? })*) => { $(
        impl fmt::Display for $error {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $($error::$variant => $text),* })
            }
        }
        impl core::error::Error for $error {}
    )* };
}

messages! {
    BindError {
        InUse => "the address is in use",
        NotOurs => "the address is not one of ours",
        NoPort => "no ephemeral port is free",
        OutOfMemory => "too many sockets, or no memory for another",
        Forbidden => "the policy forbids it",
    }
    ConnectError {
        Refused => "connection refused",
        TimedOut => "the peer did not answer",
        Unreachable => "no route to the peer",
        InvalidAddress => "not the address of a peer",
        NoPort => "no ephemeral port is free",
        InUse => "a connection between these addresses is there already",
        Forbidden => "the policy forbids it",
        OutOfMemory => "too many connections, or no memory for another",
    }
    StreamError {
        Reset => "connection reset by the peer",
        TimedOut => "the peer does not answer any more",
        Aborted => "connection aborted",
        Closed => "the sending side is shut down",
    }
    SendError {
        TooLarge => "the datagram is too large",
        InvalidAddress => "not the address of a peer",
        Unreachable => "no route to the peer",
        Forbidden => "the policy forbids it",
    }
    ResolveError {
        InvalidName => "not a domain name",
        NoServer => "no DNS server is known",
        NotFound => "no such name",
        ServerFailed => "the DNS server failed",
        TimedOut => "no DNS server answered",
        Unreachable => "no way to ask a DNS server",
        Forbidden => "the policy forbids it",
    }
}

impl embedded_io_async::Error for StreamError {
    fn kind(&self) -> embedded_io_async::ErrorKind {
        match self {
            StreamError::Reset => embedded_io_async::ErrorKind::ConnectionReset,
            StreamError::TimedOut => embedded_io_async::ErrorKind::TimedOut,
            StreamError::Aborted => embedded_io_async::ErrorKind::ConnectionAborted,
            StreamError::Closed => embedded_io_async::ErrorKind::BrokenPipe,
        }
    }
}

#[cfg(feature = "std")]
impl From<StreamError> for std::io::Error {
    fn from(error: StreamError) -> std::io::Error {
        let kind = match error {
            StreamError::Reset => std::io::ErrorKind::ConnectionReset,
            StreamError::TimedOut => std::io::ErrorKind::TimedOut,
            StreamError::Aborted => std::io::ErrorKind::ConnectionAborted,
            StreamError::Closed => std::io::ErrorKind::BrokenPipe,
        };
        std::io::Error::new(kind, error)
    }
}
