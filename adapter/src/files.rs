//! Descriptors that the program has opened, as files: `io_from_fd`.
//!
//! A transfer takes or gives what there is without waiting. Whether the descriptor waits is not changed: that is for
//! those who have it too.

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};

use abi::Error;
use calls::backend::{File, Waiting};
use reactor::readiness::{Interest, Pollable, Readiness};
use rustix::buffer::spare_capacity;
use rustix::io::{self, Errno};
use rustix::net::{RecvFlags, SendFlags, recv, send};

use crate::descriptor::Descriptor;

/// What a pipe that is writable takes without waiting, also one whose descriptor waits (`PIPE_BUF`).
const MOST_WITHOUT_WAITING: usize = 4096;

/// A descriptor of the program.
pub(crate) struct Adopted {
    descriptor: Rc<Descriptor>,
    /// Whether it is a socket, which can be told not to wait whatever it does otherwise; as long as nothing else is
    /// known.
    is_socket: Cell<bool>,
}

impl Adopted {
    /// A descriptor as a file.
    pub(crate) fn new(descriptor: &Rc<Descriptor>) -> Adopted {
        Adopted {
            descriptor: Rc::clone(descriptor),
            is_socket: Cell::new(true),
        }
    }

    /// Tries `transfer` whenever it need not wait.
    async fn transfer<T>(
        &self,
        interest: Interest,
        mut transfer: impl FnMut(&Descriptor, bool) -> io::Result<T>,
    ) -> Result<T, Error> {
        poll_fn(|cx| {
            if self.is_socket.get() {
                match transfer(&self.descriptor, true) {
                    Err(Errno::NOTSOCK) => self.is_socket.set(false),
                    result => return self.done(interest, cx, result),
                }
            }
            if !self.descriptor.ask(interest).answers(interest) {
                self.descriptor.wait(interest, cx);
                return Poll::Pending;
            }
            let result = transfer(&self.descriptor, false);
            self.done(interest, cx, result)
        })
        .await
    }

    fn done<T>(
        &self,
        interest: Interest,
        cx: &mut Context<'_>,
        result: io::Result<T>,
    ) -> Poll<Result<T, Error>> {
        match result {
            Err(Errno::AGAIN | Errno::INTR) => {
                self.descriptor.wait(interest, cx);
                Poll::Pending
            }
            result => Poll::Ready(result.map_err(error)),
        }
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
        Box::pin(
            self.transfer(Interest::READABLE, move |descriptor, is_socket| {
                let mut bytes = Vec::with_capacity(most);
                let room = spare_capacity(&mut bytes);
                if is_socket {
                    recv(descriptor, room, RecvFlags::DONTWAIT)?;
                } else {
                    io::read(descriptor, room)?;
                }
                Ok(bytes)
            }),
        )
    }

    fn write(&self, _: u64, bytes: Vec<u8>) -> Waiting<'_, usize> {
        Box::pin(
            self.transfer(Interest::WRITABLE, move |descriptor, is_socket| {
                if is_socket {
                    send(
                        descriptor,
                        &bytes,
                        SendFlags::DONTWAIT | SendFlags::NOSIGNAL,
                    )
                } else {
                    let some = bytes.len().min(MOST_WITHOUT_WAITING);
                    io::write(descriptor, &bytes[..some])
                }
            }),
        )
    }

    fn sync(&self) -> Waiting<'_, ()> {
        Box::pin(async { Ok(()) })
    }
}

impl Pollable for Adopted {
    fn poll_readiness(&self, interest: Interest, cx: &mut Context<'_>) -> Readiness {
        self.descriptor.poll(interest, cx)
    }

    fn rearm(&self, interest: Interest, cx: &mut Context<'_>) -> bool {
        self.descriptor.rearm(interest, cx)
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
