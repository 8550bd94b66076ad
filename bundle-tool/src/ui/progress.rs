//! Progress of long work, drawn on a terminal only. Made by [`Ui::progress`].

use std::fmt::Display;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};

use super::{GOING_ON, Ui, Verbosity};

/// How much work there is, as far as that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// Not known: something turns.
    Unknown,
    /// So many steps: a bar fills.
    Steps(u64),
    /// So many bytes: a bar fills, with the rate.
    Bytes(u64),
}

/// How often something that turns moves.
const TURN: Duration = Duration::from_millis(100);

/// Work that goes on. Dropping it takes it off the terminal, as after an error.
#[derive(Debug)]
pub struct Progress {
    ui: Ui,
    bar: ProgressBar,
}

impl Progress {
    pub(super) fn new(ui: Ui, verb: String, words: String, amount: Amount) -> Progress {
        let total = match amount {
            Amount::Unknown => None,
            Amount::Steps(total) | Amount::Bytes(total) => Some(total),
        };
        // Complete before it is drawn for the first time, which is when it is added to those that are shown.
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden())
            .with_style(style(amount))
            .with_prefix(coloured(&verb))
            .with_message(words)
            .with_finish(ProgressFinish::AndClear);
        let bar = ui.bars.add(bar);
        bar.enable_steady_tick(TURN);
        Progress { ui, bar }
    }

    /// Counts `amount` more steps or bytes as done.
    pub fn advance(&self, amount: u64) {
        self.bar.inc(amount);
    }

    /// Replaces the words behind the verb.
    pub fn describe(&self, words: impl Display) {
        self.bar.set_message(words.to_string());
    }

    /// Replaces the progress with what was done, as [`Ui::status`].
    pub fn finish(self, verb: &str, words: impl Display) {
        self.bar.finish_and_clear();
        self.ui.status(verb, words);
    }
}

/// The verb in its colour, where standard error has colours. Not left to the drawing library, which looks at standard
/// output for that, and knows nothing of `--color`.
fn coloured(verb: &str) -> String {
    match anstream::AutoStream::choice(&std::io::stderr()) {
        anstream::ColorChoice::Never => verb.into(),
        _ => format!("{GOING_ON}{verb}{GOING_ON:#}"),
    }
}

/// Where progress is drawn: nowhere, unless a person sees it. That standard error is a terminal, and one that can redraw a line, is
/// what the drawing library looks at itself.
pub(super) fn target(verbosity: Verbosity) -> ProgressDrawTarget {
    if verbosity >= Verbosity::Normal {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    }
}

fn style(amount: Amount) -> ProgressStyle {
    let rest = match amount {
        Amount::Unknown => "{wide_msg} {spinner} {elapsed}",
        Amount::Steps(_) => "[{bar:25}] {pos}/{len} {wide_msg}",
        Amount::Bytes(_) => "[{bar:25}] {bytes}/{total_bytes} {bytes_per_sec} {wide_msg}",
    };
    ProgressStyle::with_template(&format!("{{prefix}} {rest}"))
        .expect("each template is tested")
        .progress_chars("=> ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_is_one() {
        for amount in [Amount::Unknown, Amount::Steps(3), Amount::Bytes(3)] {
            let _ = style(amount);
        }
    }
}
