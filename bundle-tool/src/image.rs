//! Bundles and images on the host: writing them, the same bytes for the same settings and files whoever does it and
//! whenever; and checking them, with the code that the guest uses. The format is the crate [`bundle`]'s.
//!
//! An image is a bundle's archive as it is, for a disk; `build/bundle.tgz` is the same, compressed.

mod draft;

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use bundle::{Verified, Verifier, tar};
use flate2::bufread::GzDecoder;

pub use draft::{Draft, Source};

use crate::kernel_file;
use crate::signing::PrivateKey;
use crate::whole_file::{self, FOR_ALL, FOR_READING};

/// Bytes that are read at a time.
const PIECE: usize = 64 << 10;
/// What a gzip file begins with (RFC 1952, section 2.3.1).
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// Most bytes of an archive, and of zeros behind it: more than any guest has room for, and an end for a small file that
/// decompresses without one.
pub const MAX_BYTES: u64 = 64 << 30;
/// Bytes that a signature takes in an archive: a header, and a text that fits into a block.
const SIGNATURE_BYTES: u64 = 2 * tar::BLOCK as u64;

/// Why a bundle could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// A file that goes in cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The result cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file was written to while it was packed.
    #[error("{} changed while it was read", .0.display())]
    Changed(PathBuf),
    /// There is no bundle with such settings or files.
    #[error("{problem}: {subject}")]
    Invalid {
        /// The setting, or the path.
        subject: String,
        /// What is wrong.
        problem: String,
    },
    /// The image would be smaller than what goes in.
    #[error("the image would have {size} bytes, and the bundle takes {needed}")]
    TooSmall {
        /// Bytes that were asked for.
        size: u64,
        /// Bytes that it takes.
        needed: u64,
    },
    /// The bundle is not whole.
    #[error("{}: {error}", path.display())]
    Bundle {
        /// The image.
        path: PathBuf,
        /// What is wrong with it.
        error: bundle::Error,
    },
    /// There is no bundle in a kernel.
    #[error("{} is a kernel, and there is no bundle in it", .0.display())]
    NoBundle(PathBuf),
}

/// A file that was found to be whole.
#[derive(Debug)]
pub enum Found {
    /// An image, or a compressed one.
    Image(Verified),
    /// A kernel: its bytes, which nobody has checked, and the bundle in it.
    Kernel(Vec<u8>, Option<Verified>),
}

/// Checks an image, a compressed one, or the bundle that a kernel carries, all of it. A signature in it is not compared
/// with any key.
///
/// # Errors
/// [`ImageError::Read`], [`ImageError::Bundle`].
pub fn examine(path: &Path) -> Result<Found, ImageError> {
    let check = |input: &mut dyn Read| {
        copy(input, path, &mut io::sink(), |_| Ok(u64::MAX)).map_err(|trouble| trouble.of(path))
    };
    match open(path)? {
        Input::Archive(mut archive) => check(&mut archive).map(Found::Image),
        Input::Kernel(bytes) => {
            let carried = kernel_file::carried(&bytes);
            let verified = carried.map(|mut archive| check(&mut archive)).transpose()?;
            Ok(Found::Kernel(bytes, verified))
        }
    }
}

/// The bundle of such a file.
///
/// # Errors
/// As [`examine`], and [`ImageError::NoBundle`].
pub fn verify(path: &Path) -> Result<Verified, ImageError> {
    match examine(path)? {
        Found::Image(verified) | Found::Kernel(_, Some(verified)) => Ok(verified),
        Found::Kernel(_, None) => Err(ImageError::NoBundle(path.into())),
    }
}

/// What an image is besides its bundle.
#[derive(Default)]
pub struct Shape<'a> {
    /// Bytes that it has, with zeros behind the archive; `None`: no more than the archive.
    pub size: Option<u64>,
    /// Who signs it.
    pub key: Option<&'a PrivateKey>,
    /// Whether nobody may write to the file.
    pub read_only: bool,
}

/// Makes an image of a bundle, an archive that may be compressed or itself an image, all of which is checked. What was at
/// `image` stays there if this fails.
///
/// # Errors
/// [`ImageError::TooSmall`], and as [`verify`] and [`Draft::write`].
///
/// ```
/// use bundle_tool::image::{self, Draft, Shape};
/// use bundle_tool::signing::PrivateKey;
/// let folder = tempfile::tempdir().unwrap();
/// let (archive, image) = (folder.path().join("bundle.tgz"), folder.path().join("demo.img"));
/// Draft::new(bundle::Index::new("demo"), Vec::new())?.write_compressed(&archive)?;
/// let key = PrivateKey::generate().unwrap();
/// let shape = Shape { size: Some(1 << 20), key: Some(&key), read_only: true };
/// let verified = image::pack(&archive, &image, &shape)?;
/// assert_eq!(image::verify(&image)?.digest, verified.digest);
/// assert_eq!(std::fs::metadata(&image).unwrap().len(), 1 << 20);
/// # Ok::<(), image::ImageError>(())
/// ```
pub fn pack(archive: &Path, image: &Path, shape: &Shape<'_>) -> Result<Verified, ImageError> {
    let mode = if shape.read_only {
        FOR_READING
    } else {
        FOR_ALL
    };
    let mut packed = None;
    let written = whole_file::write(image, mode, |file| {
        let room = shape.size.unwrap_or(u64::MAX);
        packed = Some(pack_to(archive, file, shape.key, room)?);
        file.flush()?;
        if let Some(size) = shape.size {
            file.get_ref().set_len(size)?;
        }
        Ok(())
    });
    written.map_err(|trouble: Trouble| trouble.of(image))?;
    Ok(packed.expect("it was written"))
}

