//! Keys and signatures (ed25519, RFC 8032) of bundles. Keys are files that `openssl pkey` reads and writes too: PEM, the
//! private one PKCS #8 (RFC 8410).
//!
//! ```
//! use bundle::Digest;
//! use bundle_tool::signing::{PrivateKey, PublicKey};
//!
//! let key = PrivateKey::generate()?;
//! let signature = key.sign(&Digest::of(b"a bundle"));
//! assert!(key.public().verifies(&Digest::of(b"a bundle"), &signature));
//! assert!(!key.public().verifies(&Digest::of(b"another"), &signature));
//! let other = PublicKey::parse(&PrivateKey::generate()?.public().to_pem()).unwrap();
//! assert!(!other.verifies(&Digest::of(b"a bundle"), &signature));
//! # Ok::<(), std::io::Error>(())
//! ```

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use bundle::{Digest, Signature};
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{
    DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey, KeypairBytes,
};
use ed25519_dalek::{SECRET_KEY_LENGTH, Signer, SigningKey, VerifyingKey};

use crate::whole_file::{self, FOR_ALL, FOR_OWNER};

/// What signs. Forgotten from memory when it is dropped.
pub struct PrivateKey(SigningKey);

/// What tells who has signed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is there already.
    #[error("{} is there already", .0.display())]
    Exists(PathBuf),
    /// It is no key of that kind.
    #[error("{} is no {kind} ed25519 key in PEM", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// `private` or `public`.
        kind: &'static str,
    },
}

impl KeyError {
    /// What a person can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            KeyError::Exists(_) => {
                Some("a key that is lost cannot be made again: choose another name")
            }
            KeyError::Malformed {
                kind: "private", ..
            } => Some("`ukernel keygen NAME` makes NAME.key"),
            KeyError::Malformed { .. } => {
                Some("the public key is the file NAME.pub of `ukernel keygen NAME`")
            }
            KeyError::File { .. } => None,
        }
    }
}

impl PrivateKey {
    /// A new key, of the system's random numbers.
    ///
    /// # Errors
    /// There are none.
    pub fn generate() -> io::Result<PrivateKey> {
        let mut secret = [0; SECRET_KEY_LENGTH];
        File::open("/dev/urandom")?.read_exact(&mut secret)?;
        Ok(PrivateKey(SigningKey::from_bytes(&secret)))
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`KeyError::File`], [`KeyError::Malformed`].
    pub fn read(path: &Path) -> Result<PrivateKey, KeyError> {
        let key = SigningKey::from_pkcs8_pem(&text(path)?);
        key.map(PrivateKey).map_err(|_| malformed(path, "private"))
    }

    /// Writes the pair: `NAME.key` for the owner's eyes, `NAME.pub` for all. Answers their paths.
    ///
    /// # Errors
    /// [`KeyError::Exists`]; [`KeyError::File`].
    pub fn write_pair(&self, name: &Path) -> Result<[PathBuf; 2], KeyError> {
        let [secret, public] = ["key", "pub"].map(|ending| {
            let mut path = name.as_os_str().to_owned();
            path.push(".");
            path.push(ending);
            PathBuf::from(path)
        });
        if let Some(there) = [&secret, &public].into_iter().find(|path| path.exists()) {
            return Err(KeyError::Exists(there.clone()));
        }
        write(&secret, FOR_OWNER, &self.to_pem())?;
        write(&public, FOR_ALL, &self.public().to_pem())?;
        Ok([secret, public])
    }

    /// The key's text. Without the public key in it, which older versions of openssl do not expect.
    fn to_pem(&self) -> String {
        let pair = KeypairBytes {
            secret_key: self.0.to_bytes(),
            public_key: None,
        };
        let text = pair.to_pkcs8_pem(LineEnding::LF);
        text.expect("a key of fixed size has a text").to_string()
    }

    /// Its other half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// Signs a bundle.
    pub fn sign(&self, digest: &Digest) -> Signature {
        let signature = self.0.sign(Signature::message(digest).as_bytes());
        Signature {
            public_key: self.public().0.to_bytes(),
            signature: signature.to_bytes(),
        }
    }
}

impl PublicKey {
    /// Reads a file.
    ///
    /// # Errors
    /// [`KeyError::File`], [`KeyError::Malformed`].
    pub fn read(path: &Path) -> Result<PublicKey, KeyError> {
        PublicKey::parse(&text(path)?).ok_or_else(|| malformed(path, "public"))
    }

