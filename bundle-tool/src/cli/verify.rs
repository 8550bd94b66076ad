//! `ukernel verify`: whether something packed is whole, and whose it is.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bundle::{Digest, Signature, Verified};
use clap::Args;

use super::Failure;
use super::build::project;
use crate::image::{self, ImageError};
use crate::kernel_file;
use crate::pack;
use crate::project::Project;
use crate::signing::PublicKey;
use crate::ui::Ui;

/// The status for what is not whole, or not signed by whom it should be.
const REFUSED: u8 = 1;

/// Check that what was packed is whole, and with --key who has signed it
///
/// Looks at every bit of an image, as the kernel does before it runs anything. A kernel is compared with the signature beside it,
/// NAME.sig, if it has one. Ends with 1 if something is wrong, and names the file.
#[derive(Args)]
pub(super) struct Verify {
    /// An image, a build/bundle.tgz or a kernel [default: what was packed in this project, kernel and image]
    file: Option<PathBuf>,
    /// Demand a signature of the owner of this public key
    #[arg(long, value_name = "PUBLIC KEY")]
    key: Option<PathBuf>,
}

/// A file that is whole, and who has signed it, if anybody.
struct Sound {
    digest: Digest,
    signature: Option<Signature>,
}

impl Verify {
    pub(super) fn execute(self, ui: &Ui) -> Result<ExitCode, Failure> {
        let key = self.key.as_deref().map(PublicKey::read).transpose()?;
        let files = match self.file {
            Some(file) => vec![file],
            None => packed_files()?,
        };
        for file in files {
            let sound = check(&file)?;
            let signer = match &key {
                Some(key) => Some(demand(&file, &sound, key)?),
                None => claimed(&file, sound.digest, sound.signature.as_ref())?,
            };
            let signed = match (signer, key) {
                (Some(signer), Some(_)) => format!(", signed by {signer}"),
                (Some(signer), None) => {
                    format!(", signed by {signer}, whoever that is: --key demands somebody")
                }
                (None, _) => String::new(),
            };
            ui.status(
                "Verified",
                format_args!("{}: {}{signed}", file.display(), sound.digest),
            );
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Checks a file as far as that goes without a key.
fn check(file: &Path) -> Result<Sound, Failure> {
    let unread =
        |error| Failure::from(error).context(format_args!("cannot read {}", file.display()));
    let mut beginning = Vec::new();
    let opened = File::open(file).map_err(unread)?;
    opened
        .take(kernel_file::MAGIC.len() as u64)
        .read_to_end(&mut beginning)
        .map_err(unread)?;
    if beginning != kernel_file::MAGIC {
        let Verified {
            digest, signature, ..
        } = verify(file)?;
        return Ok(Sound { digest, signature });
    }
    let kernel = fs::read(file).map_err(unread)?;
    if kernel_file::carried(&kernel).is_some() {
        verify(file)?;
    }
    let signature =
        pack::kernel_signature(file).map_err(|error| Failure::from(error).status(REFUSED))?;
    Ok(Sound {
        digest: Digest::of(&kernel),
        signature,
    })
}

/// What was packed last in the project: the pair, or the kernel with a bundle inside.
fn packed_files() -> Result<Vec<PathBuf>, Failure> {
    let project = project()?;
    let mut files = match project.is_packed_whole() {
        true => vec![project.packed_whole()],
        false => vec![project.packed_image(), project.packed_kernel()],
    };
    files.retain(|file| file.exists());
    if files.is_empty() {
        return Err(missing(&project));
    }
    Ok(files.into_iter().map(shorter).collect())
}

/// The file that was named, or else what was packed last in the project: its image, or the kernel with a bundle inside.
pub(super) fn packed_file(named: Option<PathBuf>) -> Result<PathBuf, Failure> {
    named.map_or_else(|| Ok(packed_files()?.swap_remove(0)), Ok)
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

/// Checks a file.
pub(super) fn verify(file: &Path) -> Result<Verified, Failure> {
    image::verify(file).map_err(|error| match error {
        ImageError::Bundle { .. } => Failure::from(error).status(REFUSED),
        _ => Failure::from(error),
    })
}

/// The signer, who must be the key's owner.
fn demand(file: &Path, sound: &Sound, key: &PublicKey) -> Result<PublicKey, Failure> {
    let problem = match &sound.signature {
        None => "it is not signed",
        Some(signature) if key.verifies(&sound.digest, signature) => return Ok(*key),
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
