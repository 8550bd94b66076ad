//! A mistake in a file that a person writes: which line, the line itself, what is wrong with it, what was meant. Used for
//! `ukernel.toml`, its files of variables and `ukernel.lock`.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::MAX_BYTES;

/// The widest piece of a line that is shown, in characters.
const MAX_SHOWN: usize = 160;
/// A key is suggested for another if at most one letter in so many is wrong, missing, too much or swapped.
const ALIKE: usize = 3;

/// What is wrong with a file, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestError {
    path: PathBuf,
    problem: String,
    hint: Option<String>,
    place: Option<Place>,
}

/// A piece of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    /// Counted from 1.
    line: usize,
    /// Counted from 1, in characters.
    column: usize,
    /// How many characters are meant; at least one.
    width: usize,
    text: String,
}

impl ManifestError {
    /// A problem with a whole file.
    pub(crate) fn of_file(path: &Path, problem: impl fmt::Display) -> ManifestError {
        ManifestError {
            path: path.into(),
            problem: problem.to_string(),
            hint: None,
            place: None,
        }
    }

    /// A problem with the bytes `span` of a file's text.
    pub(crate) fn at(
        path: &Path,
        text: &str,
        span: Range<usize>,
        problem: impl fmt::Display,
    ) -> ManifestError {
        ManifestError {
            place: Some(Place::of(text, span)),
            ..ManifestError::of_file(path, problem)
        }
    }

    /// What the reader of TOML found.
    pub(crate) fn of_toml(path: &Path, text: &str, error: &toml::de::Error) -> ManifestError {
        let span = error.span().unwrap_or(0..0);
        let message = error.message().trim();
        if let Some((key, expected)) = unknown(message) {
            return ManifestError {
                hint: Some(meant(key, &expected)),
                ..ManifestError::at(path, text, span, format_args!("unknown key `{key}`"))
            };
        }
        // A missing key stands nowhere; its section does.
        let message = message.replace("missing field", "missing key");
        ManifestError::at(path, text, span, message.replace('\n', ", "))
    }

    /// A problem with a section as a whole, shown at its heading; in a file without that heading, with the file.
    pub(crate) fn in_section(
        path: &Path,
        text: &str,
        section: &str,
        problem: impl fmt::Display,
    ) -> ManifestError {
        let heading = format!("[{section}");
        let starts = |line: &str| {
            let rest = line.trim_start().strip_prefix(&heading);
            rest.is_some_and(|rest| rest.starts_with([']', '.']))
        };
        let mut at = 0;
        for line in text.split_inclusive('\n') {
            if starts(line) {
                let start = at + line.len() - line.trim_start().len();
                let end = at + line.trim_end().len();
                return ManifestError::at(path, text, start..end, problem);
            }
            at += line.len();
        }
        ManifestError::of_file(path, format_args!("{section}: {problem}"))
    }

    /// A problem with a key at the beginning of a line, in no section.
    pub(crate) fn at_key(
        path: &Path,
        text: &str,
        key: &str,
        problem: impl fmt::Display,
    ) -> ManifestError {
        let mut at = 0;
        let start = text.split_inclusive('\n').find_map(|line| {
            at += line.len();
            line.starts_with(key).then(|| at - line.len())
        });
        let start = start.unwrap_or(0);
        ManifestError::at(path, text, start..start + key.len(), problem)
    }

    /// The line it is on, from 1; `None`: it is about the whole file.
    pub fn line(&self) -> Option<usize> {
        self.place.as_ref().map(|place| place.line)
    }

    /// What is wrong, without its place.
    pub fn problem(&self) -> &str {
        &self.problem
    }
}

impl fmt::Display for ManifestError {
    /// Several lines: file, line and problem; then the line, with a mark below what is meant.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        let hint = self.hint.as_deref().unwrap_or_default();
        let Some(Place {
            line,
            column,
            width,
            text,
        }) = &self.place
        else {
            write!(f, "{path}: {}", self.problem)?;
            return if hint.is_empty() {
                Ok(())
            } else {
                write!(f, "; {hint}")
            };
        };
        let gutter = line.to_string().len();
        writeln!(f, "{path}:{line}:{column}: {}", self.problem)?;
        writeln!(f, "{line} | {text}")?;
        write!(
            f,
            "{:gutter$} | {:indent$}{}",
            "",
            "",
            "^".repeat(*width),
            indent = column - 1
        )?;
        if hint.is_empty() {
            Ok(())
        } else {
            write!(f, " {hint}")
        }
    }
}

impl std::error::Error for ManifestError {}

impl Place {
    fn of(text: &str, span: Range<usize>) -> Place {
        let floor = |at: usize| {
            (0..=at.min(text.len()))
                .rev()
                .find(|at| text.is_char_boundary(*at))
                .unwrap_or(0)
        };
        let (start, end) = (floor(span.start), floor(span.end.max(span.start)));
        let begin = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line = text[begin..].lines().next().unwrap_or_default();
        let column = text[begin..start].chars().count();
        let until = end.min(begin + line.len()).max(start);
        let width = text[start..until].chars().count().clamp(1, MAX_SHOWN);
        let shown = |letter: char| if letter.is_control() { ' ' } else { letter };
        Place {
            line: text[..start].matches('\n').count() + 1,
            column: column + 1,
            width,
            text: line
                .chars()
                .map(shown)
                .take(MAX_SHOWN.max(column + width))
                .collect(),
        }
    }
}

/// The key in serde's sentence about one that does not exist, and those that do.
fn unknown(message: &str) -> Option<(&str, Vec<&str>)> {
    let is_key = message.starts_with("unknown field") || message.starts_with("unknown variant");
    let mut quoted = message.split('`').skip(1).step_by(2);
    let key = quoted.next().filter(|_| is_key)?;
    // What a value can be is as well said by serde.
    message
        .starts_with("unknown field")
        .then(|| (key, quoted.collect()))
}

/// Which of the keys that exist was meant, or all of them.
fn meant(key: &str, expected: &[&str]) -> String {
    let mistakes = |known: &str| strsim::damerau_levenshtein(key, known);
    let best = expected.iter().min_by_key(|known| mistakes(known));
    match best {
        Some(best) if mistakes(best) * ALIKE <= key.len().max(best.len()) => {
            format!("did you mean `{best}`?")
        }
        Some(_) => format!("there are {}", expected.join(", ")),
        None => "there are no keys here".into(),
    }
}

/// The text of a file that a person writes.
pub(crate) fn text_of(path: &Path) -> Result<String, ManifestError> {
    let fail = |error: io::Error| ManifestError::of_file(path, error);
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(fail)?;
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(fail)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(ManifestError::of_file(
            path,
            format_args!("larger than {MAX_BYTES} bytes"),
        ));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let text = String::from_utf8_lossy(&error.as_bytes()[..at]).into_owned() + "?";
        ManifestError::at(path, &text, at..at, "not UTF-8")
    })
}
