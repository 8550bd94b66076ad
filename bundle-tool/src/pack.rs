//! What `ukernel pack` makes of what `ukernel build` has made: a pair for `dist/`, kernel and image, or one file that is
//! both. A signature of the image is part of it; that of a kernel is a file beside it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bundle::{Digest, Signature, Verified};

use crate::image::{self, ImageError, Shape};
use crate::kernel_file::{self, KernelError};
use crate::signing::PrivateKey;
use crate::whole_file::{self, FOR_ALL};

/// Why nothing was packed.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The bundle or the image.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The kernel is none that can be packed.
    #[error("{}: {error}", path.display())]
    Kernel {
        /// The kernel's file.
        path: PathBuf,
        /// What is wrong with it.
        error: KernelError,
    },
    /// The file beside a kernel is no signature, or is damaged.
    #[error("{} is not a signature, or is damaged", .0.display())]
    Signature(PathBuf),
    /// A file cannot be read, written or removed.
    #[error("cannot {what} {}: {source}", path.display())]
    File {
        /// What was being done.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A pair that was written.
#[derive(Debug)]
pub struct Pair {
    /// The bundle.
    pub verified: Verified,
    /// Whether the program asks for it: one that does not runs without its settings and files. `None`: the kernel does
    /// not tell.
    pub asks: Option<bool>,
}

/// Writes the pair: the kernel without symbols, and the image. The kernel comes last, after an old one was removed: a
/// kernel in `dist/` always belongs to the image beside it, even if this process is killed.
///
/// # Errors
/// Something cannot be read or written, or is not what it should be. There may be no kernel at `packed_kernel` then.
pub fn pair(
    (kernel, packed_kernel): (&Path, &Path),
    (archive, packed_image): (&Path, &Path),
    shape: &Shape<'_>,
) -> Result<Pair, PackError> {
    let built = read(kernel)?;
    let stripped = kernel_file::stripped(&built).map_err(unfit(kernel))?;
    remove(packed_kernel)?;
    let verified = image::pack(archive, packed_image, shape)?;
    sign(packed_kernel, &stripped, shape.key)?;
    write(packed_kernel, &stripped)?;
    let asks = kernel_file::asks_for_bundle(&built);
    Ok(Pair { verified, asks })
}

/// Writes one file: the kernel with the bundle inside.
///
/// # Errors
/// As [`pair`], and [`KernelError::AsksForNone`], [`KernelError::TooLarge`].
pub fn single(
    kernel: &Path,
    archive: &Path,
    output: &Path,
    key: Option<&PrivateKey>,
) -> Result<Verified, PackError> {
    let packed = image::pack_in_memory(archive, key, kernel_file::MAX_CARRIED as u64);
    let (verified, bundle) = packed.map_err(|error| match error {
        ImageError::TooSmall { needed, .. } => unfit(kernel)(KernelError::TooLarge(needed)),
        error => error.into(),
    })?;
    let carrying = kernel_file::carrying(&read(kernel)?, &bundle).map_err(unfit(kernel))?;
    remove(output)?;
    sign(output, &carrying, key)?;
    write(output, &carrying)?;
    Ok(verified)
}

/// The signature of a kernel: the file beside it with `.sig` behind its name. `None`: there is none.
///
/// # Errors
/// It cannot be read, or is damaged.
pub fn kernel_signature(kernel: &Path) -> Result<Option<Signature>, PackError> {
    let path = signature_path(kernel);
    match fs::read(&path) {
        Ok(text) => match Signature::parse(&text) {
            Ok(signature) => Ok(Some(signature)),
            Err(_) => Err(PackError::Signature(path)),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(file("read", &path)(error)),
    }
}

/// Writes a kernel's signature, before the kernel; without a key it takes an old one away.
fn sign(kernel: &Path, bytes: &[u8], key: Option<&PrivateKey>) -> Result<(), PackError> {
    let path = signature_path(kernel);
    match key {
        Some(key) => write(&path, key.sign(&Digest::of(bytes)).to_text().as_bytes()),
        None => remove(&path),
    }
}

fn signature_path(kernel: &Path) -> PathBuf {
    let mut path = kernel.as_os_str().to_owned();
    path.push(".sig");
    path.into()
}

/// Removes a file that may be there.
fn remove(path: &Path) -> Result<(), PackError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(file("remove", path)(error)),
        _ => Ok(()),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, PackError> {
    fs::read(path).map_err(file("read", path))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), PackError> {
    whole_file::put(path, FOR_ALL, bytes).map_err(file("write", path))
}

fn unfit(path: &Path) -> impl FnOnce(KernelError) -> PackError {
    let path = path.into();
    |error| PackError::Kernel { path, error }
}

fn file(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> PackError {
    let path = path.into();
    move |source| PackError::File { what, path, source }
}
