//! Checks an archive piece by piece, in whatever pieces it comes.
//!
//! Every block must be what the index says, so a flipped bit anywhere is found, and found in the right file. The
//! caller keeps the bytes, if they are wanted: this keeps the index, and one block at most.

use alloc::vec::Vec;

use sha2::{Digest as _, Sha256};

use crate::error::WHOLE;
use crate::tar::{self, BLOCK};
use crate::{
    ARCHIVE_END, Digest, Entry, Error, INDEX, Index, Layout, MAX_INDEX_BYTES, Part, SIGNATURE,
    Signature,
};

type Block = [u8; BLOCK];

/// A check that goes on. Give it all bytes of an image with [`push`](Verifier::push), then call
/// [`finish`](Verifier::finish).
///
/// ```
/// use bundle::{Error, Index, Verifier, tar};
/// let text = Index::new("empty").to_text();
/// let mut image = tar::header(bundle::INDEX, text.len() as u64).unwrap().to_vec();
/// image.extend(text.as_bytes());
/// image.extend(tar::padding(text.len() as u64));
/// image.extend(tar::END);
///
/// let mut verifier = Verifier::new(1 << 20);
/// for sector in image.chunks(512) {
///     verifier.push(sector)?;
/// }
/// let verified = verifier.finish()?;
/// assert_eq!(verified.index.name, "empty");
/// assert!(verified.signature.is_none());
/// # Ok::<(), Error>(())
/// ```
pub struct Verifier {
    /// Most bytes that an archive may have.
    limit: u64,
    /// What comes next.
    next: Next,
    /// The beginning of a block whose end is still to come.
    block: Block,
    filled: usize,
    /// The text of the index, or of the signature, as far as it is known.
    text: Vec<u8>,
    /// Of the file that is being read.
    hash: Sha256,
    known: Option<Known>,
    signature: Option<Signature>,
    failed: Option<Error>,
}

/// What is known once the index has been read.
struct Known {
    index: Index,
    digest: Digest,
    layout: Layout,
}

/// What comes next in an archive. Numbers are of files, or bytes that are left.
#[derive(Clone, Copy)]
enum Next {
    IndexHeader,
    Index(u64),
    Header(usize),
    Content(usize, u64),
    SignatureOrEnd,
    Signature(u64),
    /// Both blocks of the end; the second.
    End(u8),
    /// Zeros, as many as there may be.
    Zeros,
}

/// An archive that was found to be whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Its index.
    pub index: Index,
    /// The bundle's digest.
    pub digest: Digest,
    /// Where its files are.
    pub layout: Layout,
    /// Its signature, which nobody has checked against a key.
    pub signature: Option<Signature>,
}

impl Verifier {
    /// A check of an archive that may have at most `limit` bytes, without the zeros behind it.
    pub fn new(limit: u64) -> Verifier {
        Verifier {
            limit,
            next: Next::IndexHeader,
            block: [0; BLOCK],
            filled: 0,
            text: Vec::new(),
            hash: Sha256::new(),
            known: None,
            signature: None,
            failed: None,
        }
    }

    /// Whether something that begins with this block is a bundle, be it a damaged one. Two wrong bytes in its name
    /// are not enough to hide it.
    pub fn recognizes(first: &Block) -> bool {
        tar::is_about(first, INDEX)
    }

