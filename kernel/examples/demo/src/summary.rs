//! What a job computes about a text: its bytes, words and digest.
//!
//! Fed piece by piece, so that the worker can let other tasks run in between.

use core::fmt;

use sha2::{Digest, Sha256};

/// The result of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Length of the text.
    pub bytes: u64,
    /// Runs of anything but ASCII white space, as `wc -w` counts in the C locale.
    pub words: u64,
    /// SHA-256 of the text.
    pub digest: Hex,
}

/// A SHA-256 digest that shows itself in lower-case hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hex(pub [u8; 32]);

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A summary in the making.
#[derive(Default)]
pub struct Summarizer {
    bytes: u64,
    words: u64,
    in_word: bool,
    hasher: Sha256,
}

impl Summarizer {
    /// Takes in the next piece of the text.
    pub fn feed(&mut self, piece: &[u8]) {
        self.bytes += piece.len() as u64;
        self.hasher.update(piece);
        for byte in piece {
            // `is_ascii_whitespace` leaves out the vertical tab, which isspace(3) includes.
            let space = byte.is_ascii_whitespace() || *byte == 0x0b;
            self.words += u64::from(!space && !self.in_word);
            self.in_word = !space;
        }
    }

    /// The summary of all pieces.
    pub fn finish(self) -> Summary {
        Summary {
            bytes: self.bytes,
            words: self.words,
            digest: Hex(self.hasher.finalize().into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    fn of(pieces: &[&[u8]]) -> Summary {
        let mut summarizer = Summarizer::default();
        pieces.iter().for_each(|piece| summarizer.feed(piece));
        summarizer.finish()
    }

    #[test]
    fn digests_match_the_standard() {
        // FIPS 180-4 example values.
        assert_eq!(
            of(&[b"abc"]).digest.to_string(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(
            of(&[]).digest.to_string(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }

    #[test]
    fn counts_words_as_wc_does() {
        assert_eq!(of(&[b"  one\ttwo\nthree\x0bfour "]).words, 4);
        assert_eq!(of(&[b" \n "]).words, 0);
        assert_eq!(of(&["größe ist \u{a0} eins".as_bytes()]).words, 4);
    }

    #[test]
    fn where_the_text_is_cut_does_not_matter() {
        assert_eq!(of(&[b"on", b"e t", b"", b"wo"]), of(&[b"one two"]));
    }
}
