//! What foreign programs open: `serial`, the console; `disk:N`, a disk of the machine, and `volume:NAME`, the same by the
//! bundle's name for it; `bundle:PATH`, a file of the bundle.
//!
//! Disks are the handles that native workloads get, under one policy with theirs.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::future::ready;
use core::task::Context;

use abi::Error;
use calls::backend::{File, Storage, Waiting, disk_number};
use calls::console::{Console, ConsoleFile};
use drivers::block::{Disk, DiskError};
use reactor::readiness::{Interest, Pollable, Readiness};

/// The files of a machine.
pub(super) struct Files {
    pub(super) context: crate::Context,
    pub(super) console: Rc<dyn Console>,
}

impl Storage for Files {
    fn open(&self, path: &str, _: bool, _: bool) -> Result<Rc<dyn File>, Error> {
        if path == "serial" {
            return if self.context.policy().serial() {
                Ok(Rc::new(ConsoleFile(Rc::clone(&self.console))))
            } else {
                Err(Error::Permission)
            };
        }
        if let Some(path) = path.strip_prefix("bundle:") {
            let file = self.context.bundle().and_then(|bundle| bundle.file(path));
            return Ok(Rc::new(Packed(file.ok_or(Error::NoEntry)?)));
        }
        self.disk(path)
            .map(|disk| Rc::new(RawDisk(disk)) as Rc<dyn File>)
    }
}

impl Files {
    fn disk(&self, path: &str) -> Result<Disk, Error> {
        let refused = |forbidden| {
            if forbidden {
                Error::Permission
            } else {
                Error::NoEntry
            }
        };
        if let Some(name) = path.strip_prefix("volume:") {
            return self
                .context
                .volume(name)
                .map_err(|error| refused(error.is_forbidden()));
        }
        let number = disk_number(path).ok_or(Error::NoEntry)?;
        self.context
            .disk(number)
            .map_err(|error| refused(error.is_forbidden()))
    }
}

/// A file of the bundle.
struct Packed(&'static [u8]);

impl File for Packed {
    fn size(&self) -> Option<u64> {
        Some(self.0.len() as u64)
    }

    fn block(&self) -> u32 {
        1
    }

    fn access(&self) -> (bool, bool) {
        (true, false)
    }

    fn read(&self, position: u64, most: usize) -> Waiting<'_, Vec<u8>> {
        let start = usize::try_from(position)
            .unwrap_or(usize::MAX)
            .min(self.0.len());
        let left = &self.0[start..];
        Box::pin(ready(Ok(left[..left.len().min(most)].to_vec())))
    }

    fn write(&self, _: u64, _: Vec<u8>) -> Waiting<'_, usize> {
        Box::pin(ready(Err(Error::Permission)))
    }

    fn sync(&self) -> Waiting<'_, ()> {
        Box::pin(ready(Ok(())))
    }
}

impl Pollable for Packed {
    fn poll_readiness(&self, _: Interest, _: &mut Context<'_>) -> Readiness {
        Readiness::READABLE
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
