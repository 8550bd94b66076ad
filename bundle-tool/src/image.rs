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

use crate::whole_file;

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
        write(path, |file| self.write_to(file))
    }

    /// Writes it compressed (gzip, without a name or a time).
    ///
    /// # Errors
    /// As [`Draft::write`].
    pub fn write_compressed(&self, path: &Path) -> Result<(), ImageError> {
        write(path, |file| {
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
    let looked = pieces(&mut input, unread, |piece| {
        Ok(verifier.push(piece).map_err(broken)?)
    });
    looked.map_err(|trouble| trouble.of(path))?;
    verifier.finish().map_err(broken)
}

/// Opens an image or a compressed one.
fn open(path: &Path) -> io::Result<Box<dyn Read>> {
    let mut file = BufReader::with_capacity(PIECE, File::open(path)?);
    let compressed = io::BufRead::fill_buf(&mut file)?.starts_with(&GZIP);
    Ok(if compressed {
        Box::new(GzDecoder::new(file))
    } else {
        Box::new(file)
    })
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
    content: impl FnOnce(&mut io::BufWriter<File>) -> Result<(), Trouble>,
) -> Result<(), ImageError> {
    whole_file::write(path, whole_file::FOR_ALL, content).map_err(|trouble| trouble.of(path))
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
