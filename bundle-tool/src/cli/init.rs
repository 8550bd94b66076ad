//! `ukernel init`: a new project.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::Failure;
use super::failure::USAGE;
use crate::init::{self, InitError};
use crate::manifest::{Language, Name};
use crate::template::{self, Template};
use crate::ui::Ui;

/// Make a new project that builds and runs at once
///
/// There are templates for servers (http, echo) and for work that ends (job): http, echo and job in Rust, echo in C,
/// http and job in Python. What is in the folder already is never overwritten.
#[derive(Args)]
pub(super) struct Init {
    /// The folder to make the project in
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    /// The project's name [default: the folder's]
    #[arg(long)]
    name: Option<Name>,
    /// The language to write it in
    #[arg(long, value_name = "LANGUAGE", default_value = "rust")]
    lang: Language,
    /// What to begin with [default: http, or echo in C]
    #[arg(long)]
    template: Option<Template>,
}

impl Init {
    pub(super) fn execute(self, ui: &Ui) -> Result<ExitCode, Failure> {
        let name = self.name()?;
        let template = self.template.unwrap_or(template::of(self.lang)[0]);
        let wrong = |problem: String| Failure::new(problem).status(USAGE);
        let files = template::fill(self.lang, template, &name).map_err(wrong)?;
        let sources = match self.lang {
            Language::Rust => Some(super::build::sources()?),
            Language::C | Language::Python => None,
        };
        init::create(&self.folder, &files, self.lang, sources.as_ref()).map_err(failure)?;
        let folder = self.folder.display();
        ui.status(
            "Created",
            format_args!("{name} ({} {template}) in {folder}", self.lang),
        );
        self.say_what_next(ui);
        Ok(ExitCode::SUCCESS)
    }

    fn name(&self) -> Result<Name, Failure> {
        if let Some(name) = &self.name {
            return Ok(name.clone());
        }
        let absolute = std::path::absolute(&self.folder)?;
        let last = absolute
            .components()
            .next_back()
            .map(|part| part.as_os_str().to_string_lossy());
        let name = last.unwrap_or_default().parse();
        name.map_err(|problem: String| {
            Failure::new(problem)
                .hint("--name gives it another one")
                .status(USAGE)
        })
    }

    fn say_what_next(&self, ui: &Ui) {
        let enter = match self.folder == Path::new(".") {
            true => String::new(),
            false => format!("cd {} && ", self.folder.display()),
        };
        let run = match self.lang {
            Language::Python => "ukernel adapter",
            Language::Rust | Language::C => "ukernel build && ukernel pack && ukernel run",
        };
        ui.status("Next", format_args!("{enter}{run}"));
    }
}

fn failure(error: InitError) -> Failure {
    let hint = match &error {
        InitError::Exists { .. } => {
            Some("choose another folder, or move these files away".to_string())
        }
        InitError::Sources(error) => error.hint(),
        InitError::Io { .. } => None,
    };
    Failure::from(error).maybe_hint(hint)
}
