//! What a person sees beside the data: words and progress on standard error, data on standard output. Owns how
//! they look, and that lines and progress bars do not run into each other. Every command gets a [`Ui`]; it never
//! decides what is said, and never ends the process.

mod progress;

use std::fmt::Display;
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use clap::builder::Styles;
use indicatif::MultiProgress;
use serde::Serialize;

pub use progress::{Amount, Progress};

/// `error:`, as clap writes it too.
pub(crate) const ERROR: Style = AnsiColor::Red.on_default().bold();
/// `hint:`.
pub(crate) const HINT: Style = AnsiColor::Cyan.on_default().bold();
/// `warning:`.
pub(crate) const WARNING: Style = AnsiColor::Yellow.on_default().bold();
/// What was done, or is as it should be.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default().bold();
/// What is being done.
pub(crate) const GOING_ON: Style = AnsiColor::Cyan.on_default().bold();
/// What matters less.
pub(crate) const FAINT: Style = Style::new().dimmed();

/// The same for clap's help and errors.
pub(crate) const STYLES: Styles = Styles::styled()
    .header(GOOD)
    .usage(GOOD)
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default())
    .error(ERROR)
    .valid(HINT)
    .invalid(WARNING);

/// The column in which a status's verb ends, as cargo has it.
const VERB_WIDTH: usize = 12;

/// How much is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Errors only.
    Quiet,
    /// What was done and what to know.
    #[default]
    Normal,
    /// What it was done with, too.
    Verbose,
}

/// Standard output and standard error of a command. A clone speaks for the same command, from any thread.
///
/// Words that cannot be written (nobody listens any more) are dropped: no command fails for that. Data that cannot
/// be written is an error.
///
/// ```
/// use bundle_tool::ui::{Amount, Ui, Verbosity};
/// let ui = Ui::new(Verbosity::Quiet);
/// let progress = ui.progress("Packing", "demo.img", Amount::Bytes(2048));
/// progress.advance(2048);
/// progress.finish("Packed", "dist/demo.img");
/// ui.print("dist/demo.img\n")?;
/// # Ok::<(), bundle_tool::ui::OutputError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Ui {
    verbosity: Verbosity,
    bars: MultiProgress,
}

/// Standard output cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output")]
pub struct OutputError(#[source] io::Error);

impl OutputError {
    /// Whether whoever read it has had enough, as `head` does: nothing to complain about.
    pub fn is_closed(&self) -> bool {
        self.0.kind() == io::ErrorKind::BrokenPipe
    }
}

impl Ui {
    /// Speaks on the process's standard streams. Whether in colour is a setting of the process: `--color`,
    /// `NO_COLOR`, `CLICOLOR_FORCE`, and otherwise whether a terminal shows it.
    pub fn new(verbosity: Verbosity) -> Ui {
        let target = progress::target(verbosity);
        let bars = MultiProgress::with_draw_target(target);
        Ui { verbosity, bars }
    }

    /// How much is said.
    pub fn verbosity(&self) -> Verbosity {
        self.verbosity
    }

    /// Says something about a machine, between the lines of its log: `ukernel: WORDS`. Not with `--quiet`.
    pub fn say(&self, words: impl Display) {
        if self.verbosity >= Verbosity::Normal {
            self.line(format_args!("ukernel: {words}"));
        }
    }

    /// Says what was done, a verb in the past tense and with what: `       Built build/vmlinux`. Not with `--quiet`.
    pub fn status(&self, verb: &str, words: impl Display) {
        if self.verbosity >= Verbosity::Normal {
            self.line(format_args!("{GOOD}{verb:>VERB_WIDTH$}{GOOD:#} {words}"));
        }
    }

    /// Says what only `--verbose` asks for: commands that are run, files that are read.
    pub fn detail(&self, words: impl Display) {
        if self.verbosity >= Verbosity::Verbose {
            self.line(format_args!("{FAINT}{words}{FAINT:#}"));
        }
    }

    /// Says what is probably not meant, and goes on. Not with `--quiet`.
    pub fn warn(&self, words: impl Display) {
        if self.verbosity >= Verbosity::Normal {
            self.line(format_args!("{WARNING}warning:{WARNING:#} {words}"));
        }
    }

    /// Writes a line of words to standard error, above whatever progress is shown, in any verbosity.
    pub fn line(&self, line: impl Display) {
        self.bars.suspend(|| {
            // Nobody may be listening.
            let _ = writeln!(anstream::stderr().lock(), "{line}");
        });
    }

    /// Writes data to standard output as it is; colours in it are removed where they do not belong.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn print(&self, data: impl Display) -> Result<(), OutputError> {
        self.bars.suspend(|| {
            let mut output = anstream::stdout().lock();
            write!(output, "{data}").map_err(OutputError)?;
            output.flush().map_err(OutputError)
        })
    }

    /// Writes data as one JSON document, indented, with a line end: what `--json` means in every command that
    /// answers once.
    ///
    /// # Errors
    /// As [`print`](Self::print).
    ///
    /// # Panics
    /// `value` has a map whose keys are not text.
    pub fn json(&self, value: &impl Serialize) -> Result<(), OutputError> {
        let text = serde_json::to_string_pretty(value).expect("keys are text");
        self.print(format_args!("{text}\n"))
    }

    /// Shows that something is going on, on a terminal and until the returned value is finished or dropped:
    /// `    Building demo`. Elsewhere nothing is shown before the end, except with `--verbose`.
    pub fn progress(&self, verb: &str, words: impl Display, amount: Amount) -> Progress {
        if self.bars.is_hidden() {
            self.detail(format_args!("{verb:>VERB_WIDTH$} {words}"));
        }
        Progress::new(
            self.clone(),
            format!("{verb:>VERB_WIDTH$}"),
            words.to_string(),
            amount,
        )
    }
}
