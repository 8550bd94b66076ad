//! The calls `io_open` to `io_info`: files, which is to say disks and the console.
//!
//! A file is read and written where its handle stands, and moves it on, so a handle does one thing at a time. Streams
//! answer `io_read` and `io_write` too: `sockets` does that.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::Cell;
use core::task::Context;

use abi::Error;
use abi::capability::Kind;
use abi::handle::{Handle, Tag};
use abi::layout::IoInfo;
use abi::number::{
    IO_NONBLOCK, IO_OPEN_READ, IO_OPEN_WRITE, IO_SEEK_CUR, IO_SEEK_END, IO_SEEK_SET,
};
use reactor::readiness::{Interest, Pollable, Readiness};

use crate::backend::{File, Waiting};
use crate::failure::{Failure, Outcome};
use crate::object::{Direction, Entry, Object, Occupied};
use crate::task::Task;
use crate::user::{Alleged, UserIn, UserOut};
use crate::wait::until;

/// The longest path that opens anything.
const MAX_PATH: u64 = 255;
/// The most bytes that one call reads from or writes to a file; the kernel holds them meanwhile.
const MAX_TRANSFER: usize = 1 << 20;
/// The same where there is no end, which takes little at a time: more would be copied in vain.
const MAX_STREAMED: u64 = 16 << 10;

/// A file, and where its handle stands.
pub(crate) struct OpenFile {
    file: Rc<dyn File>,
    readable: bool,
    writable: bool,
    nonblocking: bool,
    position: Cell<u64>,
}

impl OpenFile {
    /// Keeps the handle for one transfer, which is about to move it.
    fn occupy(entry: &Rc<Entry>, handle: Handle) -> Outcome<[Occupied; 2]> {
        let busy = Failure::of(Error::Busy, 1, handle.to_bits());
        let reading = entry.occupy(Direction::Read).ok_or(busy)?;
        let writing = entry.occupy(Direction::Write).ok_or(busy)?;
        Ok([reading, writing])
    }

    /// Waits for a transfer. To wait for a disk is not what [`IO_NONBLOCK`] is about: it is ready for it.
    async fn finish<T>(&self, entry: &Entry, mut transfer: Waiting<'_, T>) -> Outcome<T> {
        let nonblocking = self.nonblocking && self.file.size().is_none();
        until(entry, nonblocking, |cx| {
            transfer.as_mut().poll(cx).map_err(Failure::from)
        })
        .await
    }

    /// How many of `wanted` bytes can be written now: whole blocks, up to the end.
    fn room(&self, handle: Handle, wanted: usize) -> Outcome<usize> {
        let (position, block) = (self.position.get(), u64::from(self.file.block()).max(1));
        if !position.is_multiple_of(block) {
            return Err(Failure::invalid(1, handle.to_bits()));
        }
        if !(wanted as u64).is_multiple_of(block) {
            return Err(Failure::invalid(3, wanted as u64));
        }
        let left = self.file.limit().map(|end| end.saturating_sub(position));
        let most = (MAX_TRANSFER as u64).min(left.unwrap_or(MAX_STREAMED));
        match (wanted as u64).min(most - most % block) {
            0 => Err(Failure::of(Error::NoMemory, 1, handle.to_bits())),
            room => Ok(room as usize),
        }
    }
}

impl Pollable for OpenFile {
    fn poll_readiness(&self, interest: Interest, cx: &mut Context<'_>) -> Readiness {
        self.file.poll_readiness(interest, cx)
    }

    fn rearm(&self, interest: Interest, cx: &mut Context<'_>) -> bool {
        self.file.rearm(interest, cx)
    }
}

impl Task {
    /// `io_open`.
    pub fn io_open(&self, path: Alleged, flags: u32) -> Outcome<Handle> {
        self.need(Kind::Io)?;
        let text = path.text(self.space(), MAX_PATH)?;
        if flags & !(IO_OPEN_READ | IO_OPEN_WRITE | IO_NONBLOCK) != 0 {
            return Err(Failure::invalid(2, flags.into()));
        }
        let (read, write) = (flags & IO_OPEN_READ != 0, flags & IO_OPEN_WRITE != 0);
        let text = core::str::from_utf8(&text).map_err(|_| path.failure(Error::NoEntry))?;
        let file = self.program().machine.storage.open(text, read, write);
        let file = file.map_err(|error| path.failure(error))?;
        let (may_read, may_write) = file.access();
        if read && !may_read || write && !may_write {
            return Err(path.failure(Error::Permission));
        }
        self.adopt_file(file, flags)
    }

    /// A handle to a file that is open already, for what `flags` ask: with neither `IO_OPEN_READ` nor `IO_OPEN_WRITE` for
    /// whatever it may be used for. This task is its owner.
    ///
    /// # Errors
    /// [`Error::NoMemory`].
    pub fn adopt_file(&self, file: Rc<dyn File>, flags: u32) -> Outcome<Handle> {
        let (may_read, may_write) = file.access();
        let (read, write) = (flags & IO_OPEN_READ != 0, flags & IO_OPEN_WRITE != 0);
        let whatever = !read && !write;
        self.adopt(Object::File(Rc::new(OpenFile {
            file,
            readable: (read || whatever) && may_read,
            writable: (write || whatever) && may_write,
            nonblocking: flags & IO_NONBLOCK != 0,
            position: Cell::new(0),
        })))
    }

