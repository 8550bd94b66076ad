//! A connection and a clock of the kernel in the form that picoserve wants.

use core::time::Duration;

use picoserve::io::{BaseWrite, ErrorType, Socket, Write};
use picoserve::mem::{BorrowedBuffer, BorrowedCursor};
use picoserve::time::Duration as HttpDuration;
use picoserve::{Error, Timeouts, Timer};
use ukernel::net::{ReadHalf, StreamError, TcpStream, WriteHalf};

/// Room for one formatted piece of an answer's head, in bytes.
const SCRATCH: usize = 256;

/// Names the traits' implementations for this kernel.
pub(crate) struct Runtime;

/// The kernel's clock.
pub(crate) struct Clock(pub(crate) ukernel::time::Clock);

impl Timer<Runtime> for Clock {
    async fn delay(&self, duration: HttpDuration) {
        let duration = Duration::from_millis(duration.as_millis());
        self.0.sleep(duration).await;
    }
}

/// A TCP connection.
pub(crate) struct Connection(pub(crate) TcpStream);

impl Socket<Runtime> for Connection {
    type Error = StreamError;
    type ReadHalf<'a> = ReadHalf<'a>;
    type WriteHalf<'a> = Writer<'a>;

    fn split(&mut self) -> (ReadHalf<'_>, Writer<'_>) {
        let (read, write) = self.0.split();
        (read, Writer(write))
    }

    async fn abort<T: Timer<Runtime>>(
        self,
        _timeouts: &Timeouts,
        _timer: &T,
    ) -> Result<(), Error<StreamError>> {
        self.0.abort();
        Ok(())
    }

    async fn shutdown<T: Timer<Runtime>>(
        mut self,
        _timeouts: &Timeouts,
        _timer: &T,
    ) -> Result<(), Error<StreamError>> {
        self.0.shutdown().await.map_err(Error::Write)
    }
}

/// Where an answer is written to.
pub(crate) struct Writer<'a>(WriteHalf<'a>);

impl ErrorType for Writer<'_> {
    type Error = StreamError;
}

impl BaseWrite for Writer<'_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, StreamError> {
        self.0.write(bytes).await
    }

    async fn flush(&mut self) -> Result<(), StreamError> {
        self.0.flush().await
    }
}

impl Write for Writer<'_> {
    async fn write_with<F: FnOnce(BorrowedCursor<'_>) -> R, R>(
        &mut self,
        fill: F,
    ) -> Result<R, StreamError> {
        let mut scratch = [0; SCRATCH];
        let mut scratch = BorrowedBuffer::new(&mut scratch);
        let result = fill(scratch.unfilled());
        self.0.write_all(scratch.filled()).await?;
        Ok(result)
    }
}
