//! Why a command failed, and how that is told: `error:`, each cause below it, `hint:`, and the exit status. The only
//! place that writes errors, apart from clap for wrong usage, which looks the same.

use std::error::Error;
use std::fmt::{Display, Write as _};
use std::process::ExitCode;

use crate::adapter::AdapterError;
use crate::build::BuildError;
use crate::machine::StartError;
use crate::machines::{DetachError, MachinesError, SuperviseError};
use crate::project::ProjectError;
use crate::remote::RemoteError;
use crate::signing::KeyError;
use crate::sources::SourcesError;
use crate::toolchain::ToolchainError;
use crate::ui::{ERROR, HINT, OutputError, Ui};

/// The command line itself is wrong.
pub(super) const USAGE: u8 = 2;
/// The tool failed, before or beside a guest.
pub(super) const TOOL_FAILED: u8 = 125;

/// A command that failed: a sentence, what it comes from, what to do about it, and the exit status.
///
/// Every error becomes one by `?`, with its causes, and with the hint that it or one of them has.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    causes: Vec<String>,
    hint: Option<String>,
    status: u8,
}

impl Failure {
    /// A failure of the tool, without causes.
    pub(crate) fn new(message: impl Display) -> Failure {
        Failure {
            message: message.to_string(),
            causes: Vec::new(),
            hint: None,
            status: TOOL_FAILED,
        }
    }

    /// Says what was attempted, above what went wrong.
    pub(crate) fn context(mut self, attempt: impl Display) -> Failure {
        let message = std::mem::replace(&mut self.message, attempt.to_string());
        self.causes.insert(0, message);
        self
    }

    /// Adds what a person can do about it.
    pub(crate) fn hint(self, hint: impl Display) -> Failure {
        self.maybe_hint(Some(hint))
    }

    /// The same, where it is known.
    pub(crate) fn maybe_hint(mut self, hint: Option<impl Display>) -> Failure {
        self.hint = hint.map(|hint| hint.to_string()).or(self.hint);
        self
    }

    /// Ends the process with another status than [`TOOL_FAILED`], such as [`USAGE`] for a command line that is wrong in
    /// a way that clap does not see.
    pub(crate) fn status(mut self, status: u8) -> Failure {
        self.status = status;
        self
    }

    /// Tells the person, in any verbosity. Returns the exit status.
    pub(super) fn report(&self, ui: &Ui) -> ExitCode {
        if !self.message.is_empty() {
            ui.line(self.text());
        }
        ExitCode::from(self.status)
    }

    /// The lines of the report, in colour.
    fn text(&self) -> String {
        let mut text = format!("{ERROR}error:{ERROR:#} {}", self.message);
        let mut said = self.message.as_str();
        for cause in &self.causes {
            // Many messages already contain the one below them.
            if !said.contains(cause.as_str()) {
                write!(text, "\n  caused by: {cause}").expect("a String takes all");
            }
            said = cause;
        }
        if let Some(hint) = &self.hint {
            write!(text, "\n{HINT}hint:{HINT:#} {hint}").expect("a String takes all");
        }
        text
    }
}

/// What to do about an error, where its type knows. A new type with a `hint` is a line here.
fn hint_of(error: &(dyn Error + 'static)) -> Option<String> {
    let hints = [
        known(error, AdapterError::hint),
        known(error, BuildError::hint),
        known(error, |error: &KeyError| error.hint().map(String::from)),
        known(error, MachinesError::hint),
        known(error, ProjectError::hint),
        known(error, RemoteError::hint),
        known(error, SourcesError::hint),
        known(error, StartError::hint),
        known(error, SuperviseError::hint),
        known(error, ToolchainError::hint),
        known(error, |error: &DetachError| error.hint.clone()),
    ];
    hints.into_iter().flatten().next()
}

fn known<E: Error + 'static>(
    error: &(dyn Error + 'static),
    hint: impl Fn(&E) -> Option<String>,
) -> Option<String> {
    error.downcast_ref().and_then(hint)
}

impl<E: Error + 'static> From<E> for Failure {
    fn from(error: E) -> Failure {
        let error: &(dyn Error + 'static) = &error;
        if error.downcast_ref().is_some_and(OutputError::is_closed) {
            return Failure::new("").status(0);
        }
        let mut failure = Failure::new(error);
        failure.hint = hint_of(error);
        let mut cause = error.source();
        while let Some(error) = cause {
            failure.causes.push(error.to_string());
            failure.hint = failure.hint.or_else(|| hint_of(error));
            cause = error.source();
        }
        failure
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read the list")]
    struct Outer(#[source] Inner);

    #[derive(Debug, thiserror::Error)]
    #[error("line 3 is bad: {0}")]
    struct Inner(#[source] std::num::ParseIntError);

    fn outer() -> Failure {
        let number = "x".parse::<u8>().unwrap_err();
        Failure::from(Outer(Inner(number)))
    }

    fn plain(failure: &Failure) -> String {
        anstream::adapter::strip_str(&failure.text()).to_string()
    }

    #[test]
    fn each_cause_is_told_once() {
        assert_eq!(
            plain(&outer()),
            "error: cannot read the list\n  caused by: line 3 is bad: invalid digit found in string"
        );
    }

    #[test]
    fn what_was_attempted_stands_above_and_the_hint_below() {
        let failure = outer().context("cannot start").hint("write a number");
        assert_eq!(
            plain(&failure),
            "error: cannot start\n  caused by: cannot read the list\n  caused by: line 3 is bad: invalid digit found \
             in string\nhint: write a number"
        );
        assert_eq!(failure.status, TOOL_FAILED);
    }

    #[derive(Debug, thiserror::Error)]
    #[error("cannot go on")]
    struct Above(#[source] RemoteError);

    #[test]
    fn the_hint_of_an_error_or_of_its_cause_is_found() {
        let failure = Failure::from(RemoteError::NoHost);
        assert_eq!(failure.hint, RemoteError::NoHost.hint());
        assert!(failure.hint.is_some());
        assert_eq!(Failure::from(Above(RemoteError::NoHost)).hint, failure.hint);
        assert_eq!(outer().hint, None);
    }

    #[test]
    fn a_hint_that_is_not_known_leaves_the_one_that_is() {
        let failure = Failure::new("x")
            .status(USAGE)
            .hint("y")
            .maybe_hint(None::<&str>);
        assert_eq!(failure.hint.as_deref(), Some("y"));
        assert_eq!(failure.status, USAGE);
    }
}