    /// `io_read`.
    pub async fn io_read(&self, handle: Handle, into: UserOut) -> Outcome<usize> {
        self.io_readv(handle, &[into]).await
    }

    /// `io_readv`.
    pub async fn io_readv(&self, handle: Handle, pieces: &[UserOut]) -> Outcome<usize> {
        self.need(Kind::Io)?;
        if handle.tag() == Some(Tag::Net) {
            return self.read_stream(handle, pieces).await;
        }
        let (entry, file) = self.file_of(handle)?;
        if !file.readable {
            return Err(Failure::of(Error::Permission, 1, handle.to_bits()));
        }
        let wanted = total(pieces.iter().map(UserOut::len)).min(MAX_TRANSFER);
        if wanted == 0 {
            return Ok(0);
        }
        let _busy = OpenFile::occupy(&entry, handle)?;
        let position = file.position.get();
        let bytes = file
            .finish(&entry, file.file.read(position, wanted))
            .await?;
        let read = scatter(&bytes, pieces);
        file.position.set(position.saturating_add(read as u64));
        Ok(read)
    }

    /// `io_write`.
    pub async fn io_write(&self, handle: Handle, from: UserIn) -> Outcome<usize> {
        self.io_writev(handle, &[from]).await
    }

    /// `io_writev`.
    pub async fn io_writev(&self, handle: Handle, pieces: &[UserIn]) -> Outcome<usize> {
        self.need(Kind::Io)?;
        if handle.tag() == Some(Tag::Net) {
            return self.write_stream(handle, pieces).await;
        }
        let (entry, file) = self.file_of(handle)?;
        if !file.writable {
            return Err(Failure::of(Error::Permission, 1, handle.to_bits()));
        }
        let wanted = total(pieces.iter().map(UserIn::len));
        if wanted == 0 {
            return Ok(0);
        }
        let _busy = OpenFile::occupy(&entry, handle)?;
        let bytes = gather(pieces, file.room(handle, wanted)?)?;
        let position = file.position.get();
        let written = file
            .finish(&entry, file.file.write(position, bytes))
            .await?;
        file.position.set(position.saturating_add(written as u64));
        Ok(written)
    }

    /// `io_seek`: where it stands now.
    pub fn io_seek(&self, handle: Handle, offset: i64, whence: u32) -> Outcome<u64> {
        self.need(Kind::Io)?;
        let (entry, file) = self.file_of(handle)?;
        let Some(size) = file.file.size() else {
            return Err(Failure::of(Error::Unsupported, 1, handle.to_bits()));
        };
        let from = match whence {
            IO_SEEK_SET => 0,
            IO_SEEK_CUR => file.position.get(),
            IO_SEEK_END => size,
            _ => return Err(Failure::invalid(3, whence.into())),
        };
        let position = from.checked_add_signed(offset);
        let position = position.ok_or(Failure::invalid(2, offset as u64))?;
        let _busy = OpenFile::occupy(&entry, handle)?;
        file.position.set(position);
        Ok(position)
    }

    /// `io_sync`.
    pub async fn io_sync(&self, handle: Handle) -> Outcome {
        self.need(Kind::Io)?;
        let (entry, file) = self.file_of(handle)?;
        let mut syncing = file.file.sync();
        until(&entry, false, |cx| {
            syncing.as_mut().poll(cx).map_err(Failure::from)
        })
        .await
    }

    /// `io_info`.
    pub fn io_info(&self, handle: Handle) -> Outcome<IoInfo> {
        self.need(Kind::Io)?;
        self.inspect(1, handle, Tag::Io, |object| match object {
            Object::File(file) => {
                let read = u32::from(file.readable) * IO_OPEN_READ;
                let write = u32::from(file.writable) * IO_OPEN_WRITE;
                let nonblocking = u32::from(file.nonblocking) * IO_NONBLOCK;
                Ok(IoInfo {
                    size: file.file.size().unwrap_or(0),
                    block: file.file.block(),
                    flags: read | write | nonblocking,
                })
            }
            // A deadline, the request to stop: nothing to be read or written.
            _ => Ok(IoInfo {
                size: 0,
                block: 1,
                flags: 0,
            }),
        })
    }

    fn file_of(&self, handle: Handle) -> Outcome<(Rc<Entry>, Rc<OpenFile>)> {
        match self.find(1, handle, Tag::Io)? {
            (named, Object::File(file)) => Ok((named.entry, file)),
            _ => Err(Failure::of(Error::Unsupported, 1, handle.to_bits())),
        }
    }
}

fn total(lengths: impl Iterator<Item = usize>) -> usize {
    lengths.fold(0, usize::saturating_add)
}

/// Fills the pieces one after the other; how many bytes found room.
fn scatter(mut bytes: &[u8], pieces: &[UserOut]) -> usize {
    let all = bytes.len();
    for piece in pieces {
        let (now, later) = bytes.split_at(piece.len().min(bytes.len()));
        piece
            .first(now.len())
            .with(|room| room.copy_from_slice(now));
        bytes = later;
    }
    all - bytes.len()
}

/// The first `most` bytes of the pieces.
fn gather(pieces: &[UserIn], most: usize) -> Outcome<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(most).map_err(|_| Error::NoMemory)?;
    for piece in pieces {
        let wanted = most - bytes.len();
        piece.with(|piece| bytes.extend_from_slice(&piece[..piece.len().min(wanted)]));
    }
    Ok(bytes)
}
