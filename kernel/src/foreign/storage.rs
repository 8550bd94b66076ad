//! What foreign programs open: `serial`, the console, and `disk:N`, a disk of the machine.
//!
//! Disks are the handles that native workloads get, under one policy with theirs.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::future::poll_fn;
use core::task::{Context, Poll};

use abi::Error;
use calls::backend::{File, Storage, Waiting};
use drivers::block::{Disk, DiskError};
use reactor::readiness::{Interest, Pollable, Readiness};

/// Where the console's bytes go, in order with the lines of the log.
pub trait Console {
    /// Takes bytes from the first on, as many as there is room for, at least one.
    fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<usize>;
    /// Whether there is room for at least one byte.
    fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()>;
    /// Whether everything has been sent.
    fn poll_sent(&self, cx: &mut Context<'_>) -> Poll<()>;
}

/// The files of a machine.
pub(super) struct Files {
    pub(super) context: crate::Context,
    pub(super) console: Rc<dyn Console>,
}

impl Storage for Files {
    fn open(&self, path: &str, _: bool, _: bool) -> Result<Rc<dyn File>, Error> {
        if path == "serial" {
            return if self.context.policy().serial() {
                Ok(Rc::new(Serial(Rc::clone(&self.console))))
            } else {
                Err(Error::Permission)
            };
        }
        let number = path.strip_prefix("disk:").and_then(number);
        let disk = self.context.disk(number.ok_or(Error::NoEntry)?);
        match disk {
            Ok(disk) => Ok(Rc::new(RawDisk(disk))),
            Err(error) if error.is_forbidden() => Err(Error::Permission),
            Err(_) => Err(Error::NoEntry),
        }
    }
}

/// A number as it is written: digits, and no zero before others, so that a disk has one name.
fn number(text: &str) -> Option<usize> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let shortest = text == "0" || !text.starts_with('0');
    (digits && shortest).then(|| text.parse().ok())?
}

/// The console.
struct Serial(Rc<dyn Console>);

impl File for Serial {
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
        Box::pin(async move { Ok(poll_fn(|cx| self.0.poll_write(cx, &bytes)).await) })
    }

    fn sync(&self) -> Waiting<'_, ()> {
        Box::pin(async {
            poll_fn(|cx| self.0.poll_sent(cx)).await;
            Ok(())
        })
    }
}

impl Pollable for Serial {
    fn poll_readiness(&self, interest: Interest, cx: &mut Context<'_>) -> Readiness {
        if interest.contains(Interest::WRITABLE) && self.0.poll_room(cx).is_ready() {
            Readiness::WRITABLE
        } else {
            Readiness::EMPTY
        }
    }
}

/// A disk, from its first byte on.
struct RawDisk(Disk);

impl File for RawDisk {
    fn size(&self) -> Option<u64> {
        Some(self.0.len_bytes())
    }

    fn block(&self) -> u32 {
        self.0.block_size() as u32
    }

    fn access(&self) -> (bool, bool) {
        (true, !self.0.read_only())
    }

    fn read(&self, position: u64, most: usize) -> Waiting<'_, Vec<u8>> {
        let left = self.0.len_bytes().saturating_sub(position);
        let len = left.min(most as u64) as usize;
        Box::pin(async move {
            if len == 0 {
                return Ok(Vec::new());
            }
            self.0.read(position, len).await.map_err(disk_error)
        })
    }

    fn write(&self, position: u64, bytes: Vec<u8>) -> Waiting<'_, usize> {
        Box::pin(async move {
            let len = bytes.len();
            let (written, _) = self.0.write(position, bytes).await;
            written.map(|()| len).map_err(disk_error)
        })
    }

    fn sync(&self) -> Waiting<'_, ()> {
        Box::pin(async { self.0.flush().await.map_err(disk_error) })
    }
}

impl Pollable for RawDisk {
    fn poll_readiness(&self, _: Interest, _: &mut Context<'_>) -> Readiness {
        Readiness::READABLE | Readiness::WRITABLE
    }
}

fn disk_error(error: DiskError) -> Error {
    match error {
        DiskError::OutOfRange | DiskError::Misaligned => Error::Invalid,
        DiskError::ReadOnly => Error::Permission,
        DiskError::OutOfMemory => Error::NoMemory,
        DiskError::Unsupported => Error::Unsupported,
        _ => Error::Io,
    }
}
