//! What programs open: `serial`, which is standard output, `disk:N`, a file that the environment names, and
//! `file:PATH`.
//!
//! Files are read and written in place: the thread waits for Linux, and so does everything in its kernel. A transfer
//! lets the other tasks have their turn first.

use std::fs::{File as LinuxFile, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use abi::Error;
use calls::backend::{File, Storage, Waiting, disk_number};
use calls::console::{Console, ConsoleFile};
use policy::DiskAccess;
use reactor::readiness::{Interest, Pollable, Readiness};
use reactor::task::yield_now;
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::stdio;

use crate::descriptor::Descriptor;
use crate::descriptors::Descriptors;
use crate::files;
use crate::settings::Settings;

/// What writes to disks must be multiples of.
const SECTOR: u64 = 512;
/// What a pipe or a terminal that is writable takes without waiting.
const MOST_WITHOUT_WAITING: usize = 4096;

/// What the policy lets a program open.
pub(crate) struct Files {
    descriptors: Rc<Descriptors>,
    settings: &'static Settings,
}

impl Files {
    /// As the settings say.
    pub(crate) fn new(descriptors: &Rc<Descriptors>, settings: &'static Settings) -> Files {
        Files {
            descriptors: Rc::clone(descriptors),
            settings,
        }
    }

    fn console(&self) -> Result<Rc<dyn File>, Error> {
        if !self.settings.policy.serial() {
            return Err(Error::Permission);
        }
        let fd = fcntl_dupfd_cloexec(stdio::stdout(), 3).map_err(files::error)?;
        let output = StandardOutput(Descriptor::own(&self.descriptors, fd));
        Ok(Rc::new(ConsoleFile(Rc::new(output))))
    }

    fn disk(&self, number: usize) -> Result<Rc<dyn File>, Error> {
        let disk = self.settings.disks.get(number).and_then(Option::as_ref);
        let disk = disk.ok_or(Error::NoEntry)?;
        let write = match self.settings.policy.disk(number) {
            DiskAccess::None => return Err(Error::Permission),
            DiskAccess::ReadOnly => false,
            DiskAccess::ReadWrite => !disk.read_only,
        };
        let file = open(&disk.path, true, write)?;
        let len = file.metadata().map_err(io_error)?.len();
        let size = Some(len - len % SECTOR);
        Ok(Rc::new(PlainFile {
            file,
            access: (true, write),
            block: SECTOR as u32,
            size,
        }))
    }

    fn file(&self, path: &str, read: bool, write: bool) -> Result<Rc<dyn File>, Error> {
        if !self.settings.policy.files() {
            return Err(Error::Permission);
        }
        // Whatever it may be used for, if nobody says what for.
        let (file, access) = if read || write {
            (open(path, read, write)?, (read, write))
        } else {
            let both = open(path, true, true).map(|file| (file, (true, true)));
            both.or_else(|_| open(path, true, false).map(|file| (file, (true, false))))?
        };
        if !file.metadata().map_err(io_error)?.is_file() {
            return Err(Error::Unsupported); // `io_from_fd` is for what may make one wait
        }
        Ok(Rc::new(PlainFile {
            file,
            access,
            block: 1,
            size: None,
        }))
    }
}

impl Storage for Files {
    fn open(&self, path: &str, read: bool, write: bool) -> Result<Rc<dyn File>, Error> {
        match path.split_once(':') {
            None if path == "serial" => self.console(),
            Some(("file", path)) => self.file(path, read, write),
            _ => self.disk(disk_number(path).ok_or(Error::NoEntry)?),
        }
    }
}

fn open(path: &str, read: bool, write: bool) -> Result<LinuxFile, Error> {
    let mut options = OpenOptions::new();
    options.read(read).write(write).open(path).map_err(io_error)
}

fn io_error(error: io::Error) -> Error {
    Errno::from_io_error(&error).map_or(Error::Io, files::error)
}

/// A regular file, or one that is a disk.
struct PlainFile {
    file: LinuxFile,
    access: (bool, bool),
    block: u32,
    /// A disk's, which does not grow.
    size: Option<u64>,
}

impl File for PlainFile {
    fn size(&self) -> Option<u64> {
        let metadata = || self.file.metadata().ok();
        self.size.or_else(|| metadata().map(|known| known.len()))
    }

    fn limit(&self) -> Option<u64> {
        self.size.or(Some(i64::MAX as u64))
    }

    fn block(&self) -> u32 {
        self.block
    }

    fn access(&self) -> (bool, bool) {
        self.access
    }

    fn read(&self, position: u64, most: usize) -> Waiting<'_, Vec<u8>> {
        let left = self.size.map(|size| size.saturating_sub(position));
        let most = left.map_or(most, |left| left.min(most as u64) as usize);
        Box::pin(async move {
            yield_now().await;
            let mut bytes = Vec::new();
            bytes.try_reserve_exact(most).map_err(|_| Error::NoMemory)?;
            bytes.resize(most, 0);
            let read = retry(|| self.file.read_at(&mut bytes, position))?;
            bytes.truncate(read);
            Ok(bytes)
        })
    }

    fn write(&self, position: u64, bytes: Vec<u8>) -> Waiting<'_, usize> {
        Box::pin(async move {
            yield_now().await;
            retry(|| self.file.write_at(&bytes, position))
        })
    }

    fn sync(&self) -> Waiting<'_, ()> {
        Box::pin(async move {
            yield_now().await;
            self.file.sync_data().map_err(io_error)
        })
    }
}

fn retry<T>(mut transfer: impl FnMut() -> io::Result<T>) -> Result<T, Error> {
    loop {
        match transfer() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result.map_err(io_error),
        }
    }
}

impl Pollable for PlainFile {
    fn poll_readiness(&self, _: Interest, _: &mut Context<'_>) -> Readiness {
        Readiness::READABLE | Readiness::WRITABLE
    }
}

/// Standard output. Whether its descriptor waits is not changed: others have it too.
struct StandardOutput(Rc<Descriptor>);

impl Console for StandardOutput {
    fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, Error>> {
        ready!(self.poll_room(cx));
        let some = &bytes[..bytes.len().min(MOST_WITHOUT_WAITING)];
        let written = rustix::io::retry_on_intr(|| rustix::io::write(&*self.0, some));
        Poll::Ready(written.map_err(files::error))
    }

    fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        // Asked first: it nearly always has room.
        if self.0.ask(Interest::WRITABLE).answers(Interest::WRITABLE)
            || self
                .0
                .poll(Interest::WRITABLE, cx)
                .answers(Interest::WRITABLE)
        {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// It was given to whoever reads it.
    fn poll_sent(&self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}
