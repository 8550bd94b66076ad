//! Streams in two halves, one to read and one to write.
//!
//! Borrowed halves serve one task; owned ones may live in two. Both only forward to the stream.

use alloc::rc::Rc;
use core::net::SocketAddr;
use core::task::{Context, Poll};

use super::held::Held;
use crate::error::StreamError;

/// The half of a borrowed stream that reads.
pub struct ReadHalf<'s> {
    held: &'s Held,
}

/// The half of a borrowed stream that writes.
pub struct WriteHalf<'s> {
    held: &'s Held,
}

/// A half of a stream that reads.
pub struct OwnedReadHalf {
    held: Rc<Held>,
}

/// A half of a stream that writes. Dropping it ends the sending side with a FIN.
pub struct OwnedWriteHalf {
    held: Rc<Held>,
}

macro_rules! half {
    ($([$($life:lifetime)?] $half:ident, $inner:ty;)*) => { $(
        impl$(<$life>)? $half$(<$life>)? {
            pub(super) fn new(held: $inner) -> Self {
                $half { held }
            }

            /// Our end.
            pub fn local_addr(&self) -> SocketAddr {
                self.held.flow().local
            }

            /// The peer's end.
            pub fn peer_addr(&self) -> SocketAddr {
                self.held.flow().remote
            }
        }
    )* };
}

macro_rules! reads {
    ($($half:ty),*) => { $(
        impl $half {
            /// As [`TcpStream::read`](crate::TcpStream::read).
            pub fn read(&mut self, buffer: &mut [u8]) -> impl Future<Output = Result<usize, StreamError>> {
                self.held.read(buffer)
            }

            /// As [`TcpStream::poll_read`](crate::TcpStream::poll_read).
            pub fn poll_read(
                &mut self,
                cx: &mut Context<'_>,
                buffer: &mut [u8],
            ) -> Poll<Result<usize, StreamError>> {
                self.held.poll_read(cx, buffer)
            }
        }
    )* };
}

macro_rules! writes {
    ($($half:ty),*) => { $(
        impl $half {
            /// As [`TcpStream::write`](crate::TcpStream::write).
            pub fn write(&mut self, bytes: &[u8]) -> impl Future<Output = Result<usize, StreamError>> {
                self.held.write(bytes)
            }

            /// As [`TcpStream::write_all`](crate::TcpStream::write_all).
            pub fn write_all(&mut self, bytes: &[u8]) -> impl Future<Output = Result<(), StreamError>> {
                self.held.write_all(bytes)
            }

            /// As [`TcpStream::flush`](crate::TcpStream::flush).
            pub async fn flush(&mut self) -> Result<(), StreamError> {
                Ok(())
            }

            /// As [`TcpStream::shutdown`](crate::TcpStream::shutdown).
            pub async fn shutdown(&mut self) -> Result<(), StreamError> {
                self.held.shutdown()
            }

            /// As [`TcpStream::poll_write`](crate::TcpStream::poll_write).
            pub fn poll_write(
                &mut self,
                cx: &mut Context<'_>,
                bytes: &[u8],
            ) -> Poll<Result<usize, StreamError>> {
                self.held.poll_write(cx, bytes)
            }

            /// As [`TcpStream::poll_shutdown`](crate::TcpStream::poll_shutdown).
            pub fn poll_shutdown(&mut self) -> Poll<Result<(), StreamError>> {
                Poll::Ready(self.held.shutdown())
            }
        }
    )* };
}

half! {
    ['s] ReadHalf, &'s Held;
    ['s] WriteHalf, &'s Held;
    [] OwnedReadHalf, Rc<Held>;
    [] OwnedWriteHalf, Rc<Held>;
}
reads!(ReadHalf<'_>, OwnedReadHalf);
writes!(WriteHalf<'_>, OwnedWriteHalf);

impl Drop for OwnedWriteHalf {
    fn drop(&mut self) {
        // An error means that the connection is over, which is all that was wanted.
        let _ = self.held.shutdown();
    }
}