    /// Reads a text.
    pub fn parse(pem: &str) -> Option<PublicKey> {
        VerifyingKey::from_public_key_pem(pem).ok().map(PublicKey)
    }

    /// The key that a signature says it was made with; anybody can have made that. `None`: it is none.
    pub fn of(signature: &Signature) -> Option<PublicKey> {
        VerifyingKey::from_bytes(&signature.public_key)
            .ok()
            .map(PublicKey)
    }

    /// The key's text.
    pub fn to_pem(&self) -> String {
        let text = self.0.to_public_key_pem(LineEnding::LF);
        text.expect("a key of fixed size has a text")
    }

    /// Whether a signature is that of this key's owner under that bundle.
    pub fn verifies(&self, digest: &Digest, signature: &Signature) -> bool {
        let message = Signature::message(digest);
        let signed = ed25519_dalek::Signature::from_bytes(&signature.signature);
        // Strict: one signature has one form, whoever made it.
        self.0.to_bytes() == signature.public_key
            && self.0.verify_strict(message.as_bytes(), &signed).is_ok()
    }
}

impl fmt::Display for PublicKey {
    /// In hexadecimal, as a signature has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Digest(self.0.to_bytes()).fmt(f)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn text(path: &Path) -> Result<String, KeyError> {
    fs::read_to_string(path).map_err(|source| KeyError::File {
        path: path.into(),
        source,
    })
}

fn write(path: &Path, mode: u32, text: &str) -> Result<(), KeyError> {
    whole_file::put(path, mode, text.as_bytes()).map_err(|source| KeyError::File {
        path: path.into(),
        source,
    })
}

fn malformed(path: &Path, kind: &'static str) -> KeyError {
    KeyError::Malformed {
        path: path.into(),
        kind,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_pair_is_written_once_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().join("release.1");
        let key = PrivateKey::generate().unwrap();
        let [secret, public] = key.write_pair(&name).unwrap();
        assert!(secret.ends_with("release.1.key") && public.ends_with("release.1.pub"));
        assert_eq!(
            fs::metadata(&secret).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let digest = Digest::of(b"x");
        let signature = PrivateKey::read(&secret).unwrap().sign(&digest);
        assert!(
            PublicKey::read(&public)
                .unwrap()
                .verifies(&digest, &signature)
        );
        assert!(matches!(key.write_pair(&name), Err(KeyError::Exists(_))));
        assert!(matches!(
            PrivateKey::read(&public),
            Err(KeyError::Malformed {
                kind: "private",
                ..
            })
        ));
        assert!(matches!(
            PublicKey::read(&secret),
            Err(KeyError::Malformed { kind: "public", .. })
        ));
    }

    #[test]
    fn a_signature_of_another_key_or_bundle_is_none() {
        let (key, other) = (
            PrivateKey::generate().unwrap(),
            PrivateKey::generate().unwrap(),
        );
        let digest = Digest::of(b"x");
        let signature = key.sign(&digest);
        assert!(!other.public().verifies(&digest, &signature));
        // One that says it is somebody else's is nobody's.
        let claimed = Signature {
            public_key: other.sign(&digest).public_key,
            ..signature
        };
        assert!(!other.public().verifies(&digest, &claimed));
        assert!(!key.public().verifies(&digest, &claimed));
        for bit in 0..512 {
            let mut damaged = signature;
            damaged.signature[bit / 8] ^= 1 << (bit % 8);
            assert!(!key.public().verifies(&digest, &damaged), "bit {bit}");
        }
    }

    /// What the page about bundles promises: openssl makes the same signature.
    #[test]
    fn openssl_agrees() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
        let key = PrivateKey::generate().unwrap();
        key.write_pair(Path::new(&at("k"))).unwrap();
        let digest = Digest::of(b"x");
        let signature = key.sign(&digest);
        fs::write(at("line"), Signature::message(&digest)).unwrap();
        fs::write(at("signature"), signature.signature).unwrap();
        let output = Command::new("openssl")
            .args([
                "pkeyutl",
                "-verify",
                "-rawin",
                "-pubin",
                "-inkey",
                &at("k.pub"),
            ])
            .args(["-sigfile", &at("signature"), "-in", &at("line")])
            .output();
        let output = output.expect("openssl runs");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let secret = Command::new("openssl")
            .args(["pkey", "-noout", "-in", &at("k.key")])
            .output();
        assert!(secret.unwrap().status.success());
    }
}
