//! The console as a file: `serial` of `io_open`, the same in a machine, on Linux and in tests. Where the bytes go is a trait.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::future::poll_fn;
use core::task::{Context, Poll};

use abi::Error;
use reactor::readiness::{Interest, Pollable, Readiness};

use crate::backend::{File, Waiting};

/// Where the bytes of a program's console go.
///
/// ```
/// use std::{cell::RefCell, rc::Rc, task::{Context, Poll}};
/// use calls::console::{Console, ConsoleFile};
/// use calls::{Error, backend::File};
/// use reactor::{Reactor, testing::VirtualClock};
///
/// #[derive(Default)]
/// struct Screen(RefCell<Vec<u8>>);
/// impl Console for Screen {
///     fn poll_write(&self, _: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, Error>> {
///         self.0.borrow_mut().extend(bytes);
///         Poll::Ready(Ok(bytes.len()))
///     }
///     fn poll_room(&self, _: &mut Context<'_>) -> Poll<()> {
///         Poll::Ready(())
///     }
///     fn poll_sent(&self, _: &mut Context<'_>) -> Poll<()> {
///         Poll::Ready(())
///     }
/// }
///
/// let screen = Rc::new(Screen::default());
/// let file = ConsoleFile(screen.clone());
/// Reactor::new(VirtualClock::new()).block_on(async { file.write(0, b"hello".into()).await }).unwrap();
/// assert_eq!(*screen.0.borrow(), b"hello");
/// ```
pub trait Console {
    /// Takes bytes from the first on, as many as there is room for, at least one.
    fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, Error>>;
    /// Whether there is room for at least one byte.
    fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()>;
    /// Whether everything has been sent.
    fn poll_sent(&self, cx: &mut Context<'_>) -> Poll<()>;
}

/// A console as a file: for writing only, with no end and no positions.
pub struct ConsoleFile(pub Rc<dyn Console>);

impl File for ConsoleFile {
    fn size(&self) -> Option<u64> {
        None
    }

    fn block(&self) -> u32 {
        1
    }

    fn access(&self) -> (bool, bool) {
        (false, true)
    }

    fn read(&self, _: u64, _: usize) -> Waiting<'_, Vec<u8>> {
        Box::pin(async { Err(Error::Permission) })
    }

    fn write(&self, _: u64, bytes: Vec<u8>) -> Waiting<'_, usize> {
        Box::pin(async move { poll_fn(|cx| self.0.poll_write(cx, &bytes)).await })
    }

    fn sync(&self) -> Waiting<'_, ()> {
        Box::pin(async {
            poll_fn(|cx| self.0.poll_sent(cx)).await;
            Ok(())
        })
    }
}

impl Pollable for ConsoleFile {
    fn poll_readiness(&self, interest: Interest, cx: &mut Context<'_>) -> Readiness {
        if interest.contains(Interest::WRITABLE) && self.0.poll_room(cx).is_ready() {
            Readiness::WRITABLE
        } else {
            Readiness::EMPTY
        }
    }
}
