//! `ukernel keygen`: a pair of keys.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::Failure;
use crate::signing::PrivateKey;
use crate::ui::Ui;

/// Make a pair of keys for signing what is packed
///
/// NAME.key is for `ukernel pack --sign` and nobody else's eyes; NAME.pub is for whoever checks, with
/// `ukernel verify --key`. They are ed25519 keys in PEM, which openssl reads too.
#[derive(Args)]
pub(super) struct Keygen {
    /// What the files are called, without their endings
    #[arg(value_name = "NAME")]
    name: PathBuf,
}

impl Keygen {
    pub(super) fn execute(self, ui: &Ui) -> Result<ExitCode, Failure> {
        let key = PrivateKey::generate()?;
        let [secret, public] = key.write_pair(&self.name)?;
        ui.status(
            "Generated",
            format_args!("{} and {}", secret.display(), public.display()),
        );
        Ok(ExitCode::SUCCESS)
    }
}
