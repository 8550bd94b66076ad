//! `ukernel build`: a project into what is packed.

use std::process::ExitCode;

use clap::Args;

use super::Failure;
use crate::build::{self, Request};
use crate::project::Project;
use crate::sources::{Sources, cache_folder};
use crate::ui::Ui;

/// Compile the project's program with the kernel
///
/// Writes build/vmlinux, build/bundle.tgz, build/adapter/NAME/adapter.toml, and ukernel.lock with the digest of everything that went
/// in. The same sources make the same bytes, in whatever folder and whenever. The first build takes a minute or two: it
/// compiles the kernel.
#[derive(Args)]
pub(super) struct Build {
    /// Make it small and fast, instead of quickly and with checks
    #[arg(long)]
    release: bool,
    /// Refuse to build anything but what ukernel.lock says
    #[arg(long)]
    locked: bool,
}

impl Build {
    pub(super) fn execute(self, ui: &Ui) -> Result<ExitCode, Failure> {
        let project = project()?;
        let sources = sources()?;
        let request = Request {
            release: self.release,
            locked: self.locked,
        };
        let built = build::build(&project, &sources, request, ui)?;
        let made = built.kernel.iter().chain([&built.bundle]);
        let made: Vec<String> = made
            .map(|path| project.relative(path).display().to_string())
            .collect();
        ui.status("Built", made.join(" and "));
        Ok(ExitCode::SUCCESS)
    }
}

/// The project that the tool is called in.
pub(super) fn project() -> Result<Project, Failure> {
    Ok(Project::current()?)
}

/// The carried sources, in the person's cache.
pub(super) fn sources() -> Result<Sources, Failure> {
    Ok(Sources::unpack(&cache_folder()?)?)
}
