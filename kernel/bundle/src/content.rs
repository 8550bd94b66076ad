//! A bundle in memory that was found to be whole: its files by their paths.

use alloc::vec::Vec;

use crate::tar::{self, BLOCK};
use crate::{Digest, Entry, Error, Index, Verified, Verifier};

/// Where the files of an archive are: byte offsets from its beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    starts: Vec<u64>,
    end: u64,
}

impl Layout {
    /// The layout of an archive with an index of so many bytes, and these files.
    pub fn new(index_bytes: u64, files: &[Entry]) -> Layout {
        let mut end = tar::member_bytes(index_bytes);
        let starts = files.iter().map(|file| {
            let start = end + BLOCK as u64;
            end += tar::member_bytes(file.size);
            start
        });
        Layout {
            starts: starts.collect(),
            end,
        }
    }

    /// Where the content of file `number` begins. `None`: there are fewer.
    pub fn start(&self, number: usize) -> Option<u64> {
        self.starts.get(number).copied()
    }

    /// Where the last file has ended, with its padding: the signature's place, or that of the archive's end.
    pub fn end(&self) -> u64 {
        self.end
    }
}

/// A whole bundle in memory.
#[derive(Clone, Debug)]
pub struct Bundle<'a> {
    image: &'a [u8],
    verified: Verified,
}

impl<'a> Bundle<'a> {
    /// Checks a whole image.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn verify(image: &'a [u8]) -> Result<Bundle<'a>, Error> {
        let mut verifier = Verifier::new(u64::MAX);
        verifier.push(image)?;
        Ok(Bundle::of(image, verifier.finish()?))
    }

    /// The bundle of an image that has been checked, which may have been cut to its
    /// [`kept_bytes`](Verifier::kept_bytes) since. It is up to the caller that these are the bytes that were checked;
    /// of others, files are something else, or not there.
    pub fn of(image: &'a [u8], verified: Verified) -> Bundle<'a> {
        Bundle { image, verified }
    }

    /// The settings and the list of files.
    pub fn index(&self) -> &Index {
        &self.verified.index
    }

    /// The bundle's digest.
    pub fn digest(&self) -> Digest {
        self.verified.digest
    }

    /// What was found out about the image.
    pub fn verified(&self) -> &Verified {
        &self.verified
    }

    /// The content of the file of that path.
    pub fn file(&self, path: &str) -> Option<&'a [u8]> {
        self.content(self.index().position(path)?)
    }

    /// All files, in the order of their paths' bytes.
    pub fn files(&self) -> impl Iterator<Item = (&str, &'a [u8])> {
        let paths = self.index().files.iter().map(|entry| entry.path.as_str());
        paths
            .enumerate()
            .filter_map(|(number, path)| Some((path, self.content(number)?)))
    }

    fn content(&self, number: usize) -> Option<&'a [u8]> {
        let size = usize::try_from(self.index().files.get(number)?.size).ok()?;
        let start = usize::try_from(self.verified.layout.start(number)?).ok()?;
        self.image.get(start..)?.get(..size)
    }
}
