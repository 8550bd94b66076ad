//! `ukernel verify`: whether something packed is whole, and whose it is.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bundle::Verified;
use clap::Args;

use super::Failure;
use super::build::project;
use crate::image::{self, ImageError};
use crate::project::Project;
use crate::signing::PublicKey;
use crate::ui::Ui;

/// The status for what is not whole, or not signed by whom it should be.
const REFUSED: u8 = 1;

/// Check that what was packed is whole, and with --key who has signed it
///
/// Looks at every bit, as the kernel does before it runs anything. Ends with 1 if something is wrong, and names the
/// file.
#[derive(Args)]
pub(super) struct Verify {
    /// An image, a build/bundle.tgz or a kernel with a bundle inside [default: what was packed in this project]
    file: Option<PathBuf>,
    /// Demand a signature of the owner of this public key
    #[arg(long, value_name = "PUBLIC KEY")]
    key: Option<PathBuf>,
}

impl Verify {
    pub(super) fn execute(self, ui: &Ui) -> Result<ExitCode, Failure> {
        let key = self.key.as_deref().map(PublicKey::read).transpose()?;
        let file = packed_file(self.file)?;
        let verified = verify(&file)?;
        let signer = match &key {
            Some(key) => Some(demand(&file, &verified, key)?),
            None => claimed(&file, &verified)?,
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
            format_args!("{}: {}{signed}", file.display(), verified.digest),
        );
        Ok(ExitCode::SUCCESS)
    }
}

/// The file that was named, or else what was packed last in the project: its image, or the kernel with a bundle inside.
pub(super) fn packed_file(named: Option<PathBuf>) -> Result<PathBuf, Failure> {
    if let Some(file) = named {
        return Ok(file);
    }
    let project = project()?;
    let candidates = [project.packed_image(), project.packed_whole()];
    let there = candidates.into_iter().find(|path| path.exists());
    there.map(shorter).ok_or_else(|| missing(&project))
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
fn demand(file: &Path, verified: &Verified, key: &PublicKey) -> Result<PublicKey, Failure> {
    let problem = match &verified.signature {
        None => "it is not signed",
        Some(signature) if key.verifies(&verified.digest, signature) => return Ok(*key),
        Some(signature) if PublicKey::of(signature) == Some(*key) => "its signature is wrong",
        Some(_) => "somebody else has signed it",
    };
    Err(refused(file, problem))
}

/// The signer as the signature says, which must at least fit itself. `None`: it is not signed.
pub(super) fn claimed(file: &Path, verified: &Verified) -> Result<Option<PublicKey>, Failure> {
    let Some(signature) = &verified.signature else {
        return Ok(None);
    };
    let signer = PublicKey::of(signature).filter(|key| key.verifies(&verified.digest, signature));
    signer
        .map(Some)
        .ok_or_else(|| refused(file, "its signature is wrong"))
}

fn refused(file: &Path, problem: &str) -> Failure {
    Failure::new(format_args!("{}: {problem}", file.display())).status(REFUSED)
}