    /// Looks at the next bytes, however many. Takes time in proportion: some nanoseconds each.
    ///
    /// # Errors
    /// What is wrong. The check is over then, and each further call gives the same.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let result = self.take(bytes);
        self.failed = result.clone().err();
        result
    }

    /// The index, once it has been read.
    pub fn index(&self) -> Option<&Index> {
        self.known.as_ref().map(|known| &known.index)
    }

    /// Bytes from the image's beginning to the end of the last file, once the index has been read: what there is to
    /// keep of it.
    pub fn kept_bytes(&self) -> Option<u64> {
        self.known.as_ref().map(|known| known.layout.end())
    }

    /// Ends the check.
    ///
    /// # Errors
    /// [`Error::CutOff`], or what [`push`](Verifier::push) has found.
    pub fn finish(mut self) -> Result<Verified, Error> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        // What is behind the end needs not be whole blocks.
        if matches!(self.next, Next::Zeros) && self.filled > 0 {
            self.block[self.filled..].fill(0);
            zeros(&self.block, ARCHIVE_END)?;
        }
        match (self.next, self.known) {
            (
                Next::Zeros,
                Some(Known {
                    index,
                    digest,
                    layout,
                }),
            ) => Ok(Verified {
                index,
                digest,
                layout,
                signature: self.signature,
            }),
            (next, known) => {
                let files = known.as_ref().map_or(&[][..], |known| &known.index.files);
                Err(Error::CutOff {
                    file: next.file(files).into(),
                })
            }
        }
    }

    fn take(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        if self.filled > 0 {
            let (more, rest) = bytes.split_at(bytes.len().min(BLOCK - self.filled));
            self.block[self.filled..self.filled + more.len()].copy_from_slice(more);
            self.filled += more.len();
            bytes = rest;
            if self.filled < BLOCK {
                return Ok(());
            }
            self.filled = 0;
            let block = self.block;
            self.take_block(&block)?;
        }
        let (blocks, rest) = bytes.as_chunks();
        blocks.iter().try_for_each(|block| self.take_block(block))?;
        self.block[..rest.len()].copy_from_slice(rest);
        self.filled = rest.len();
        Ok(())
    }

    fn take_block(&mut self, block: &Block) -> Result<(), Error> {
        self.next = match self.next {
            Next::IndexHeader => self.index_header(block)?,
            Next::Index(left) => match self.text(block, left, INDEX)? {
                0 => self.end_of_index()?,
                left => Next::Index(left),
            },
            Next::Header(number) => self.header(block, number)?,
            Next::Content(number, left) => self.content(block, number, left)?,
            Next::SignatureOrEnd => signature_or_end(block)?,
            Next::Signature(left) => match self.text(block, left, SIGNATURE)? {
                0 => {
                    self.signature = Some(Signature::parse(&self.text)?);
                    Next::End(0)
                }
                left => Next::Signature(left),
            },
            Next::End(0) => zeros(block, ARCHIVE_END).map(|()| Next::End(1))?,
            Next::End(_) | Next::Zeros => zeros(block, ARCHIVE_END).map(|()| Next::Zeros)?,
        };
        Ok(())
    }

    fn index_header(&mut self, block: &Block) -> Result<Next, Error> {
        if !Self::recognizes(block) {
            return Err(Error::NotABundle);
        }
        // Its size is the one thing that does not follow from something else; the checksum covers it.
        let size = tar::size(block)
            .filter(|&size| size > 0 && tar::header(INDEX, size).as_ref() == Some(block));
        let size = size.ok_or_else(|| Error::corrupt(INDEX, Part::Header))?;
        if size > MAX_INDEX_BYTES {
            return Err(Error::TooLarge {
                file: INDEX,
                needed: size,
                limit: MAX_INDEX_BYTES,
            });
        }
        Ok(Next::Index(size))
    }

    /// Takes a block of a text of which so many bytes are left; gives how many are then.
    fn text(&mut self, block: &Block, left: u64, file: &str) -> Result<u64, Error> {
        let (text, padding) = split(block, left);
        self.text.extend(text);
        zeros(padding, file)?;
        Ok(left - text.len() as u64)
    }

    fn end_of_index(&mut self) -> Result<Next, Error> {
        let text = core::mem::take(&mut self.text);
        let (index, digest) = Index::parse(&text)?;
        let layout = Layout::new(text.len() as u64, &index.files);
        let needed = layout.end() + tar::END.len() as u64;
        if needed > self.limit {
            return Err(Error::TooLarge {
                file: WHOLE,
                needed,
                limit: self.limit,
            });
        }
        let next = following(0, &index.files);
        self.known = Some(Known {
            index,
            digest,
            layout,
        });
        Ok(next)
    }

    /// The files of an index that has been read.
    fn files(&self) -> &[Entry] {
        self.known.as_ref().map_or(&[], |known| &known.index.files)
    }

    fn header(&mut self, block: &Block, number: usize) -> Result<Next, Error> {
        let Entry { path, size, digest } = &self.files()[number];
        if tar::header(path, *size).as_ref() != Some(block) {
            return Err(Error::corrupt(path, Part::Header));
        }
        if *size > 0 {
            return Ok(Next::Content(number, *size));
        }
        if *digest != Digest::of(b"") {
            return Err(Error::corrupt(path, Part::Content));
        }
        Ok(following(number + 1, self.files()))
    }

    fn content(&mut self, block: &Block, number: usize, left: u64) -> Result<Next, Error> {
        let (content, padding) = split(block, left);
        self.hash.update(content);
        let left = left - content.len() as u64;
        let Entry { path, digest, .. } = &self.files()[number];
        zeros(padding, path)?;
        if left > 0 {
            return Ok(Next::Content(number, left));
        }
        if Digest(self.hash.clone().finalize().into()) != *digest {
            return Err(Error::corrupt(path, Part::Content));
        }
        self.hash.reset();
        Ok(following(number + 1, self.files()))
    }
}

impl Next {
    fn file<'a>(&self, files: &'a [Entry]) -> &'a str {
        match self {
            Next::IndexHeader | Next::Index(_) => INDEX,
            Next::Header(number) | Next::Content(number, _) => &files[*number].path,
            Next::Signature(_) => SIGNATURE,
            Next::SignatureOrEnd | Next::End(_) | Next::Zeros => ARCHIVE_END,
        }
    }
}

/// What comes in front of file `number`.
fn following(number: usize, files: &[Entry]) -> Next {
    if number < files.len() {
        Next::Header(number)
    } else {
        Next::SignatureOrEnd
    }
}

fn signature_or_end(block: &Block) -> Result<Next, Error> {
    const SIZE: u64 = Signature::BYTES as u64;
    if !tar::is_about(block, SIGNATURE) {
        return zeros(block, ARCHIVE_END).map(|()| Next::End(1));
    }
    if tar::header(SIGNATURE, SIZE).as_ref() != Some(block) {
        return Err(Error::corrupt(SIGNATURE, Part::Header));
    }
    Ok(Next::Signature(SIZE))
}

/// A block's part of a file of which so many bytes are left, and the rest.
fn split(block: &Block, left: u64) -> (&[u8], &[u8]) {
    block.split_at(left.min(BLOCK as u64) as usize)
}

fn zeros(padding: &[u8], file: &str) -> Result<(), Error> {
    if padding.iter().any(|&byte| byte != 0) {
        return Err(Error::corrupt(file, Part::Padding));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