/// The same in memory, without zeros behind it, for an image of at most `room` bytes.
pub(crate) fn pack_in_memory(
    archive: &Path,
    key: Option<&PrivateKey>,
    room: u64,
) -> Result<(Verified, Vec<u8>), ImageError> {
    let mut bytes = Vec::new();
    let packed = pack_to(archive, &mut bytes, key, room).map_err(|trouble| trouble.of(archive))?;
    Ok((packed, bytes))
}

fn pack_to(
    archive: &Path,
    output: &mut impl Write,
    key: Option<&PrivateKey>,
    room: u64,
) -> Result<Verified, Trouble> {
    let mut input: Box<dyn Read> = match open(archive)? {
        Input::Archive(input) => input,
        Input::Kernel(kernel) => match kernel_file::carried(&kernel) {
            Some(carried) => Box::new(io::Cursor::new(carried.to_vec())),
            None => return Err(ImageError::NoBundle(archive.into()).into()),
        },
    };
    let behind = key.map_or(0, |_| SIGNATURE_BYTES) + tar::END.len() as u64;
    let mut verified = copy(&mut input, archive, output, |end| {
        let needed = end + behind;
        match needed > room {
            true => Err(ImageError::TooSmall { size: room, needed }),
            false => Ok(end),
        }
    })?;
    verified.signature = key.map(|key| key.sign(&verified.digest));
    if let Some(signature) = &verified.signature {
        write_member(output, bundle::SIGNATURE, signature.to_text().as_bytes())?;
    }
    output.write_all(&tar::END)?;
    Ok(verified)
}

/// Checks an archive, and copies as much of it as `wanted` says, once it is known where its last file ends. What was copied
/// is of no use if this fails.
fn copy(
    input: &mut dyn Read,
    path: &Path,
    output: &mut impl Write,
    wanted: impl Fn(u64) -> Result<u64, ImageError>,
) -> Result<Verified, Trouble> {
    let broken = |error| ImageError::Bundle {
        path: path.into(),
        error,
    };
    let mut verifier = Verifier::new(MAX_BYTES);
    let mut copied = 0;
    pieces(&mut input.take(MAX_BYTES), unread(path), |piece| {
        verifier.push(piece).map_err(broken)?;
        // Until the index is known, all is before the end.
        let end = verifier.kept_bytes().map_or(Ok(u64::MAX), &wanted)?;
        let count = (end.saturating_sub(copied)).min(piece.len() as u64);
        copied += count;
        Ok(output.write_all(&piece[..count as usize])?)
    })?;
    Ok(verifier.finish().map_err(broken)?)
}

/// What can be read of a file.
enum Input {
    /// An image, or what is decompressed of one.
    Archive(Box<dyn Read>),
    /// A kernel, which may carry one.
    Kernel(Vec<u8>),
}

fn open(path: &Path) -> Result<Input, ImageError> {
    let open = || {
        let mut file = BufReader::with_capacity(PIECE, File::open(path)?);
        let beginning = io::BufRead::fill_buf(&mut file)?;
        if beginning.starts_with(&GZIP) {
            return Ok(Input::Archive(Box::new(GzDecoder::new(file))));
        }
        if !beginning.starts_with(&kernel_file::MAGIC) {
            return Ok(Input::Archive(Box::new(file)));
        }
        let mut kernel = Vec::new();
        file.read_to_end(&mut kernel)?;
        Ok(Input::Kernel(kernel))
    };
    open().map_err(unread(path))
}

fn unread(path: &Path) -> impl Fn(io::Error) -> ImageError {
    |source| ImageError::Read {
        path: path.into(),
        source,
    }
}

/// Reads to the end, piece by piece.
fn pieces(
    input: &mut impl Read,
    unread: impl Fn(io::Error) -> ImageError,
    mut take: impl FnMut(&[u8]) -> Result<(), Trouble>,
) -> Result<(), Trouble> {
    let mut buffer = vec![0; PIECE];
    loop {
        match input.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => take(&buffer[..count])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(unread(error).into()),
        }
    }
}

/// What went wrong while something was written: the writing, or something else.
enum Trouble {
    Write(io::Error),
    Other(ImageError),
}

impl Trouble {
    /// The error, of the file that was being written.
    fn of(self, path: &Path) -> ImageError {
        match self {
            Trouble::Write(source) => ImageError::Write {
                path: path.into(),
                source,
            },
            Trouble::Other(error) => error,
        }
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Trouble {
        Trouble::Write(error)
    }
}

impl From<ImageError> for Trouble {
    fn from(error: ImageError) -> Trouble {
        Trouble::Other(error)
    }
}

/// Writes a file of the archive.
fn write_member(output: &mut impl Write, path: &str, content: &[u8]) -> io::Result<()> {
    let size = content.len() as u64;
    output.write_all(&header(path, size))?;
    output.write_all(content)?;
    output.write_all(tar::padding(size))
}

fn header(path: &str, size: u64) -> [u8; tar::BLOCK] {
    tar::header(path, size).expect("paths and sizes of an index that was checked fit")
}

#[cfg(test)]
mod tests;
