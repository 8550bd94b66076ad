//! The options that set variables of a program, whoever has them: `run`, `debug` and `env show`.

use std::path::PathBuf;

use clap::Args;

use super::Failure;
use super::failure::USAGE;
use crate::environment::Environment;

/// Variables that are set when a machine is started.
#[derive(Args)]
pub(super) struct VariableOptions {
    /// Set a variable of the program's environment; without a value, to what it is here
    #[arg(long = "env", short = 'e', value_name = "NAME[=VALUE]")]
    words: Vec<String>,
    /// Set variables from a file: a NAME=VALUE a line
    #[arg(long = "env-file", value_name = "FILE")]
    files: Vec<PathBuf>,
}

impl VariableOptions {
    /// Adds them to `environment`, in the order in which they count: files first.
    pub(super) fn add_to(&self, environment: &mut Environment) -> Result<(), Failure> {
        for file in &self.files {
            environment.add_file(file)?;
        }
        for word in &self.words {
            let added = environment.add_word(word, |name| std::env::var(name).ok());
            added.map_err(|error| Failure::new(format_args!("--env {error}")).status(USAGE))?;
        }
        Ok(())
    }
}
