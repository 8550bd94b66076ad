//! Files in memory, for tests of calls: `disk:0` with blocks of 512 bytes, and `serial`, which swallows what is written.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::task::{Context, Poll};

use abi::Error;
use reactor::readiness::{Interest, Pollable, Readiness};
use reactor::task::yield_now;

use crate::backend::{File, Storage, Waiting};
use crate::console::{Console, ConsoleFile};

/// Bytes of a block.
const BLOCK: u32 = 512;

/// What `io_open` opens.
#[derive(Debug)]
pub struct Drawer {
    disk: Rc<RefCell<Vec<u8>>>,
}

impl Drawer {
    /// A disk of zeros, and a console.
    pub fn new(blocks: usize) -> Drawer {
        Drawer {
            disk: Rc::new(RefCell::new(alloc::vec![0; blocks * BLOCK as usize])),
        }
    }
}

impl Storage for Drawer {
    fn open(&self, path: &str, _: bool, _: bool) -> Result<Rc<dyn File>, Error> {
        match path {
            "disk:0" => Ok(Rc::new(Disk(Rc::clone(&self.disk)))),
            "serial" => Ok(Rc::new(ConsoleFile(Rc::new(Swallower)))),
            _ => Err(Error::NoEntry),
        }
    }
}

/// Every transfer takes a turn of the reactor.
struct Disk(Rc<RefCell<Vec<u8>>>);

impl File for Disk {
    fn size(&self) -> Option<u64> {
        Some(self.0.borrow().len() as u64)
    }

    fn block(&self) -> u32 {
        BLOCK
    }

    fn access(&self) -> (bool, bool) {
        (true, true)
    }

    fn read(&self, position: u64, most: usize) -> Waiting<'_, Vec<u8>> {
        Box::pin(async move {
            yield_now().await;
            let bytes = self.0.borrow();
            let rest = bytes.get(position as usize..).unwrap_or_default();
            Ok(rest[..rest.len().min(most)].into())
        })
    }

    fn write(&self, position: u64, from: Vec<u8>) -> Waiting<'_, usize> {
        Box::pin(async move {
            yield_now().await;
            let mut bytes = self.0.borrow_mut();
            let block = BLOCK as usize;
            let start = position as usize;
            assert!(start.is_multiple_of(block) && from.len().is_multiple_of(block));
            bytes[start..start + from.len()].copy_from_slice(&from);
            Ok(from.len())
        })
    }

    fn sync(&self) -> Waiting<'_, ()> {
        Box::pin(async {
            yield_now().await;
            Ok(())
        })
    }
}

impl Pollable for Disk {
    fn poll_readiness(&self, _: Interest, _: &mut Context<'_>) -> Readiness {
        Readiness::READABLE | Readiness::WRITABLE
    }
}

/// Takes everything.
struct Swallower;

impl Console for Swallower {
    fn poll_write(&self, _: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, Error>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_room(&self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn poll_sent(&self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}
