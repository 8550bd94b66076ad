//! Bundles that are written: settings and files of the host.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bundle::{Digest, Entry, Index, tar};
use flate2::{Compression, GzBuilder};
use sha2::{Digest as _, Sha256};

use super::{ImageError, Trouble, header, pieces, write_member};
use crate::whole_file::{self, FOR_ALL, FOR_OWNER};

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
        write(path, FOR_ALL, |file| self.write_to(file))
    }

    /// The same for nobody else to read: settings of one run may be secrets.
    ///
    /// # Errors
    /// As [`Draft::write`].
    pub fn write_for_owner(&self, path: &Path) -> Result<(), ImageError> {
        write(path, FOR_OWNER, |file| self.write_to(file))
    }

    /// Writes it compressed (gzip, without a name or a time).
    ///
    /// # Errors
    /// As [`Draft::write`].
    pub fn write_compressed(&self, path: &Path) -> Result<(), ImageError> {
        write(path, FOR_ALL, |file| {
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

/// Writes a whole file.
fn write(
    path: &Path,
    mode: u32,
    content: impl FnOnce(&mut io::BufWriter<File>) -> Result<(), Trouble>,
) -> Result<(), ImageError> {
    whole_file::write(path, mode, content).map_err(|trouble| trouble.of(path))
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
