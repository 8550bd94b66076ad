//! `ukernel verify`: whether something packed is whole, and whose it is.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bundle::{Digest, Signature, Verified};
use clap::Args;

use super::Failure;
use super::build::project;
use crate::image::{self, Found, ImageError};
use crate::kernel_file;
use crate::manifest::Language;
use crate::pack;
use crate::project::Project;
use crate::signing::PublicKey;
use crate::ui::Ui;

/// The status for what is not whole, or not signed by whom it should be.
const REFUSED: u8 = 1;

/// Check that what was packed is whole, and with --key who has signed it
///
/// Looks at every bit of a bundle, as the kernel does before it runs anything, and tells its digest, which `bundle=` on a
/// kernel's command line demands. Of a kernel it tells the SHA-256 of the file, and compares that with the signature beside it,
/// NAME.sig, if it has one: nothing else finds out whether a kernel was changed. Ends with 1 if something is wrong, and
/// names the file.
#[derive(Args)]
pub(super) struct Verify {
    /// An image, a build/bundle.tgz or a kernel [default: all that was packed in this project]
    file: Option<PathBuf>,
    /// Demand a signature of the owner of this public key
    #[arg(long, value_name = "PUBLIC KEY")]
    key: Option<PathBuf>,
}

/// A file in which nothing is wrong, as far as that can be told without a key.
struct Sound {
    /// Of an image, and of a kernel that carries one.
    bundle: Option<Digest>,
    /// The SHA-256 of a kernel.
    kernel: Option<Digest>,
    /// Of the kernel, else of the bundle.
    signature: Option<Signature>,
}

impl Sound {
    /// Looks at a file.
    fn read(file: &Path) -> Result<Sound, Failure> {
        let (kernel, bundle) = match image::examine(file).map_err(damaged)? {
            Found::Image(verified) => (None, Some(verified)),
            Found::Kernel(kernel, carried) => (Some(kernel), carried),
        };
        // One that does not fit its bundle is an error, whoever signed what it is in.
        if let Some(bundle) = &bundle {
            claimed(file, bundle.digest, bundle.signature.as_ref())?;
        }
        let signature = match &kernel {
            None => bundle.as_ref().and_then(|bundle| bundle.signature),
            Some(kernel) => {
                kernel_file::stripped(kernel).map_err(|error| refused(file, &error.to_string()))?;
                let beside = pack::kernel_signature(file);
                beside.map_err(|error| Failure::from(error).status(REFUSED))?
            }
        };
        Ok(Sound {
            bundle: bundle.map(|bundle| bundle.digest),
            kernel: kernel.map(|kernel| Digest::of(&kernel)),
            signature,
        })
    }

    /// What a signature is one of.
    fn signed(&self) -> Digest {
        let signed = self.kernel.or(self.bundle);
        signed.expect("a file is a kernel or an image")
    }
}

impl fmt::Display for Sound {
    /// Its digests, each with what it is one of.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digests = [("bundle", self.bundle), ("file", self.kernel)];
        let said = digests
            .iter()
            .filter_map(|(what, digest)| Some(format!("{what} {}", digest.as_ref()?)));
        f.write_str(&said.collect::<Vec<_>>().join(", "))
    }
}

