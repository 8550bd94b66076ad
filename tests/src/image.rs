//! Disk images for tests, and their digests by a program that is not ours.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::client::Pattern;

/// A disk image that goes when it is dropped.
pub struct Image {
    /// The file.
    pub path: PathBuf,
    /// What is in it.
    pub content: Vec<u8>,
    _folder: TempDir,
}

impl Image {
    /// An image of `length` bytes of a pattern.
    ///
    /// # Panics
    /// It cannot be written.
    pub fn new(length: usize, seed: u64) -> Image {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("disk.img");
        let mut content = vec![0; length];
        Pattern::new(seed).fill(&mut content);
        std::fs::write(&path, &content).expect("a temporary file is writable");
        Image {
            path,
            content,
            _folder: folder,
        }
    }
}

/// The SHA-256 of a file, in lower-case hexadecimal, by `sha256sum`.
///
/// # Panics
/// `sha256sum` fails.
pub fn sha256_of_file(path: &Path) -> String {
    let output = Command::new("sha256sum")
        .arg(path)
        .output()
        .expect("sha256sum runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    // Of a path with odd characters it escapes the line, with a backslash in front.
    let text = String::from_utf8(output.stdout).expect("sha256sum writes text");
    text.trim_start_matches('\\')[..64].to_string()
}

/// The SHA-256 of bytes, in lower-case hexadecimal, by `sha256sum`.
///
/// # Panics
/// `sha256sum` fails.
pub fn sha256(bytes: &[u8]) -> String {
    let mut command = Command::new("sha256sum");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("sha256sum runs");
    let mut stdin = child.stdin.take().expect("piped");
    stdin
        .write_all(bytes)
        .expect("sha256sum reads all before it writes");
    drop(stdin);
    let output = child.wait_with_output().expect("a child");
    String::from_utf8(output.stdout).expect("sha256sum writes text")[..64].to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_sha_256() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(sha256(b""), empty);
        let image = Image::new(1000, 1);
        assert_eq!(sha256_of_file(&image.path), sha256(&image.content));
    }
}
