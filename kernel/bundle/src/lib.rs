//! The format of bundles: a project's files and settings in one tar archive that can be checked to the last bit.
//!
//! The guest reads one before it runs anything of it, the tool `ukernel` writes, shows and checks them: both with this
//! crate, so that they agree. It does no input or output, knows nothing of disks, and must never panic or take much
//! memory, whatever it is given.
//!
//! ```text
//! ukernel-bundle        the index: settings, and every further file with its size and SHA-256
//! app/main.py           the files, in the order of their names
//! ...
//! ukernel-bundle.sig    a signature, where there is one
//! ```
//!
//! An archive is deterministic: its headers (POSIX `ustar`) have no time, owner or mode of their own, so each follows
//! from the index, and so does everything else but the signature. The SHA-256 of the index is the bundle's
//! [`Digest`], its identity. `docs/bundle.md` describes the format for people.
//!
//! | to | see |
//! | --- | --- |
//! | check a whole image in memory, and get at its files | [`Bundle::verify`] |
//! | check one piece by piece | [`Verifier`] |
//! | read and write the settings | [`Index`] |
//! | write an archive | [`archive()`], or [`Index::to_text`], [`tar::header`], [`tar::padding`] |
//!
//! ```
//! use bundle::{Bundle, Error, Index};
//!
//! let mut settings = Index::new("demo");
//! settings.options.push("log=info".into());
//! let mut image = bundle::archive(settings, &[("hello.txt", b"hello\n")])?;
//! assert_eq!(Bundle::verify(&image)?.file("hello.txt"), Some(&b"hello\n"[..]));
//!
//! let place = image.windows(6).rposition(|window| window == b"hello\n").unwrap();
//! image[place] ^= 1;
//! let error = Bundle::verify(&image).unwrap_err();
//! assert_eq!(error.file(), "hello.txt");
//! # Ok::<(), Error>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod archive;
mod content;
mod digest;
mod error;
mod index;
mod path;
mod signature;
pub mod tar;
mod verifier;

pub use archive::archive;
pub use content::{Bundle, Layout};
pub use digest::Digest;
pub use error::{Error, Part};
pub use index::{Entry, Index, Volume};
pub use path::check as check_path;
pub use signature::Signature;
pub use verifier::{Verified, Verifier};

/// The version of the format that is written, and the newest that is read.
pub const VERSION: u32 = 1;
/// The name of an archive's first member, by which a bundle is found. The same in every version, as are the index's
/// first and last line.
pub const INDEX: &str = "ukernel-bundle";
/// The name of the last member of one that is signed.
pub const SIGNATURE: &str = "ukernel-bundle.sig";
/// What [`Error::file`] calls the zeros behind the last member.
pub const ARCHIVE_END: &str = "the end of the archive";

/// Most bytes of an index. A larger one is an error.
pub const MAX_INDEX_BYTES: u64 = 4 << 20;
/// Most files of a bundle; a further one is an error.
pub const MAX_FILES: usize = 16_384;
/// Most bytes of a file: what a header of `ustar` can say.
pub const MAX_FILE_BYTES: u64 = (8 << 30) - 1;
/// Longest path, in bytes. It must have a `/` in the right place beyond 100; see [`tar::header`].
pub const MAX_PATH_BYTES: usize = 255;
/// Most options; a further one is an error.
pub const MAX_OPTIONS: usize = 512;
/// Most variables of a program, from its bundle and the command line together: the kernel warns about a further one and
/// ignores it, so tools refuse it.
pub const MAX_VARIABLES: usize = 128;
/// Most arguments; a further one is an error.
pub const MAX_ARGUMENTS: usize = 256;
/// Most bytes of all arguments together, with one behind each: a C program has them in memory of its own.
pub const MAX_ARGUMENT_BYTES: usize = 8 << 10;
/// Most bytes of an option.
pub const MAX_OPTION_BYTES: usize = 64 << 10;
/// Most volumes: with the bundle's own disk as many as a policy can name.
pub const MAX_VOLUMES: usize = 15;
/// Longest name of a bundle or a volume.
pub const MAX_NAME_BYTES: usize = 63;
