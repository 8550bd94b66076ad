//! What `ukernel pack` makes of what `ukernel build` has made: a pair for `dist/`, kernel and image, or one file that is
//! both.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bundle::Verified;

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

/// Writes the pair: the kernel without symbols, and the image. The kernel comes last, after an old one was removed: a
/// kernel in `dist/` always belongs to the image beside it, even if this process is killed.
///
/// # Errors
/// Something cannot be read or written, or is not what it should be. There may be no kernel at `packed_kernel` then.
pub fn pair(
    (kernel, packed_kernel): (&Path, &Path),
    (archive, packed_image): (&Path, &Path),
    shape: &Shape<'_>,
) -> Result<Verified, PackError> {
    let stripped = kernel_file::stripped(&read(kernel)?).map_err(unfit(kernel))?;
    match fs::remove_file(packed_kernel) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(file("remove", packed_kernel)(error));
        }
        _ => {}
    }
    let verified = image::pack(archive, packed_image, shape)?;
    write(packed_kernel, &stripped)?;
    Ok(verified)
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
    let (verified, bundle) = image::pack_in_memory(archive, key)?;
    let carrying = kernel_file::carrying(&read(kernel)?, &bundle).map_err(unfit(kernel))?;
    write(output, &carrying)?;
    Ok(verified)
}

fn read(path: &Path) -> Result<Vec<u8>, PackError> {
    fs::read(path).map_err(file("read", path))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), PackError> {
    let written = whole_file::write(path, FOR_ALL, |file| file.write_all(bytes));
    written.map_err(file("write", path))
}

fn unfit(path: &Path) -> impl FnOnce(KernelError) -> PackError {
    let path = path.into();
    |error| PackError::Kernel { path, error }
}

fn file(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> PackError {
    let path = path.into();
    move |source| PackError::File { what, path, source }
}
