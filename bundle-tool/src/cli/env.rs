//! `ukernel env`: the variables that a project's program gets.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::Failure;
use super::variables::VariableOptions;
use crate::environment::{Environment, Variable};
use crate::project::Project;
use crate::ui::Ui;

/// Show the variables that a project's program gets
#[derive(Args)]
pub(super) struct Env {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    Show(Show),
}

/// Print the variables that the program gets, below where they come from
///
/// They come from the file that `[env] base` names, from `[env.variables]`, from --env-file and from --env; what comes later
/// counts. A secret (by its name, such as API_TOKEN, or an address with a password) is masked unless --reveal is given; what is
/// printed then is a file that --env-file takes.
#[derive(Args)]
struct Show {
    #[command(flatten)]
    variables: VariableOptions,
    /// Print secrets, too
    #[arg(long)]
    reveal: bool,
    /// Print one JSON document instead
    #[arg(long)]
    json: bool,
}

impl Env {
    pub(super) fn execute(self, ui: &Ui) -> Result<ExitCode, Failure> {
        let Action::Show(show) = self.action;
        let environment = show.environment()?;
        let variables = environment.variables();
        if show.json {
            let list: Vec<Value> = variables
                .iter()
                .map(|variable| show.document(variable))
                .collect();
            ui.json(&list)?;
        } else {
            ui.print(show.page(variables))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Show {
    fn environment(&self) -> Result<Environment, Failure> {
        let project = Project::current()?;
        let mut environment = Environment::of_project(&project)?;
        self.variables.add_to(&mut environment)?;
        Ok(environment)
    }

    /// A file of variables, with where they come from in comments.
    fn page(&self, variables: &[Variable]) -> String {
        let mut page = String::new();
        let mut above = None;
        for variable in variables {
            if above != Some(&variable.source) {
                writeln!(page, "# {}", variable.source).expect("a String takes all");
                above = Some(&variable.source);
            }
            let (name, value) = (variable.name.as_str(), variable.shown(self.reveal));
            writeln!(page, "{name}={value}").expect("a String takes all");
        }
        page
    }

    fn document(&self, variable: &Variable) -> Value {
        json!({
            "name": variable.name.as_str(),
            "value": variable.shown(self.reveal),
            "secret": variable.is_secret(),
            "source": variable.source.to_string(),
        })
    }
}
