//! `ukernel pack`: what was built into what is run anywhere.

use std::path::PathBuf;
use std::process::ExitCode;

use bundle::Verified;
use clap::Args;

use super::Failure;
use super::build::project;
use crate::image::{self, ImageError, Shape};
use crate::kernel_file::KernelError;
use crate::manifest::Language;
use crate::pack::{self, PackError};
use crate::project::Project;
use crate::signing::PrivateKey;
use crate::ui::{Amount, Ui};

/// Make what was built ready to run anywhere: a kernel and a disk image, in dist/
///
/// Writes dist/NAME.vmlinux and dist/NAME.img, which has the project's files and settings and is checked by the kernel
/// before it runs anything. The same build makes the same bytes. docs/bundle.md describes the image, which tar can read. Of a
/// project in Python it is the image alone.
#[derive(Args)]
pub(super) struct Pack {
    /// Make one file instead: dist/NAME.elf, the kernel with the bundle inside; for programs that ask for a bundle, and
    /// bundles of at most 16 MiB
    #[arg(long, conflicts_with_all = ["size_mb", "readonly"])]
    image: bool,
    /// Make the image that large, with zeros behind the bundle
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    size_mb: Option<u32>,
    /// Make the image a file that nobody may write to; to the guest it is read-only in any case
    #[arg(long)]
    readonly: bool,
    /// Sign image and kernel with a private key, as `ukernel keygen` makes it; the kernel's signature is a file beside it,
    /// with .sig behind its name
    #[arg(long, value_name = "KEY")]
    sign: Option<PathBuf>,
}

impl Pack {
    pub(super) fn execute(self, ui: &Ui) -> Result<ExitCode, Failure> {
        let project = project()?;
        let key = self.sign.as_deref().map(PrivateKey::read).transpose()?;
        let in_guest = project.manifest.project.language != Language::Python;
        let built = [(project.bundle(), true), (project.kernel(), in_guest)];
        if let Some((absent, _)) = built
            .iter()
            .find(|(path, needed)| *needed && !path.exists())
        {
            let missing = format_args!("{} is not there", project.relative(absent).display());
            return Err(Failure::new(missing).hint("build it first: ukernel build"));
        }
        if self.image && !in_guest {
            let problem = "there is no kernel yet that a program in Python could be packed into";
            return Err(Failure::new(problem).hint("without --image its files are packed"));
        }
        let packing = ui.progress("Packing", project.name(), Amount::Unknown);
        let packed = self.pack(&project, key.as_ref(), ui);
        drop(packing);
        let (verified, made) = packed.map_err(failure)?;
        let made: Vec<String> = made
            .iter()
            .map(|path| project.relative(path).display().to_string())
            .collect();
        let signed = if verified.signature.is_some() {
            ", signed"
        } else {
            ""
        };
        ui.status(
            "Packed",
            format_args!(
                "{} (bundle {}{signed})",
                made.join(" and "),
                verified.digest
            ),
        );
        Ok(ExitCode::SUCCESS)
    }

    fn pack(
        &self,
        project: &Project,
        key: Option<&PrivateKey>,
        ui: &Ui,
    ) -> Result<(Verified, Vec<PathBuf>), PackError> {
        let (kernel, archive) = (project.kernel(), project.bundle());
        if self.image {
            let output = project.packed_whole();
            return Ok((pack::single(&kernel, &archive, &output, key)?, vec![output]));
        }
        let (packed_kernel, image) = (project.packed_kernel(), project.packed_image());
        let shape = Shape {
            size: self.size_mb.map(|size| u64::from(size) << 20),
            key,
            read_only: self.readonly,
        };
        if project.manifest.project.language == Language::Python {
            return Ok((image::pack(&archive, &image, &shape)?, vec![image]));
        }
        let pair = pack::pair((&kernel, &packed_kernel), (&archive, &image), &shape)?;
        if pair.asks == Some(false) {
            ui.warn("its program will not hear of its settings and files: it has no #[ukernel::main(bundle)]");
        }
        Ok((pair.verified, vec![packed_kernel, image]))
    }
}

fn failure(error: PackError) -> Failure {
    let hint = match &error {
        PackError::Image(ImageError::TooSmall { needed, .. }) => {
            Some(format!("--size-mb {} is enough", needed.div_ceil(1 << 20)))
        }
        PackError::Image(ImageError::Bundle { .. }) => Some("build it again: ukernel build".into()),
        PackError::Kernel {
            error: KernelError::AsksForNone,
            ..
        } => {
            Some("write #[ukernel::main(bundle)] above its main function and build it again".into())
        }
        _ => None,
    };
    Failure::from(error).maybe_hint(hint)
}
