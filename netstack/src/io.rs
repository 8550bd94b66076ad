//! The ecosystem's I/O traits for streams and their halves.
//!
//! embedded-io-async always; futures' traits with the feature `std`, which `futures-io` needs.

use embedded_io_async::{ErrorType, Read, Write};

use crate::error::StreamError;
use crate::tcp::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, TcpStream, WriteHalf};

macro_rules! errors {
    ($($kind:ty),*) => { $(
        impl ErrorType for $kind {
            type Error = StreamError;
        }
    )* };
}

macro_rules! reads {
    ($($kind:ty),*) => { $(
        impl Read for $kind {
            async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, StreamError> {
                <$kind>::read(self, buffer).await
            }
        }

        #[cfg(feature = "std")]
        impl futures_io::AsyncRead for $kind {
            fn poll_read(
                self: core::pin::Pin<&mut Self>,
                cx: &mut core::task::Context<'_>,
                buffer: &mut [u8],
            ) -> core::task::Poll<std::io::Result<usize>> {
                <$kind>::poll_read(self.get_mut(), cx, buffer).map_err(Into::into)
            }
        }
    )* };
}

macro_rules! writes {
    ($($kind:ty),*) => { $(
        impl Write for $kind {
            async fn write(&mut self, bytes: &[u8]) -> Result<usize, StreamError> {
                <$kind>::write(self, bytes).await
            }

            async fn flush(&mut self) -> Result<(), StreamError> {
                <$kind>::flush(self).await
            }
        }

        #[cfg(feature = "std")]
        impl futures_io::AsyncWrite for $kind {
            fn poll_write(
                self: core::pin::Pin<&mut Self>,
                cx: &mut core::task::Context<'_>,
                bytes: &[u8],
            ) -> core::task::Poll<std::io::Result<usize>> {
                <$kind>::poll_write(self.get_mut(), cx, bytes).map_err(Into::into)
            }

            fn poll_flush(
                self: core::pin::Pin<&mut Self>,
                _: &mut core::task::Context<'_>,
            ) -> core::task::Poll<std::io::Result<()>> {
                core::task::Poll::Ready(Ok(()))
            }

            fn poll_close(
                self: core::pin::Pin<&mut Self>,
                _: &mut core::task::Context<'_>,
            ) -> core::task::Poll<std::io::Result<()>> {
                <$kind>::poll_shutdown(self.get_mut()).map_err(Into::into)
            }
        }
    )* };
}

errors!(
    TcpStream,
    ReadHalf<'_>,
    WriteHalf<'_>,
    OwnedReadHalf,
    OwnedWriteHalf
);
reads!(TcpStream, ReadHalf<'_>, OwnedReadHalf);
writes!(TcpStream, WriteHalf<'_>, OwnedWriteHalf);
