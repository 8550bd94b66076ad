//! The options that every command has: how much is said, and whether in colour. Read once, before a command runs.

use std::ffi::OsString;

use anstream::ColorChoice;
use clap::{Args, ValueEnum};

use crate::ui::Verbosity;

/// Options of every command.
#[derive(Args)]
pub(super) struct Look {
    /// Say errors only
    #[arg(
        long,
        short,
        global = true,
        conflicts_with = "verbose",
        help_heading = "Global options"
    )]
    quiet: bool,
    /// Say more: the commands that are run, the files that are read
    #[arg(long, short, global = true, help_heading = "Global options")]
    verbose: bool,
    /// Use colours: auto (on a terminal), always or never
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        value_enum,
        default_value = "auto",
        hide_default_value = true,
        hide_possible_values = true,
        help_heading = "Global options"
    )]
    color: When,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum When {
    Auto,
    Always,
    Never,
}

impl From<When> for ColorChoice {
    fn from(when: When) -> ColorChoice {
        match when {
            When::Auto => ColorChoice::Auto,
            When::Always => ColorChoice::Always,
            When::Never => ColorChoice::Never,
        }
    }
}

impl Look {
    pub(super) fn verbosity(&self) -> Verbosity {
        match (self.quiet, self.verbose) {
            (true, _) => Verbosity::Quiet,
            (_, true) => Verbosity::Verbose,
            _ => Verbosity::Normal,
        }
    }
}

/// Whether to use colours, from arguments that may be wrong otherwise: what is wrong is told in colour, or not, as
/// well. The last `--color` counts, up to `--`.
pub(super) fn colour_choice(arguments: &[OsString]) -> ColorChoice {
    let words: Vec<&str> = arguments
        .iter()
        .map(|word| word.to_str().unwrap_or_default())
        .take_while(|word| *word != "--")
        .collect();
    let value = words.iter().enumerate().rev().find_map(|(index, word)| {
        if *word == "--color" {
            return words.get(index + 1).copied();
        }
        word.strip_prefix("--color=")
    });
    let when = value.and_then(|value| When::from_str(value, false).ok());
    when.unwrap_or(When::Auto).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(line: &str) -> ColorChoice {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        colour_choice(&words)
    }

    #[test]
    fn the_last_choice_before_two_dashes_counts() {
        assert_eq!(choice("ukernel doctor"), ColorChoice::Auto);
        assert_eq!(choice("ukernel --color always x"), ColorChoice::Always);
        assert_eq!(
            choice("ukernel --color always x --color=never"),
            ColorChoice::Never
        );
        assert_eq!(choice("ukernel x -- --color=never"), ColorChoice::Auto);
    }

    #[test]
    fn a_choice_that_is_none_is_left_to_the_parser() {
        assert_eq!(choice("ukernel --color"), ColorChoice::Auto);
        assert_eq!(choice("ukernel --color=pink"), ColorChoice::Auto);
    }
}
