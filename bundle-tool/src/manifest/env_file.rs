//! Files of variables: `[env] base`, and what `--env-file` names. A line is `NAME=VALUE`; empty lines and those that begin
//! with `#` say nothing; the value is the rest of the line as it is, without quotes and escapes.

use std::path::Path;

use bundle::MAX_VARIABLES;

use super::error::text_of;
use super::{EnvName, EnvValue, ManifestError};

/// Reads such a file's text; `path` is what errors call it. The order is the file's; a name may come again, and the last one
/// counts.
///
/// # Errors
/// A line is none of the three kinds, or there are too many.
///
/// ```
/// let file = "# where it listens\nPORT=8080\nGREETING=hello, there\n";
/// let variables = bundle_tool::manifest::env_file::parse(file, "my.env".as_ref())?;
/// assert_eq!(variables[1].0.as_str(), "GREETING");
/// assert_eq!(variables[1].1.as_str(), "hello, there");
/// # Ok::<(), bundle_tool::manifest::ManifestError>(())
/// ```
pub fn parse(text: &str, path: &Path) -> Result<Vec<(EnvName, EnvValue)>, ManifestError> {
    let mut variables = Vec::new();
    let mut at = 0;
    for whole in text.split_inclusive('\n') {
        let line = whole.trim_end_matches(['\n', '\r']);
        let place = at..at + line.len();
        at += whole.len();
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        variables.push(
            variable(line)
                .map_err(|problem| ManifestError::at(path, text, place.clone(), problem))?,
        );
        if variables.len() > MAX_VARIABLES {
            let problem = format!("there are at most {MAX_VARIABLES} variables");
            return Err(ManifestError::at(path, text, place, problem));
        }
    }
    Ok(variables)
}

/// Reads the file at `path`.
///
/// # Errors
/// As [`parse`], or the file cannot be read.
pub fn read(path: &Path) -> Result<Vec<(EnvName, EnvValue)>, ManifestError> {
    parse(&text_of(path)?, path)
}

/// One variable, as `--env` takes it: `NAME=VALUE`.
///
/// # Errors
/// It has no `=`, the name is none, or the value is more than one line.
pub fn variable(word: &str) -> Result<(EnvName, EnvValue), String> {
    let (name, value) = word.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_string().try_into()?, value.to_string().try_into()?))
}
