//! A TCP connection and a clock in the form that picoserve wants.

use alloc::rc::Rc;
use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::task::{Context, Poll};
use core::time::Duration;

use picoserve::io::{BaseWrite, ErrorType, Read, Socket, Write};
use picoserve::mem::{BorrowedBuffer, BorrowedCursor};
use picoserve::time::Duration as HttpDuration;
use picoserve::{Error, Timeouts, Timer};
use ukernel::net::{StreamError, TcpStream};
use ukernel::time::Clock;

/// Room for one formatted piece of an answer's head, in bytes; a longer one is formatted again for
/// each room that it fills.
const SCRATCH: usize = 256;
/// What is read and thrown away from a client after our last word, in bytes. Closing with unread
/// data resets the connection, which could destroy the answer on its way (RFC 9112, section 9.6).
const MAX_DISCARDED: usize = 64 * 1024;
/// How long that may take.
const LINGER: Duration = Duration::from_secs(2);

/// Marks picoserve's traits as implemented for this reactor.
pub struct Runtime;

/// picoserve's timeouts on the reactor's clock.
pub struct ReactorTimer(pub Clock);

impl Timer<Runtime> for ReactorTimer {
    async fn delay(&self, duration: HttpDuration) {
        self.0
            .sleep(Duration::from_millis(duration.as_millis()))
            .await;
    }
}

/// What picoserve is shown when it reads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// What the client sends; waits for it.
    All,
    /// What has arrived, and then the end of the stream.
    Arrived,
    /// The end of the stream.
    Nothing,
}

/// One connection; its clones share it. Once it is [cut](Self::cut) everything fails.
#[derive(Clone)]
pub struct Connection(Rc<Shared>);

struct Shared {
    stream: RefCell<Option<TcpStream>>,
    reading: Cell<Reading>,
    writing: Cell<bool>,
}

impl Connection {
    /// Takes a connection over.
    pub fn new(stream: TcpStream) -> Self {
        let stream = RefCell::new(Some(stream));
        Connection(Rc::new(Shared {
            stream,
            reading: Cell::new(Reading::All),
            writing: Cell::new(true),
        }))
    }

    /// Resets the connection, so that the client cannot take what it got for the whole.
    pub fn cut(&self) {
        if let Some(stream) = self.0.stream.take() {
            stream.abort();
        }
    }

    /// Shows picoserve only what has arrived, and the end of the stream behind it. Otherwise it would
    /// wait for the rest of a body that nobody reads before it answers.
    pub fn stop_waiting(&self) {
        self.0.reading.set(Reading::Arrived);
    }

    /// Undoes [`stop_waiting`](Self::stop_waiting). False if the end was shown: what comes next is the
    /// rest of a body, and no request.
    pub fn wait_again(&self) -> bool {
        let whole = self.0.reading.get() != Reading::Nothing;
        if whole {
            self.0.reading.set(Reading::All);
        }
        whole
    }

    /// Shows picoserve the end of the stream from here on, and fails whatever it writes: it may still
    /// hold bytes behind a request that was refused, and would take them for the next one.
    pub fn finish(&self) {
        self.0.reading.set(Reading::Nothing);
        self.0.writing.set(false);
    }

    /// Whether the last answer is out.
    pub fn is_finished(&self) -> bool {
        !self.0.writing.get()
    }

    /// Whether nothing can be answered any more: the connection was cut, reset or given up.
    pub async fn is_lost(&self) -> bool {
        poll_fn(|cx| self.poll(|stream| stream.poll_write(cx, &[])))
            .await
            .is_err()
    }

    fn poll<T>(
        &self,
        operation: impl FnOnce(&mut TcpStream) -> Poll<Result<T, StreamError>>,
    ) -> Poll<Result<T, StreamError>> {
        match &mut *self.0.stream.borrow_mut() {
            Some(stream) => operation(stream),
            None => Poll::Ready(Err(StreamError::Aborted)),
        }
    }

    /// Ends our side, and takes what the client still sends, within bounds.
    pub async fn close(self, clock: &Clock) {
        // The answer is out; how the client takes its leave does not matter any more.
        let _ = clock.timeout(LINGER, self.end_and_drain()).await;
    }

    async fn end_and_drain(&self) -> Result<(), StreamError> {
        poll_fn(|_| self.poll(TcpStream::poll_shutdown)).await?;
        let mut buffer = [0; 128];
        let mut discarded = 0;
        while discarded < MAX_DISCARDED {
            match self.receive(&mut buffer).await? {
                0 => break,
                count => discarded += count,
            }
        }
        Ok(())
    }

    /// Takes what has arrived; if that is nothing, what comes later is not shown any more.
    fn take_arrived(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Result<usize, StreamError> {
        if self.0.reading.get() == Reading::Arrived
            && let Poll::Ready(taken) = self.poll(|stream| stream.poll_read(cx, buffer))
            && taken != Ok(0)
        {
            return taken;
        }
        self.0.reading.set(Reading::Nothing);
        Ok(0)
    }

    async fn receive(&self, buffer: &mut [u8]) -> Result<usize, StreamError> {
        poll_fn(|cx| self.poll(|stream| stream.poll_read(cx, buffer))).await
    }
}

impl ErrorType for Connection {
    type Error = StreamError;
}

impl Read for Connection {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, StreamError> {
        if self.0.reading.get() == Reading::All {
            return self.receive(buffer).await;
        }
        poll_fn(|cx| Poll::Ready(self.take_arrived(cx, buffer))).await
    }
}

impl BaseWrite for Connection {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, StreamError> {
        if self.is_finished() {
            return Err(StreamError::Closed);
        }
        poll_fn(|cx| self.poll(|stream| stream.poll_write(cx, bytes))).await
    }

    /// The stack sends by itself at the end of the turn, and everything that was written until
    /// then together: head and body of a short answer make one segment.
    async fn flush(&mut self) -> Result<(), StreamError> {
        Ok(())
    }
}

impl Write for Connection {
    async fn write_with<F: FnOnce(BorrowedCursor<'_>) -> R, R>(
        &mut self,
        fill: F,
    ) -> Result<R, StreamError> {
        let mut scratch = [0; SCRATCH];
        let mut scratch = BorrowedBuffer::new(&mut scratch);
        let result = fill(scratch.unfilled());
        self.write_all(scratch.filled()).await?;
        Ok(result)
    }
}

impl Socket<Runtime> for Connection {
    type Error = StreamError;
    type ReadHalf<'a> = Connection;
    type WriteHalf<'a> = Connection;

    fn split(&mut self) -> (Connection, Connection) {
        (self.clone(), self.clone())
    }

    /// Does nothing: picoserve also aborts behind an answer of 400, which a reset could destroy.
    /// The server decides when picoserve is done.
    async fn abort<T: Timer<Runtime>>(
        self,
        _timeouts: &Timeouts,
        _timer: &T,
    ) -> Result<(), Error<StreamError>> {
        Ok(())
    }

    /// Does nothing, as [`abort`](Self::abort).
    async fn shutdown<T: Timer<Runtime>>(
        self,
        _timeouts: &Timeouts,
        _timer: &T,
    ) -> Result<(), Error<StreamError>> {
        Ok(())
    }
}
