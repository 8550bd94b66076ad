//! Bundles and images on the host: writing them, the same bytes for the same settings and files whoever does it and
//! whenever; and checking them, with the code that the guest uses. The format is the crate [`bundle`]'s.
//!
//! An image is a bundle's archive as it is, for a disk; `build/bundle.tgz` is the same, compressed.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use bundle::{Digest, Entry, Index, Verified, Verifier, tar};
use flate2::bufread::GzDecoder;
use flate2::{Compression, GzBuilder};
use sha2::{Digest as _, Sha256};

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

/// Where the bytes of a file are.
#[derive(Clone, Debug)]
pub enum Source {
    /// In a file of the host. It is read twice and must be the same then.
    File(PathBuf),
    /// Here.
    Bytes(Vec<u8>),
}

/// A bundle that can be written.
#[derive(Clone, Debug)]
pub struct Draft {
    index: Index,
    digest: Digest,
    text: String,
    /// In the order of the index.
    sources: Vec<Source>,
}

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
}

impl Draft {
    /// A bundle of these settings (an index without files) and files, each with its path in the bundle. Reads all files
    /// once, for their digests.
    ///
    /// # Errors
    /// [`ImageError::Read`]; [`ImageError::Invalid`], where the format has no place for a setting or a path.
    ///
    /// ```
    /// use bundle_tool::image::{self, Draft, Source};
    /// let folder = tempfile::tempdir().unwrap();
    /// let path = folder.path().join("demo.img");
    /// let mut settings = bundle::Index::new("demo");
    /// settings.options.push("env=GREETING=hello there".into());
    /// let draft = Draft::new(settings, vec![("hello.txt".into(), Source::Bytes(b"hello\n".into()))])?;
    /// draft.write(&path)?;
    /// assert_eq!(image::verify(&path)?.digest, draft.digest());
    /// # Ok::<(), image::ImageError>(())
    /// ```
    pub fn new(settings: Index, files: Vec<(String, Source)>) -> Result<Draft, ImageError> {
        let mut files = files;
        files.sort_by(|one, other| one.0.cmp(&other.0));
        let mut index = settings;
        let mut sources = Vec::new();
        for (path, source) in files {
            index.files.push(source.entry(path)?);
            sources.push(source);
        }
        let text = index.to_text();
        let digest = check(&index, &text)?;
        Ok(Draft {
            index,
            digest,
            text,
            sources,
        })
    }

    /// The bundle's digest.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Its index.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// Writes the archive, uncompressed: an image. What was at `path` stays there if this fails.
    ///
    /// # Errors
    /// [`ImageError::Read`], [`ImageError::Changed`], [`ImageError::Write`].
    pub fn write(&self, path: &Path) -> Result<(), ImageError> {
        write(path, whole_file::FOR_ALL, |file| self.write_to(file))
    }

    /// The same for nobody else to read: settings of one run may be secrets.
    ///
    /// # Errors
    /// As [`Draft::write`].
    pub fn write_for_owner(&self, path: &Path) -> Result<(), ImageError> {
        write(path, whole_file::FOR_OWNER, |file| self.write_to(file))
    }

    /// Writes it compressed (gzip, without a name or a time).
    ///
    /// # Errors
    /// As [`Draft::write`].
    pub fn write_compressed(&self, path: &Path) -> Result<(), ImageError> {
        write(path, whole_file::FOR_ALL, |file| {
            // The system and the time of the compression are part of the format.
            let builder = GzBuilder::new().mtime(0).operating_system(255);
            let mut packer = builder.write(file, Compression::default());
            self.write_to(&mut packer)?;
            Ok(packer.finish().map(drop)?)
        })
    }

    fn write_to(&self, output: &mut impl Write) -> Result<(), Trouble> {
        write_member(output, bundle::INDEX, self.text.as_bytes())?;
        for (entry, source) in self.index.files.iter().zip(&self.sources) {
            output.write_all(&header(&entry.path, entry.size))?;
            let copied = source.copy(output)?;
            if copied != (entry.size, entry.digest) {
                return Err(ImageError::Changed(source.place(&entry.path)).into());
            }
            output.write_all(tar::padding(entry.size))?;
        }
        Ok(output.write_all(&tar::END)?)
    }
}

impl Source {
    /// The file's entry in an index.
    fn entry(&self, path: String) -> Result<Entry, ImageError> {
        let copied = self.copy(&mut io::sink());
        let (size, digest) = copied.map_err(|trouble| trouble.of(Path::new("")))?;
        Ok(Entry { path, size, digest })
    }

    /// Copies the bytes; tells how many they were, and their digest.
    fn copy(&self, output: &mut impl Write) -> Result<(u64, Digest), Trouble> {
        match self {
            Source::Bytes(bytes) => {
                output.write_all(bytes)?;
                Ok((bytes.len() as u64, Digest::of(bytes)))
            }
            Source::File(path) => {
                let unread = |source| ImageError::Read {
                    path: path.clone(),
                    source,
                };
                let mut file = File::open(path).map_err(unread)?;
                let (mut size, mut hash) = (0, Sha256::new());
                pieces(&mut file, unread, |piece| {
                    size += piece.len() as u64;
                    hash.update(piece);
                    Ok(output.write_all(piece)?)
                })?;
                Ok((size, Digest(hash.finalize().into())))
            }
        }
    }