impl Verify {
    pub(super) fn execute(self, ui: &Ui) -> Result<ExitCode, Failure> {
        let key = self.key.as_deref().map(PublicKey::read).transpose()?;
        let files = match self.file {
            Some(file) => vec![file],
            None => packed_files()?,
        };
        for file in files {
            let sound = Sound::read(&file)?;
            let signer = match &key {
                Some(key) => Some(demand(&file, &sound, key)?),
                None => claimed(&file, sound.signed(), sound.signature.as_ref())?,
            };
            let file = file.display();
            match (signer, key) {
                (Some(signer), Some(_)) => {
                    ui.status("Verified", format_args!("{file}: {sound}, signed by {signer}"));
                }
                (Some(signer), None) => ui.status(
                    "Verified",
                    format_args!(
                        "{file}: {sound}, signed by {signer}, whoever that is: --key demands somebody"
                    ),
                ),
                (None, _) if sound.bundle.is_some() => {
                    ui.status("Verified", format_args!("{file}: {sound}"));
                }
                (None, _) => ui.status(
                    "Unsigned",
                    format_args!("{file}: {sound}: nothing says that it was not changed"),
                ),
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// All that was packed in the project. Of a pair, half is nothing: a `ukernel pack` was killed.
fn packed_files() -> Result<Vec<PathBuf>, Failure> {
    let project = project()?;
    let (image, kernel) = (project.packed_image(), project.packed_kernel());
    let pair = match project.manifest.project.language {
        Language::Python => vec![image],
        Language::Rust | Language::C => vec![image, kernel],
    };
    let (mut files, absent): (Vec<PathBuf>, Vec<PathBuf>) =
        pair.into_iter().partition(|file| file.exists());
    if let ([there, ..], [absent, ..]) = (files.as_slice(), absent.as_slice()) {
        let (there, absent) = (project.relative(there), project.relative(absent));
        let problem = format_args!("{} is there without {}", there.display(), absent.display());
        return Err(Failure::new(problem)
            .status(REFUSED)
            .hint("pack it again: ukernel pack"));
    }
    files.extend(Some(project.packed_whole()).filter(|file| file.exists()));
    if files.is_empty() {
        return Err(missing(&project));
    }
    Ok(files.into_iter().map(shorter).collect())
}

/// The file that was named, or else what was packed last in the project: its image, or the kernel with a bundle inside.
pub(super) fn packed_file(named: Option<PathBuf>) -> Result<PathBuf, Failure> {
    if let Some(named) = named {
        return Ok(named);
    }
    let project = project()?;
    let last = match project.is_packed_whole() {
        true => project.packed_whole(),
        false => project.packed_image(),
    };
    match last.exists() {
        true => Ok(shorter(last)),
        false => Err(missing(&project)),
    }
}

/// A path as a person in this folder would write it.
fn shorter(path: PathBuf) -> PathBuf {
    let here = std::env::current_dir().ok();
    let short = here.and_then(|here| path.strip_prefix(here).ok().map(Path::to_path_buf));
    short.unwrap_or(path)
}

fn missing(project: &Project) -> Failure {
    let problem = format_args!("nothing was packed in {}", project.root().display());
    Failure::new(problem).hint("pack it first: ukernel pack")
}

/// Checks a file, for its bundle.
pub(super) fn verify(file: &Path) -> Result<Verified, Failure> {
    image::verify(file).map_err(damaged)
}

fn damaged(error: ImageError) -> Failure {
    match error {
        ImageError::Bundle { .. } => Failure::from(error).status(REFUSED),
        ImageError::NoBundle(_) => Failure::from(error)
            .hint("settings and files of a pair are in the image beside it, NAME.img"),
        _ => Failure::from(error),
    }
}

/// The signer, who must be the key's owner.
fn demand(file: &Path, sound: &Sound, key: &PublicKey) -> Result<PublicKey, Failure> {
    let problem = match &sound.signature {
        None => "it is not signed",
        Some(signature) if key.verifies(&sound.signed(), signature) => return Ok(*key),
        Some(signature) if PublicKey::of(signature) == Some(*key) => "its signature is wrong",
        Some(_) => "somebody else has signed it",
    };
    Err(refused(file, problem))
}

/// The signer as the signature says, which must at least fit itself. `None`: it is not signed.
pub(super) fn claimed(
    file: &Path,
    digest: Digest,
    signature: Option<&Signature>,
) -> Result<Option<PublicKey>, Failure> {
    let Some(signature) = signature else {
        return Ok(None);
    };
    let signer = PublicKey::of(signature).filter(|key| key.verifies(&digest, signature));
    signer
        .map(Some)
        .ok_or_else(|| refused(file, "its signature is wrong"))
}

fn refused(file: &Path, problem: &str) -> Failure {
    Failure::new(format_args!("{}: {problem}", file.display())).status(REFUSED)
}
