//! `ukernel disk-image`: files into a disk image.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::Failure;
use crate::disk_image;
use crate::ui::Ui;

/// Make a disk image out of files: a tar archive, the same bytes for the same files
#[derive(Args)]
pub(super) struct DiskImage {
    /// The image to write
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// The folder that PATHs and the names in the image are relative to
    #[arg(long, value_name = "DIR", default_value = ".")]
    root: PathBuf,
    /// Files, or folders with all that is below them
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
}

impl DiskImage {
    pub(super) fn execute(self, _ui: &Ui) -> Result<ExitCode, Failure> {
        disk_image::write(&self.output, &self.root, &self.paths).map_err(|error| {
            let attempt = format_args!("cannot write {}", self.output.display());
            Failure::from(error).context(attempt)
        })?;
        Ok(ExitCode::SUCCESS)
    }
}