    fn place(&self, path: &str) -> PathBuf {
        match self {
            Source::File(file) => file.clone(),
            Source::Bytes(_) => path.into(),
        }
    }
}

/// Checks an image, or a compressed archive, all of it. A signature in it is not compared with any key.
///
/// # Errors
/// [`ImageError::Read`], [`ImageError::Bundle`].
pub fn verify(path: &Path) -> Result<Verified, ImageError> {
    copy(path, u64::MAX, &mut io::sink()).map_err(|trouble| trouble.of(path))
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
        packed = Some(pack_to(archive, file, shape)?);
        file.flush()?;
        if let Some(size) = shape.size {
            file.get_ref().set_len(size)?;
        }
        Ok(())
    });
    written.map_err(|trouble: Trouble| trouble.of(image))?;
    Ok(packed.expect("it was written"))
}

/// The same in memory, without zeros behind it.
pub(crate) fn pack_in_memory(
    archive: &Path,
    key: Option<&PrivateKey>,
) -> Result<(Verified, Vec<u8>), ImageError> {
    let mut bytes = Vec::new();
    let shape = Shape {
        key,
        ..Shape::default()
    };
    let packed = pack_to(archive, &mut bytes, &shape).map_err(|trouble| trouble.of(archive))?;
    Ok((packed, bytes))
}

fn pack_to(
    archive: &Path,
    output: &mut impl Write,
    shape: &Shape<'_>,
) -> Result<Verified, Trouble> {
    let mut verified = copy(archive, 0, output)?;
    verified.signature = shape.key.map(|key| key.sign(&verified.digest));
    let mut needed = verified.layout.end() + tar::END.len() as u64;
    if let Some(signature) = &verified.signature {
        needed += write_member(output, bundle::SIGNATURE, signature.to_text().as_bytes())?;
    }
    output.write_all(&tar::END)?;
    match shape.size {
        Some(size) if size < needed => Err(ImageError::TooSmall { size, needed }.into()),
        _ => Ok(verified),
    }
}

/// Checks an archive, and copies what is before the end of its last file, and from there on `more` bytes. What was copied
/// is of no use if this fails.
fn copy(path: &Path, more: u64, output: &mut impl Write) -> Result<Verified, Trouble> {
    let unread = |source| ImageError::Read {
        path: path.into(),
        source,
    };
    let broken = |error| ImageError::Bundle {
        path: path.into(),
        error,
    };
    let mut input = open(path).map_err(unread)?.take(MAX_BYTES);
    let mut verifier = Verifier::new(MAX_BYTES);
    let mut copied = 0;
    pieces(&mut input, unread, |piece| {
        verifier.push(piece).map_err(broken)?;
        // Until the index is known, all is before the end.
        let end = verifier
            .kept_bytes()
            .map_or(u64::MAX, |end| end.saturating_add(more));
        let wanted = (end.saturating_sub(copied)).min(piece.len() as u64);
        copied += wanted;
        Ok(output.write_all(&piece[..wanted as usize])?)
    })?;
    Ok(verifier.finish().map_err(broken)?)
}

/// Opens an image, a compressed one, or one that a kernel carries.
fn open(path: &Path) -> io::Result<Box<dyn Read>> {
    let mut file = BufReader::with_capacity(PIECE, File::open(path)?);
    let beginning = io::BufRead::fill_buf(&mut file)?;
    if beginning.starts_with(&GZIP) {
        return Ok(Box::new(GzDecoder::new(file)));
    }
    if !beginning.starts_with(&kernel_file::MAGIC) {
        return Ok(Box::new(file));
    }
    let mut kernel = Vec::new();
    file.read_to_end(&mut kernel)?;
    let carried = kernel_file::carried(&kernel).unwrap_or_default().to_vec();
    Ok(Box::new(io::Cursor::new(carried)))
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

/// Writes a whole file.
fn write(
    path: &Path,
    mode: u32,
    content: impl FnOnce(&mut io::BufWriter<File>) -> Result<(), Trouble>,
) -> Result<(), ImageError> {
    whole_file::write(path, mode, content).map_err(|trouble| trouble.of(path))
}

/// Writes a file of the archive; tells how many bytes of it those are.
fn write_member(output: &mut impl Write, path: &str, content: &[u8]) -> io::Result<u64> {
    let size = content.len() as u64;
    let padding = tar::padding(size);
    output.write_all(&header(path, size))?;
    output.write_all(content)?;
    output.write_all(padding)?;
    Ok(tar::BLOCK as u64 + size + padding.len() as u64)
}

fn header(path: &str, size: u64) -> [u8; tar::BLOCK] {
    tar::header(path, size).expect("paths and sizes of an index that was checked fit")
}

/// Checks that an index is read as it was meant; gives its digest.
fn check(index: &Index, text: &str) -> Result<Digest, ImageError> {
    let problem = match Index::parse(text.as_bytes()) {
        Ok((read, digest)) if read == *index && text.len() as u64 <= bundle::MAX_INDEX_BYTES => {
            return Ok(digest);
        }
        Ok(_) => (
            String::new(),
            "too large, or a line feed where there can be none".into(),
        ),
        Err(bundle::Error::Malformed { line, problem }) => {
            let line = text.lines().nth(line - 1).unwrap_or_default();
            (line.into(), problem.into())
        }
        Err(error) => (index.name.clone(), error.to_string()),
    };
    let (subject, problem) = problem;
    Err(ImageError::Invalid { subject, problem })
}

#[cfg(test)]
mod tests;
