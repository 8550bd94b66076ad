//! The text of a signature. Who may have signed, and whether it is right, is the business of the tool on the host:
//! the guest trusts digests, and whoever starts it names the right one.

use alloc::format;
use alloc::string::String;

use crate::digest::from_hex;
use crate::{Digest, Error, Part, SIGNATURE};

/// An ed25519 signature (RFC 8032) of a bundle.
///
/// ```
/// use bundle::{Digest, Error, Signature};
/// let signature = Signature { public_key: [1; 32], signature: [2; 64] };
/// assert_eq!(Signature::parse(signature.to_text().as_bytes())?, signature);
/// // What is signed is the last line of the index.
/// let line = Signature::message(&Digest::of(b""));
/// assert!(line.starts_with("end e3b0c442") && line.ends_with("b855\n"));
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The signer's public key.
    pub public_key: [u8; 32],
    /// The signature.
    pub signature: [u8; 64],
}

impl Signature {
    /// Bytes of the text.
    pub(crate) const BYTES: usize = "ed25519 ".len() + 64 + 1 + 128 + 1 + "end ".len() + 64 + 1;

    /// What is signed: the last line of the index.
    pub fn message(digest: &Digest) -> String {
        format!("end {digest}\n")
    }

    /// The text: key and signature in hexadecimal on one line, and that line's SHA-256 on the next, so that a damaged
    /// signature is told from a wrong one.
    pub fn to_text(&self) -> String {
        let (key, [first, second]) = (Digest(self.public_key), self.halves());
        let line = format!("ed25519 {key} {first}{second}\n");
        format!("{line}end {}\n", Digest::of(line.as_bytes()))
    }

    /// Halves of the signature, which are as long as a digest and shown like one.
    fn halves(&self) -> [Digest; 2] {
        let half = |at: usize| Digest(core::array::from_fn(|index| self.signature[at + index]));
        [half(0), half(32)]
    }

    /// Reads the text.
    ///
    /// # Errors
    /// [`Error::Corrupt`].
    pub fn parse(text: &[u8]) -> Result<Signature, Error> {
        let signature = Signature::read(text).filter(|read| read.to_text().as_bytes() == text);
        signature.ok_or_else(|| Error::corrupt(SIGNATURE, Part::Content))
    }

    fn read(text: &[u8]) -> Option<Signature> {
        let hex = text.strip_prefix(b"ed25519 ")?;
        Some(Signature {
            public_key: from_hex(hex.get(..64)?)?,
            signature: from_hex(hex.get(65..193)?)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_of_the_text_counts() {
        let signature = Signature {
            public_key: core::array::from_fn(|at| at as u8),
            signature: core::array::from_fn(|at| at as u8 * 3),
        };
        let text = signature.to_text();
        assert_eq!(text.len(), Signature::BYTES);
        assert_eq!(Signature::parse(text.as_bytes()), Ok(signature));
        for at in 0..text.len() {
            let mut damaged = text.clone().into_bytes();
            damaged[at] ^= 1;
            assert!(Signature::parse(&damaged).is_err(), "byte {at}");
            assert!(
                Signature::parse(&text.as_bytes()[..at]).is_err(),
                "cut at {at}"
            );
        }
    }
}
