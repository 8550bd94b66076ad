//! Descriptors that the program has opened, as files: `io_from_fd`.
//!
//! A transfer waits until Linux says that it need not wait, and then takes or gives what there is.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};

use abi::Error;
use calls::backend::{File, Waiting};
use reactor::readiness::{Interest, Pollable, Readiness};
use rustix::io::{self, Errno};

use crate::descriptor::Descriptor;

/// What a pipe that is writable takes without waiting, also one whose descriptor waits (`PIPE_BUF`).
const MOST_WITHOUT_WAITING: usize = 4096;

/// A descriptor of the program.
pub(crate) struct Adopted(pub(crate) Rc<Descriptor>);

impl Adopted {
    /// Tries `transfer` whenever it need not wait.
    async fn transfer<T>(
        &self,
        interest: Interest,
        mut transfer: impl FnMut(&Descriptor) -> io::Result<T>,
    ) -> Result<T, Error> {
        poll_fn(|cx| {
            if !self.0.poll(interest, cx).answers(interest) {
                return Poll::Pending;
            }
            match transfer(&self.0) {
                Err(Errno::AGAIN | Errno::INTR) => {
                    self.0.wait(interest, cx);
                    Poll::Pending
                }
                result => Poll::Ready(result.map_err(error)),
            }
        })
        .await
    }
}

impl File for Adopted {
    fn size(&self) -> Option<u64> {
        None
    }

    fn block(&self) -> u32 {
        1
    }

    fn access(&self) -> (bool, bool) {
        (true, true)
    }

    fn read(&self, _: u64, most: usize) -> Waiting<'_, Vec<u8>> {
        Box::pin(self.transfer(Interest::READABLE, move |descriptor| {
            let mut bytes = Vec::with_capacity(most);
            io::read(descriptor, rustix::buffer::spare_capacity(&mut bytes))?;
            Ok(bytes)
        }))
    }

    fn write(&self, _: u64, bytes: Vec<u8>) -> Waiting<'_, usize> {
        Box::pin(self.transfer(Interest::WRITABLE, move |descriptor| {
            let some = bytes.len().min(MOST_WITHOUT_WAITING);
            io::write(descriptor, &bytes[..some])
        }))
    }

    fn sync(&self) -> Waiting<'_, ()> {
        Box::pin(async { Ok(()) })
    }
}

impl Pollable for Adopted {
    fn poll_readiness(&self, interest: Interest, cx: &mut Context<'_>) -> Readiness {
        self.0.poll(interest, cx)
    }
}

/// What the interface calls an error of Linux.
pub(crate) fn error(error: Errno) -> Error {
    match error {
        Errno::INVAL | Errno::BADF | Errno::NAMETOOLONG => Error::Invalid,
        Errno::NOENT | Errno::NOTDIR => Error::NoEntry,
        Errno::NOMEM | Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOSPC => {
            Error::NoMemory
        }
        Errno::PERM | Errno::ACCESS | Errno::ROFS => Error::Permission,
        Errno::ADDRINUSE | Errno::BUSY | Errno::EXIST => Error::Busy,
        Errno::TIMEDOUT => Error::Timeout,
        Errno::PIPE => Error::Closed,
        Errno::NOSYS | Errno::OPNOTSUPP | Errno::AFNOSUPPORT => Error::Unsupported,
        Errno::AGAIN | Errno::INPROGRESS => Error::WouldBlock,
        _ => Error::Io,
    }
}
